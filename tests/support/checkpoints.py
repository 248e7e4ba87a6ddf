"""Checkpoints of small networks, written from tables of their own: nothing here comes from keras_se.weights.

A safetensors file is eight bytes with the length of a header, the header in JSON, and the data. It is written by hand,
so that it can be written wrongly, too.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import ml_dtypes
import numpy as np
import pytest

from keras_se.models import SEMobileNetV3Small, SEResNet, SEResNet18

SHAPE, CLASSES = (32, 32, 3), 5

# How a variable of Keras lies in PyTorch

IN_PYTORCH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "vector": lambda x: x,
    "matrix": lambda x: x.T,
    "kernel": lambda x: x.transpose(3, 2, 0, 1),
    "depthwise": lambda x: x.transpose(2, 3, 0, 1),
    "projection": lambda x: x.T[:, :, None, None],  # of SE: 1x1 convolutions there
    "pointwise": lambda x: x[0, 0].T,  # a matrix there, a 1x1 convolution here
}


class Row(NamedTuple):
    """A tensor's name, our variable's path, and how the one becomes the other."""

    source: str
    ours: str
    kind: str


def kernel(source: str, ours: str, kind: str = "kernel") -> list[Row]:
    return [Row(f"{source}.weight", f"{ours}/kernel", kind)]


def layer(source: str, ours: str, kind: str) -> list[Row]:
    return [*kernel(source, ours, kind), Row(f"{source}.bias", f"{ours}/bias", "vector")]


def norm(source: str, ours: str) -> list[Row]:
    parts = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    return [Row(f"{source}.{theirs}", f"{ours}_bn/{name}", "vector") for theirs, name in parts.items()]


def unit(kernel_of: str, norm_of: str, ours: str, kind: str = "kernel") -> list[Row]:
    return [*kernel(kernel_of, ours, kind), *norm(norm_of, ours)]


def excitation(reduce: str, expand: str, ours: str) -> list[Row]:
    rows = []
    for source, part in ((reduce, "reduce"), (expand, "expand")):
        rows.append(Row(f"{source}.weight", f"{ours}/{part}_kernel", "projection"))
        rows.append(Row(f"{source}.bias", f"{ours}/{part}_bias", "vector"))
    return rows


def residual(
    depths: Sequence[int], convolutions: int, stem: list[Row], se: str, classifier: str, projected: int, averaged: bool
) -> list[Row]:
    """The rows of a residual network.

    Args:
        depths: Blocks of each stage.
        convolutions: Of each block.
        stem: Its rows.
        se: What timm calls SE in a block.
        classifier: What timm calls the classifier.
        projected: The first stage whose first block has a shortcut with weights.
        averaged: Whether there is a pooling before the shortcut's convolution.
    """
    rows = list(stem)
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            source, ours = f"layer{stage}.{block}", f"stage{stage}_block{block + 1}"
            for i in range(1, convolutions + 1):
                rows += unit(f"{source}.conv{i}", f"{source}.bn{i}", f"{ours}_conv{i}")
            rows += excitation(f"{source}.{se}.fc1", f"{source}.{se}.fc2", f"{ours}_se")
            if block == 0 and stage >= projected:
                first, second = (1, 2) if averaged else (0, 1)
                rows += unit(f"{source}.downsample.{first}", f"{source}.downsample.{second}", f"{ours}_shortcut")
    return rows + layer(classifier, "predictions", "matrix")


LEGACY_STEM = unit("layer0.conv1", "layer0.bn1", "stem_conv")
LEGACY_DEEP_STEM = [row for i in (1, 2, 3) for row in unit(f"layer0.conv{i}", f"layer0.bn{i}", f"stem_conv{i}")]
STEM = unit("conv1", "bn1", "stem_conv")
DEEP_STEM = [
    *unit("conv1.0", "conv1.1", "stem_conv1"),
    *unit("conv1.3", "conv1.4", "stem_conv2"),
    *unit("conv1.6", "bn1", "stem_conv3"),
]
LEGACY = {"se": "se_module", "classifier": "last_linear", "averaged": False}
PLAIN = {"se": "se", "classifier": "fc", "averaged": False}


def mobilenet_v3_small() -> list[Row]:
    rows = unit("conv_stem", "bn1", "stem_conv")
    for stage, depth in enumerate((1, 2, 3, 2, 3), start=1):
        for block in range(1, depth + 1):
            source, ours = f"blocks.{stage - 1}.{block - 1}", f"stage{stage}_block{block}"
            if stage == 1:
                rows += unit(f"{source}.conv_dw", f"{source}.bn1", f"{ours}_depthwise", "depthwise")
                rows += unit(f"{source}.conv_pw", f"{source}.bn2", f"{ours}_project")
            else:
                rows += unit(f"{source}.conv_pw", f"{source}.bn1", f"{ours}_expand")
                rows += unit(f"{source}.conv_dw", f"{source}.bn2", f"{ours}_depthwise", "depthwise")
                rows += unit(f"{source}.conv_pwl", f"{source}.bn3", f"{ours}_project")
            if stage != 2:
                rows += excitation(f"{source}.se.conv_reduce", f"{source}.se.conv_expand", f"{ours}_se")
    rows += unit("blocks.5.0.conv", "blocks.5.0.bn1", "final_conv")
    return rows + layer("conv_head", "hidden", "kernel") + layer("classifier", "logits", "pointwise")


class Network(NamedTuple):
    """A small network of a family: its builder, which takes more options, and its table."""

    build: Callable[..., keras.Model]
    rows: list[Row]


SMALL = {"input_shape": SHAPE, "classes": CLASSES}
TWO_STAGES = partial(SEResNet, (1, 1), filters=(4, 8), r=2, **SMALL)
TWO_BASIC = partial(TWO_STAGES, block="basic")
NETWORKS = {
    "legacy basic": Network(
        partial(TWO_BASIC, branch_relu=True),
        residual((1, 1), 2, LEGACY_STEM, projected=2, **LEGACY),
    ),
    "legacy bottleneck": Network(TWO_STAGES, residual((1, 1), 3, LEGACY_STEM, projected=1, **LEGACY)),
    "legacy resnext": Network(
        partial(TWO_STAGES, width=2, groups=4, stride_in="3x3"),
        residual((1, 1), 3, LEGACY_STEM, projected=1, **LEGACY),
    ),
    "legacy deep": Network(
        partial(TWO_STAGES, stem="deep"), residual((1, 1), 3, LEGACY_DEEP_STEM, projected=1, **LEGACY)
    ),
    "basic": Network(partial(TWO_BASIC, pool="padded"), residual((1, 1), 2, STEM, projected=2, **PLAIN)),
    "bottleneck": Network(
        partial(TWO_STAGES, pool="padded", stride_in="3x3"), residual((1, 1), 3, STEM, projected=1, **PLAIN)
    ),
    "resnet-d": Network(
        partial(TWO_STAGES, pool="padded", stride_in="3x3", stem="deep", shortcut="average"),
        residual((1, 1), 3, DEEP_STEM, projected=1, **PLAIN | {"averaged": True}),
    ),
    "mobilenetv3": Network(
        partial(
            SEMobileNetV3Small, alpha=0.25, include_preprocessing=False, padding="symmetric", epsilon=1e-5, **SMALL
        ),
        mobilenet_v3_small(),
    ),
}
# What `load` makes of a folder whose config.json has the architecture "legacy_seresnet18", with these options.
NARROW = {"filters": (4, 8, 8, 8), "r": 2}
SERESNET18 = Network(
    partial(SEResNet18, branch_relu=True, **NARROW, **SMALL),
    residual((2, 2, 2, 2), 2, LEGACY_STEM, projected=2, **LEGACY),
)
CONFIG = {
    "architecture": "legacy_seresnet18",
    "num_classes": CLASSES,
    "pretrained_cfg": {
        "input_size": [3, *SHAPE[:2]],
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
        "interpolation": "bilinear",
        "crop_pct": 0.9,
        "num_classes": CLASSES,
    },
}


def values(model: keras.Model) -> dict[str, np.ndarray]:
    return {
        variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights if "seed" not in variable.path
    }


class Checkpoint(NamedTuple):
    """Tensors as PyTorch has them, and as the network's variables have to become."""

    tensors: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]


