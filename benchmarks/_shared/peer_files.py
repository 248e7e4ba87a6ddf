"""Writes timm's networks to files with PyTorch's exporters, in an environment that `peers.py` makes.

Reads a case from each line of standard input, a JSON object with `network` (timm's name), `way` (of `WAYS`), `size` and
`path`. Writes the file and answers on a line of standard output: an empty string, or the exporter's error. Weights are
random. Images are (batch, channels, height, width), and channels last for LiteRT.
"""

import contextlib
import json
import sys
from collections.abc import Callable

import timm
import torch


def torchscript(model: torch.nn.Module, x: torch.Tensor, path: str) -> None:
    torch.onnx.export(model, (x,), path, dynamo=False, opset_version=18)


def dynamo(model: torch.nn.Module, x: torch.Tensor, path: str) -> None:
    torch.onnx.export(model, (x,), path, dynamo=True, external_data=False)


def litert(model: torch.nn.Module, x: torch.Tensor, path: str) -> None:
    import litert_torch

    channels_last = litert_torch.to_channel_last_io(model, args=[0])
    litert_torch.convert(channels_last.eval(), (x.permute(0, 2, 3, 1),)).export(path)


WAYS: dict[str, Callable[[torch.nn.Module, torch.Tensor, str], None]] = {
    "torchscript": torchscript,
    "dynamo": dynamo,
    "litert-torch": litert,
}


def alive(model: torch.nn.Module) -> torch.nn.Module:
    """Sets batch norms as training would: timm starts some at 0, and exporters omit products with 0."""
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor, low, high in (
                *((layer.weight, 0.8, 1.2), (layer.bias, -0.1, 0.1)),
                *((layer.running_mean, -0.1, 0.1), (layer.running_var, 0.8, 1.2)),
            ):
                torch.nn.init.uniform_(tensor, low, high)
    return model


def problem(case: dict) -> str:
    torch.manual_seed(0)
    try:
        model = alive(timm.create_model(case["network"], exportable=True)).eval()
        x = torch.randn(1, 3, case["size"], case["size"])
        with contextlib.redirect_stdout(sys.stderr):  # the output of exporters
            WAYS[case["way"]](model, x, case["path"])
    except Exception as error:  # a failure is a result here
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ""


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(problem(json.loads(line))), flush=True)
