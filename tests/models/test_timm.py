"""The networks of timm, weight by weight: what PyTorch computes of them, ours compute of the same weights.

The reference runs in an environment of its own, which the first run makes under `.cache/` (`tests/reference/`).
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_se import SqueezeExcite
from keras_se.models import (
    SENet154,
    SEResNet,
    SEResNet18,
    SEResNet34,
    SEResNet50,
    SEResNet101,
    SEResNet152,
    SEResNeXt50,
    SEResNeXt101,
)
from keras_se.weights import ARCHITECTURES, load
from tests.support.arrays import array, error
from tests.support.cases import case
from tests.support.paths import ROOT, TESTS

REFERENCE = TESTS / "support" / "timm_reference"
ENVIRONMENT = ROOT / ".cache" / "timm"
# Of the largest magnitude. Rounding makes about 1e-6; another epsilon in the batch norms makes more than 1e-3.
TOLERANCE = 1e-4
pytestmark = pytest.mark.usefixtures("no_initial_values")  # every weight is assigned

# Names: what timm's are called in ours, by rules that are applied one after the other

Rules = tuple[tuple[str, str | Callable[[re.Match], str]], ...]

BLOCKS: Rules = (
    (r"^layer(\d)\.(\d+)\.", lambda match: f"stage{match[1]}_block{int(match[2]) + 1}_"),
    (r"_bn(\d)\.", r"_conv\1_bn."),
    (r"_(se|se_module)\.fc1\.", "_se.reduce_"),
    (r"_(se|se_module)\.fc2\.", "_se.expand_"),
)
PROJECTION: Rules = ((r"_downsample\.0\.", "_shortcut."), (r"_downsample\.1\.", "_shortcut_bn."))
# ResNet-D: the pooling is number 0.
AVERAGE: Rules = ((r"_downsample\.1\.", "_shortcut."), (r"_downsample\.2\.", "_shortcut_bn."))
VARIABLES: Rules = (
    (r"_bn\.weight$", "_bn.gamma"),
    (r"_bn\.bias$", "_bn.beta"),
    (r"_bn\.running_mean$", "_bn.moving_mean"),
    (r"_bn\.running_var$", "_bn.moving_variance"),
    (r"weight$", "kernel"),
    (r"\.", "/"),
)


def rules(stem: Rules, classifier: str, shortcut: Rules = PROJECTION) -> Rules:
    return (*stem, (rf"^{classifier}\.", "predictions."), *BLOCKS, *shortcut, *VARIABLES)


LEGACY_STEM: Rules = ((r"^layer0\.conv1\.", "stem_conv."), (r"^layer0\.bn1\.", "stem_conv_bn."))
LEGACY_DEEP_STEM: Rules = ((r"^layer0\.conv(\d)\.", r"stem_conv\1."), (r"^layer0\.bn(\d)\.", r"stem_conv\1_bn."))
STEM: Rules = ((r"^conv1\.", "stem_conv."), (r"^bn1\.", "stem_conv_bn."))
# A sequence of convolution, norm, ReLU, convolution, norm, ReLU, convolution; the last norm is outside of it.
DEEP_STEM: Rules = (
    (r"^conv1\.0\.", "stem_conv1."),
    (r"^conv1\.1\.", "stem_conv1_bn."),
    (r"^conv1\.3\.", "stem_conv2."),
    (r"^conv1\.4\.", "stem_conv2_bn."),
    (r"^conv1\.6\.", "stem_conv3."),
    (r"^bn1\.", "stem_conv3_bn."),
)


def translated(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


# Networks


class Network(NamedTuple):
    """What it is called in timm, how ours is built, and how to translate the names of its weights."""

    name: str
    build: Callable[..., keras.Model]
    rules: Rules


def rounded(stage: int) -> SqueezeExcite:
    """timm's SE, but for the legacy networks: the hidden width is a multiple of 8."""
    return SqueezeExcite(16, divisor=8)