def checkpoint(network: Network, model: keras.Model | None = None, seed: int = 0) -> Checkpoint:
    """Random values, no two alike, for every variable of the network. The table has each of them once."""
    shapes = {path: value.shape for path, value in values(model or network.build()).items()}
    assert sorted(row.ours for row in network.rows) == sorted(shapes)
    rng = np.random.default_rng(seed)
    expected = {path: rng.uniform(0.1, 1, shape).astype("float32") for path, shape in shapes.items()}
    tensors = {row.source: np.ascontiguousarray(IN_PYTORCH[row.kind](expected[row.ours])) for row in network.rows}
    return Checkpoint(tensors, expected)


def assert_values(model: keras.Model, expected: Mapping[str, np.ndarray]) -> None:
    """That every variable has exactly its value."""
    actual = values(model)
    assert actual.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(actual[path], value, err_msg=path)


@contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    before = values(model)
    yield
    assert_values(model, before)


def refusal(call: Callable[[], Any], kind: type[Exception] = ValueError) -> str:
    """The message of the error that the call raises: one sentence, which says what was received."""
    with pytest.raises(kind) as caught:
        call()
    assert caught.type is kind
    message = str(caught.value)
    assert message.isprintable(), message
    assert len(message) < 2000
    assert "Received: " in message or kind is not ValueError, message
    return message


# Files

DTYPES = {
    np.dtype("float64"): "F64",
    np.dtype("float32"): "F32",
    np.dtype("float16"): "F16",
    np.dtype(ml_dtypes.bfloat16): "BF16",
    np.dtype(ml_dtypes.float8_e4m3fn): "F8_E4M3",
    np.dtype("int64"): "I64",
    np.dtype("int8"): "I8",
    np.dtype("uint8"): "U8",
    np.dtype("bool"): "BOOL",
}


def safetensors(tensors: Mapping[str, np.ndarray]) -> bytes:
    header, data = {}, b""
    for name, tensor in tensors.items():
        blob = tensor.tobytes()
        header[name] = entry(DTYPES[tensor.dtype], list(tensor.shape), [len(data), len(data) + len(blob)])
        data += blob
    return with_header(header, data)


def entry(dtype: Any, shape: Any, offsets: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def with_header(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file of any header, in bytes or as JSON has it, with any length before it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def write(path: Path, content: bytes | str | Mapping[str, np.ndarray]) -> Path:
    if isinstance(content, Mapping):
        content = safetensors(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_folder(folder: Path, tensors: Mapping[str, np.ndarray], config: Any = CONFIG) -> Path:
    """A folder in the hub's format."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "model.safetensors", tensors)
    write(folder / "config.json", config if isinstance(config, bytes | str) else json.dumps(config))
    return folder
