"""Writes networks of timm, with random weights and what they compute. Runs in the environment of `environment.py`.

Reads a case from each line of standard input, a JSON object with `name` (of a timm model), `size` (height, width),
`seed` and `path`; writes the file, and answers with the path on a line of standard output. One process for many cases,
because starting it takes longer than most of them.

The file is an `.npz` with the tensors of the state dict by their names, the input `x`, computed from it in float64
`features`, the last feature map, and `logits`, and `config`, the JSON that the model hub would serve with the tensors.
Images are (batch, channels, height, width).
"""

import json
import math
import sys

import numpy as np
import timm
import torch


def randomise(model: torch.nn.Module) -> None:
    """Gives every tensor other values: fresh statistics are 0 and 1, and would hide one that is swapped or missing."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.1)
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.weight.normal_(0, math.sqrt(2 / module.weight[0].numel()))
            if module.bias is not None:
                module.bias.normal_(0, 0.1)
    # With branches as large as their shortcuts, the signal grows with every block: after fifty it is 1e6 times what it
    # was, all gates are 0 or 1, and rounding decides which. With these it stays, and the gates lie between.
    for module in model.modules():
        if hasattr(module, "downsample"):
            last = module.bn3 if hasattr(module, "bn3") else module.bn2
            last.weight.mul_(0.25)
        elif hasattr(module, "conv_pwl"):
            module.bn3.weight.mul_(0.5)


def images(height: int, width: int) -> torch.Tensor:
    """One of noise, one of streaks."""
    x = torch.randn(2, 3, height, width)
    x[1] = x[1].cumsum(-1) / 4
    return x


def config(model: torch.nn.Module, name: str) -> str:
    pretrained = {key: value for key, value in model.pretrained_cfg.items() if value is not None}
    return json.dumps({"architecture": name, "num_classes": model.num_classes, "pretrained_cfg": pretrained})


@torch.no_grad()
def write(name: str, size: tuple[int, int], seed: int, path: str) -> None:
    torch.manual_seed(seed)
    with torch.device("meta"):  # without the initial values, which take longer than ours
        model = timm.create_model(name).eval()
    randomise(model.to_empty(device="cpu"))
    arrays = {key: t.numpy() for key, t in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    x = images(*size)
    model.double()  # makes new tensors: the arrays stay as they are
    features = model.forward_features(x.double())
    logits = model.forward_head(features)
    np.savez(path, x=x.numpy(), features=features.numpy(), logits=logits.numpy(), config=config(model, name), **arrays)


torch.set_num_threads(1)  # the tests run in parallel already
for line in sys.stdin:
    case = json.loads(line)
    write(**case)
    print(case["path"], flush=True)