V1_5 = {"se": rounded, "pool": "padded"}
BASIC = V1_5  # a basic block has no 1x1 that could stride
BOTTLENECK = V1_5 | {"stride_in": "3x3"}
D = BOTTLENECK | {"stem": "deep", "shortcut": "average"}
SEResNeXt26 = partial(SEResNet, (2, 2, 2, 2), width=2, groups=32)

LEGACY_RULES = rules(LEGACY_STEM, "last_linear")
RULES = rules(STEM, "fc")
D_RULES = rules(DEEP_STEM, "fc", AVERAGE)
NETWORKS = {
    network.name: network
    for network in (
        Network("legacy_seresnet18", partial(SEResNet18, branch_relu=True), LEGACY_RULES),
        Network("legacy_seresnet34", partial(SEResNet34, branch_relu=True), LEGACY_RULES),
        Network("legacy_seresnet50", SEResNet50, LEGACY_RULES),
        Network("legacy_seresnet101", SEResNet101, LEGACY_RULES),
        Network("legacy_seresnet152", SEResNet152, LEGACY_RULES),
        Network("legacy_seresnext26_32x4d", partial(SEResNeXt26, stride_in="3x3"), LEGACY_RULES),
        Network("legacy_seresnext50_32x4d", SEResNeXt50, LEGACY_RULES),
        Network("legacy_seresnext101_32x4d", SEResNeXt101, LEGACY_RULES),
        Network("legacy_senet154", SENet154, rules(LEGACY_DEEP_STEM, "last_linear")),
        Network("seresnet18", partial(SEResNet18, **BASIC), RULES),
        Network("seresnet34", partial(SEResNet34, **BASIC), RULES),
        Network("seresnet50", partial(SEResNet50, **BOTTLENECK), RULES),
        Network("seresnet101", partial(SEResNet101, **BOTTLENECK), RULES),
        Network("seresnet152", partial(SEResNet152, **BOTTLENECK), RULES),
        Network("seresnet152d", partial(SEResNet152, **D), D_RULES),
        Network("seresnext26d_32x4d", partial(SEResNeXt26, **D), D_RULES),
        Network("seresnext50_32x4d", partial(SEResNeXt50, **V1_5), RULES),
        Network("seresnext101_32x4d", partial(SEResNeXt101, **V1_5), RULES),
        Network("senet154", partial(SENet154, **V1_5), rules(DEEP_STEM, "fc")),
    )
}

# The reference


@pytest.fixture(scope="session")
def timm() -> Iterator[Callable[..., Any]]:
    """Returns the weights, the images and the outputs of a case, as the fields of a lazy `.npz`."""
    made = subprocess.run(
        [sys.executable, REFERENCE / "environment.py", ENVIRONMENT], check=True, text=True, stdout=subprocess.PIPE
    )
    command = [made.stdout.strip(), REFERENCE / "networks.py"]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield partial(_ask, process)  # which ends with its input


def _ask(process: subprocess.Popen, path: Path, **case: Any) -> Any:
    process.stdin.write(json.dumps({**case, "path": str(path)}) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == f"{path}\n", "the reference has ended; its own error stands above"
    return np.load(path)


# The comparison


def assign(model: keras.Model, weights: dict[str, np.ndarray], rules: Rules) -> None:
    """Gives every weight of the model the tensor of its name. None is left over, on either side."""
    variables = {variable.path: variable for variable in model.weights if "seed" not in variable.path}
    assert len(variables) == len({translated(name, rules) for name in weights}) == len(weights)
    for name, tensor in weights.items():
        variable = variables.pop(translated(name, rules))
        variable.assign(in_keras(tensor, len(variable.shape)))
    assert not variables


def in_keras(tensor: np.ndarray, rank: int) -> np.ndarray:
    """A kernel (out, in, height, width) as (height, width, in, out); one of 1x1 for a Dense or SE as (in, out)."""
    if tensor.ndim == 4:
        tensor = tensor.transpose(2, 3, 1, 0)
        return tensor if rank == 4 else tensor.reshape(tensor.shape[2:])
    return tensor.T


def outputs(model: keras.Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The feature map and the logits."""
    both = keras.Model(model.input, [model.get_layer("avg_pool").input, model.output])
    features, logits = both(x)
    return array(features), array(logits)


def compare(timm: Callable[..., Any], name: str, size: tuple[int, int], folder: Path, published: bool = False) -> None:
    network, path = NETWORKS[name], folder / "reference.npz"
    options = {"input_shape": (*size, 3), "classifier_activation": None}
    with timm(path, name=name, size=size, seed=0) as reference:
        x, expected, logits = (reference[key] for key in ("x", "features", "logits"))
        model = network.build(**options)
        weights = {key: reference[key] for key in reference.files if "." in key}
        assign(model, weights, network.rules)
        if published:
            publish(folder, weights, str(reference["config"]))
    path.unlink()  # up to half a gigabyte
    if published:
        assert_same(load(folder, **options), model)
    check(model, x, expected, logits)


def publish(folder: Path, weights: dict[str, np.ndarray], config: str) -> None:
    """Writes what the model hub would serve."""
    save_file({name: np.ascontiguousarray(array) for name, array in weights.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(config)


def assert_same(loaded: keras.Model, model: keras.Model) -> None:
    """Two networks of the same layers, with the same weights: so they compute the same."""
    architectures = [{**network.get_config(), "name": ""} for network in (loaded, model)]
    for one, other in zip(*(config["layers"] for config in architectures), strict=True):
        assert one == other
    for one, other in zip(loaded.weights, model.weights, strict=True):
        assert one.path.split("/")[-2:] == other.path.split("/")[-2:]
        if "seed" not in one.path:
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))


def check(model: keras.Model, x: np.ndarray, expected: np.ndarray, logits: np.ndarray) -> None:
    # The images, and not the biases alone, make the outputs: a hundred times more than is tolerated.
    assert error(logits[:1], logits[1:]) > 1e-2
    features, actual = outputs(model, np.moveaxis(x, 1, -1))
    errors = error(np.moveaxis(features, -1, 1), expected), error(actual, logits)
    assert max(errors) < TOLERANCE


# These only have more of the same blocks. Of the two SENets, and of the widths of ResNet-D, each run has one.
DEEP = [name for name in NETWORKS if re.search("101|152$|legacy_senet154", name)]


@pytest.mark.parametrize("name", [case(name, slow=name in DEEP) for name in NETWORKS])
def test_computes_what_timm_computes(name: str, timm: Callable[..., Any], tmp_path: Path) -> None:
    compare(timm, name, (64, 64), tmp_path, published=name in ARCHITECTURES)


def test_every_architecture_with_published_weights_is_compared() -> None:
    assert set(ARCHITECTURES) - {"mobilenetv3_small_100", "mobilenetv3_large_100"} <= set(NETWORKS)


@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "mobilenetv3_large_100"])
@pytest.mark.parametrize("size", [(64, 64), (75, 90)])
def test_published_mobilenet_v3(name: str, size: tuple[int, int], timm: Callable[..., Any], tmp_path: Path) -> None:
    with timm(tmp_path / "reference.npz", name=name, size=size, seed=0) as reference:
        publish(tmp_path, {key: reference[key] for key in reference.files if "." in key}, str(reference["config"]))
        x, features, logits = (reference[key] for key in ("x", "features", "logits"))
    check(load(tmp_path, input_shape=(*size, 3), classifier_activation=None), x, features, logits)


@pytest.mark.parametrize("size", [(73, 73), (75, 90)])
@pytest.mark.parametrize(
    "name", ["legacy_seresnet50", "legacy_seresnext26_32x4d", "seresnet18", "seresnet50", "seresnext26d_32x4d"]
)
def test_pads_as_timm_pads(name: str, size: tuple[int, int], timm: Callable[..., Any], tmp_path: Path) -> None:
    """Sizes that are odd where a layer strides, in one direction or in both."""
    compare(timm, name, size, tmp_path)
