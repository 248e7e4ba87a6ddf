"""Tensors of a checkpoint in the variables of a network: each of them once, with exactly its values, or none."""

import itertools
import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

import keras_se.models
from keras_se.layers import SqueezeExcite
from keras_se.weights import ARCHITECTURES, NewClassifierWarning, load
from keras_se.weights.assign import assign
from keras_se.weights.checkpoint import open_tensors
from keras_se.weights.locate import find_source
from keras_se.weights.resolve import load_into
from tests.support.arrays import array, randomise
from tests.support.cases import case
from tests.support.checkpoints import (
    CLASSES,
    CONFIG,
    IN_PYTORCH,
    NARROW,
    NETWORKS,
    SERESNET18,
    SHAPE,
    Checkpoint,
    assert_values,
    checkpoint,
    refusal,
    unchanged,
    values,
    write,
    write_folder,
)

Tensors = dict[str, np.ndarray]
WIDE: dict[str, Any] = {"input_shape": (64, 64, 3), "classifier_activation": None}
BASIC, BOTTLENECK = NETWORKS["legacy basic"], NETWORKS["legacy bottleneck"]


@pytest.fixture(scope="module")
def files(models: Callable[[str], keras.Model], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each family. No test may change it."""
    folder = tmp_path_factory.mktemp("files")
    return {
        name: write(folder / f"{name}.safetensors", checkpoint(network, models(name)).tensors)
        for name, network in NETWORKS.items()
    }


class Reference(NamedTuple):
    """A family's checkpoint, its values, and what the family's own network computes of them."""

    path: Path
    expected: dict[str, np.ndarray]
    image: np.ndarray
    output: np.ndarray


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Reference]:
    made: dict[str, Reference] = {}

    def reference(family: str) -> Reference:
        if family not in made:
            network = NETWORKS[family]
            model = network.build(**WIDE)
            randomise(model)
            expected = values(model)
            tensors = {
                row.source: np.ascontiguousarray(IN_PYTORCH[row.kind](expected[row.ours])) for row in network.rows
            }
            path = write(tmp_path_factory.mktemp("reference") / "model.safetensors", tensors)
            image = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype("float32")
            made[family] = Reference(path, expected, image, array(model(image)))
        return made[family]

    return reference


@pytest.fixture(scope="module")
def seresnet18() -> Checkpoint:
    return checkpoint(SERESNET18)


# What fits


@pytest.mark.parametrize("family", NETWORKS)
def test_every_variable_gets_its_tensor(family: str, models: Callable[[str], keras.Model], tmp_path: Path) -> None:
    network = NETWORKS[family]
    tensors, expected = checkpoint(network, models(family))
    # In another order than the network's, with the counters that PyTorch writes.
    shuffled = {name: tensors[name] for name in np.random.default_rng(1).permutation(sorted(tensors))}
    counters = {
        name.replace("running_mean", "num_batches_tracked"): np.array(3, "int64")
        for name in tensors
        if name.endswith("running_mean")
    }
    path = write(tmp_path / "model.safetensors", {**shuffled, **counters})
    model = network.build(weights=path)
    assert_values(model, expected)
    outputs = array(model(np.ones((1, *SHAPE), "float32")))
    assert outputs.shape == (1, CLASSES)
    assert np.isfinite(outputs).all()


def test_each_tensor_is_read_once(good: Checkpoint, models: Callable[[str], keras.Model], tmp_path: Path) -> None:
    opened = open_tensors(write(tmp_path / "model.safetensors", good.tensors))
    reads: Counter[str] = Counter()

    def read(name: str) -> np.ndarray:
        reads[name] += 1
        return opened.read(name)

    assign(models("legacy basic"), replace(opened, read=read))
    assert reads == dict.fromkeys(good.tensors, 1)


def test_the_address_is_text_or_a_path(good: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", good.tensors)
    for weights in (path, str(path), tmp_path, str(tmp_path)):
        assert_values(BASIC.build(weights=weights), good.expected)


def test_a_folder_makes_its_network(seresnet18: Checkpoint, tmp_path: Path) -> None:
    tensors, expected = seresnet18
    for address in (write_folder(tmp_path, tensors), str(tmp_path)):
        model = load(address, **NARROW)
        assert_values(model, expected)
    assert model.input_shape == (None, *SHAPE)
    assert model.output_shape == (None, CLASSES)
    assert (model.preprocessing.size, model.preprocessing.mean) == (SHAPE[:2], (0.5, 0.4, 0.3))


def test_options_win_over_the_folder(seresnet18: Checkpoint, tmp_path: Path) -> None:
    tensors, expected = seresnet18
    folder = write_folder(tmp_path, tensors)
    model = load(folder, **NARROW, input_shape=(48, 64, 3), name="mine", classifier_activation=None)
    assert_values(model, expected)
    assert (model.name, model.input_shape) == ("mine", (None, 48, 64, 3))
    assert model.get_layer("predictions").activation is keras.activations.linear
    image = keras.Input((40, 40, 3))
    assert_values(load(folder, **NARROW, input_tensor=image), expected)


def test_images_are_prepared_for_the_network_as_it_is(seresnet18: Checkpoint, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, seresnet18.tensors)
    flat = keras.Input((48 * 40 * 3,))
    model = load(folder, **NARROW, input_tensor=keras.layers.Reshape((48, 40, 3))(flat))
    assert model.preprocessing.size == (48, 40)
    unknown = load(folder, **NARROW, input_shape=(None, 40, 3), include_top=False, classes=7)
    assert (unknown.preprocessing.size, unknown.preprocessing.classes) == (SHAPE[:2], CLASSES)
    built = SERESNET18.build(weights=folder)
    assert built.preprocessing == load(folder, **NARROW).preprocessing
    assert not hasattr(SERESNET18.build(weights=folder / "model.safetensors"), "preprocessing")


def test_a_folder_of_another_architecture(models: Callable[[str], keras.Model], tmp_path: Path) -> None:
    network = NETWORKS["mobilenetv3"]
    tensors, expected = checkpoint(network, models("mobilenetv3"))
    folder = write_folder(tmp_path, tensors, {**CONFIG, "architecture": "mobilenetv3_small_100"})
    assert_values(load(folder, alpha=0.25), expected)


def test_every_architecture_names_a_builder() -> None:
    for builder, options in ARCHITECTURES.values():
        assert callable(getattr(keras_se.models, builder))
        assert "weights" not in options


def test_channels_first(seresnet18: Checkpoint, tmp_path: Path) -> None:
    tensors, expected = seresnet18
    folder = write_folder(tmp_path, tensors)
    keras.config.set_image_data_format("channels_first")
    model = load(folder, **NARROW)
    assert model.input_shape == (None, 3, *SHAPE[:2])
    assert_values(model, expected)
    other = load(folder, **NARROW, input_shape=(3, 40, 48))
    assert other.input_shape == (None, 3, 40, 48)
    assert_values(other, expected)


def test_mixed_precision(good: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", good.tensors)
    keras.config.set_dtype_policy("mixed_float16")
    assert_values(BASIC.build(weights=path), good.expected)


def test_the_network_outlives_the_file(good: Checkpoint, tmp_path: Path) -> None:
    """No value is left in the file, to be read later."""
    path = write(tmp_path / "model.safetensors", good.tensors)
    model = BASIC.build(weights=path)
    path.write_bytes(bytes(path.stat().st_size))
    path.unlink()
    assert_values(model, good.expected)


def test_loading_leaves_the_file_as_it_is(good: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", good.tensors)
    content = path.read_bytes()
    model = BASIC.build(weights=path)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_second_checkpoint_replaces_the_first(good: Checkpoint, tmp_path: Path) -> None:
    model = BASIC.build(weights=write(tmp_path / "a.safetensors", good.tensors))
    other = checkpoint(BASIC, model, seed=1)
    load_into(model, find_source(write(tmp_path / "b.safetensors", other.tensors)))
    assert_values(model, other.expected)


@pytest.mark.parametrize("family", ["legacy basic", "mobilenetv3"])
def test_layers_before_the_network_keep_their_weights(
    family: str, models: Callable[[str], keras.Model], files: dict[str, Path]
) -> None:
    own = keras.layers.Conv2D(3, 1, name="own")
    grey = own(keras.Input((*SHAPE[:2], 1)))
    before = own.get_weights()
    options = {"input_shape": None, "input_tensor": keras.layers.BatchNormalization(name="own_bn")(grey)}
    model = NETWORKS[family].build(weights=files[family], **options)
    assert model.input_shape == (None, *SHAPE[:2], 1)
    for one, other in zip(own.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    expected = checkpoint(NETWORKS[family], models(family)).expected
    actual = {path: value for path, value in values(model).items() if not path.startswith("own")}
    assert actual.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(actual[path], value, err_msg=path)


# What does not

KERNEL, GAMMA, SQUEEZE, CLASSIFIER = (
    "layer1.0.conv1.weight",
    "layer2.0.bn2.weight",
    "layer2.0.se_module.fc1.weight",
    "last_linear.weight",
)


def without(*names: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: value for name, value in tensors.items() if name not in names}


def besides(others: dict[str, tuple[int, ...]]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, **{name: np.ones(shape, "float32") for name, shape in others.items()}}


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: np.array(change(tensors[name]), order="C")}


def resized(name: str, shape: tuple[int, ...]) -> Callable[[Tensors], Tensors]:
    return changed(name, lambda value: np.resize(value, shape))


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {new if name == old else name: value for name, value in tensors.items()}


# The change to a checkpoint of the basic network → what the message has.
FAULTS: dict[str, tuple[Callable[[Tensors], Tensors], list[str]]] = {
    "no kernel": (without(KERNEL), ["no tensor for stage1_block1_conv1/kernel (3, 3, 4, 4)"]),
    "no scale": (without(GAMMA), ["no tensor for stage2_block1_conv2_bn/gamma (8,)"]),
    "no mean": (without("layer0.bn1.running_mean"), ["no tensor for stem_conv_bn/moving_mean (4,)"]),
    "no bias of SE": (without("layer1.0.se_module.fc2.bias"), ["no tensor for stage1_block1_se/expand_bias (4,)"]),
    "no classifier": (
        without(CLASSIFIER, "last_linear.bias"),
        ["no tensor for predictions/kernel (8, 5), predictions/bias (5,)"],
    ),
    "no bias of the classifier": (without("last_linear.bias"), ["no tensor for predictions/bias (5,)"]),
    "two missing": (
        without(KERNEL, GAMMA),
        ["no tensor for stage1_block1_conv1/kernel (3, 3, 4, 4), stage2_block1_conv2_bn/gamma (8,)"],
    ),
    "only one": (
        lambda tensors: {"layer0.conv1.weight": tensors["layer0.conv1.weight"]},
        ["no tensor for stem_conv_bn/gamma (4,), ", " and 34 more"],
    ),
    "an unknown tensor": (besides({"extra": (3,)}), ["no variable for extra (3,)"]),
    "an unknown layer": (besides({"layer1.0.conv9.weight": (3,)}), ["no variable for layer1.0.conv9.weight (3,)"]),
    "an unknown part": (besides({"layer1.0.conv1.scale": (3,)}), ["no variable for layer1.0.conv1.scale (3,)"]),
    "a bias that the network lacks": (
        besides({"layer1.0.conv1.bias": (4,)}),
        ["no variable for layer1.0.conv1.bias (4,)"],
    ),
    "a block more": (
        besides({"layer1.1.conv1.weight": (4, 4, 3, 3), "layer1.1.bn1.weight": (4,)}),
        ["no variable for layer1.1.bn1.weight (4,), layer1.1.conv1.weight (4, 4, 3, 3)"],
    ),
    "a stage more": (besides({"layer3.0.conv1.weight": (9,)}), ["no variable for layer3.0.conv1.weight (9,)"]),
    "seven more": (
        besides({f"extra{i}": (1,) for i in range(7)}),
        ["no variable for extra0 (1,), ", "extra4 (1,) and 2"],
    ),
    "a second of one place": (
        besides({"layer01.0.conv1.weight": (4, 4, 3, 3)}),
        ["a second tensor for the variable of layer"],
    ),
    "a second in other digits": (
        besides({"layer1.\N{ARABIC-INDIC DIGIT ZERO}.conv1.weight": (4, 4, 3, 3)}),
        ["no variable for layer1."],
    ),
    "another name": (
        renamed(GAMMA, "layer2.0.bn2.gamma"),
        ["no tensor for stage2_block1_conv2_bn/gamma (8,)", "no variable for layer2.0.bn2.gamma (8,)"],
    ),
    "a prefix": (
        lambda tensors: {**without(KERNEL)(tensors), f"backbone.{KERNEL}": tensors[KERNEL]},
        ["no tensor for stage1_block1_conv1/kernel (3, 3, 4, 4)", f"no variable for backbone.{KERNEL} (4, 4, 3, 3)"],
    ),
    "more channels": (
        resized(KERNEL, (6, 4, 3, 3)),
        [f"another shape: {KERNEL} (6, 4, 3, 3) for stage1_block1_conv1/kernel (3, 3, 4, 4)"],
    ),
    "a smaller window": (
        resized(KERNEL, (4, 4, 1, 1)),
        [f"another shape: {KERNEL} (4, 4, 1, 1) for stage1_block1_conv1/kernel (3, 3, 4, 4)"],
    ),
    "axes as in Keras": (
        changed("layer0.conv1.weight", lambda value: value.transpose(2, 3, 1, 0)),
        ["another shape: layer0.conv1.weight (7, 7, 3, 4) for stem_conv/kernel (7, 7, 3, 4)"],
    ),
    "SE the other way round": (
        changed(SQUEEZE, lambda value: value.transpose(1, 0, 2, 3)),
        [f"another shape: {SQUEEZE} (8, 4, 1, 1) for stage2_block1_se/reduce_kernel (8, 4)"],
    ),
    "SE of 3x3": (
        resized(SQUEEZE, (4, 8, 3, 3)),
        [f"another shape: {SQUEEZE} (4, 8, 3, 3) for stage2_block1_se/reduce_kernel (8, 4)"],
    ),
    "SE of 1x1x1": (resized(SQUEEZE, (4, 8, 1, 1, 1)), [f"another shape: {SQUEEZE} (4, 8, 1, 1, 1) for stage2_"]),
    "SE of 1": (resized(SQUEEZE, (4, 8, 1)), [f"another shape: {SQUEEZE} (4, 8, 1) for stage2_"]),
    "SE of one axis": (resized(SQUEEZE, (32,)), [f"another shape: {SQUEEZE} (32,) for stage2_block1_se/reduce_kernel"]),
    "an axis more": (resized(KERNEL, (4, 4, 3, 3, 1)), [f"another shape: {KERNEL} (4, 4, 3, 3, 1) for stage1_"]),
    "an axis less": (resized(KERNEL, (4, 4, 9)), [f"another shape: {KERNEL} (4, 4, 9) for stage1_block1_conv1/kernel"]),
    "a number for a vector": (changed(GAMMA, lambda value: value[0].reshape(())), [f"another shape: {GAMMA} () for "]),
    "a matrix for a vector": (changed(GAMMA, lambda value: value[:, None]), [f"another shape: {GAMMA} (8, 1) for "]),
    "nothing in it": (
        changed(GAMMA, lambda value: value[:0]),
        [f"another shape: {GAMMA} (0,) for stage2_block1_conv2_bn"],
    ),
    "a classifier the other way round": (
        changed(CLASSIFIER, np.transpose),
        [f"another shape: {CLASSIFIER} (8, 5) for predictions/kernel (8, 5)"],
    ),
    "a classifier of other features": (
        resized(CLASSIFIER, (7, 16)),
        [f"another shape: {CLASSIFIER} (7, 16) for predictions/kernel (8, 5)"],
    ),
    "a classifier of two minds": (
        resized(CLASSIFIER, (7, 8)),
        [f"another shape: {CLASSIFIER} (7, 8) for predictions/kernel (8, 5)"],
    ),
    "a classifier of another bias": (
        resized("last_linear.bias", (7,)),
        ["another shape: last_linear.bias (7,) for predictions/bias (5,)"],
    ),
    "a classifier without axes": (
        lambda tensors: resized(CLASSIFIER, ())(resized("last_linear.bias", ())(tensors)),
        [
            "another shape: last_linear.bias () for predictions/bias (5,)",
            f", {CLASSIFIER} () for predictions/kernel (8, 5)",
        ],
    ),
    "all kinds at once": (
        lambda tensors: besides({"extra": (3,)})(resized(GAMMA, (3,))(without(KERNEL)(tensors))),
        [
            "no tensor for stage1_block1_conv1/kernel (3, 3, 4, 4); ",
            "; no variable for extra (3,); ",
            f"; another shape: {GAMMA} (3,) for stage2_block1_conv2_bn/gamma (8,)",
        ],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_listed(
    fault: str, good: Checkpoint, models: Callable[[str], keras.Model], tmp_path: Path
) -> None:
    change, expected = FAULTS[fault]
    path = write(tmp_path / "model.safetensors", change(dict(good.tensors)))
    model = models("legacy basic")
    with unchanged(model):
        message = refusal(lambda: assign(model, open_tensors(path)))
    assert message.startswith("weights must have a tensor for each variable of 'se_resnet'. Received: ")
    for part in (repr(str(path)), "timm's legacy SE networks", *expected):
        assert part in message


@pytest.mark.parametrize("fault", ["no kernel", "an unknown tensor", "SE of 3x3", "a classifier the other way round"])
def test_no_builder_returns_half_a_network(fault: str, good: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", FAULTS[fault][0](dict(good.tensors)))
    message = refusal(lambda: BASIC.build(weights=path))
    assert all(part in message for part in FAULTS[fault][1])


@pytest.mark.parametrize("fault", ["no kernel", "SE of 3x3"])
def test_no_folder_makes_half_a_network(fault: str, seresnet18: Checkpoint, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, FAULTS[fault][0](dict(seresnet18.tensors)))
    message = refusal(lambda: load(folder, **NARROW))
    assert message.startswith("weights must have a tensor for each variable of 'se_resnet18'. Received: ")
    assert ("no tensor for " if fault == "no kernel" else "another shape: ") in message


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.permutations(NETWORKS, 2)))
def test_checkpoints_of_other_networks(
    ours: str, theirs: str, models: Callable[[str], keras.Model], files: dict[str, Path]
) -> None:
    model = models(ours)
    with unchanged(model):
        message = refusal(lambda: load_into(model, find_source(files[theirs])))
    assert repr(str(files[theirs])) in message


@pytest.mark.parametrize(
    "names", [["features.0.weight", "classifier.6.bias"], ["x"], [f"layer{i}" for i in range(9)], ["a" * 300]]
)
def test_checkpoints_of_no_family(names: list[str], models: Callable[[str], keras.Model], tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", {name: np.ones(1, "float32") for name in names})
    with unchanged(models("basic")):
        message = refusal(lambda: load_into(models("basic"), find_source(path)))
    assert message.startswith("weights must be a checkpoint of timm's legacy SE networks, timm's ")
    assert message.endswith(f"Received: {str(path)!r} with tensors {', '.join(sorted(names)[:5])}")


def se_of(**options: Any) -> Callable[[int], SqueezeExcite]:
    return lambda stage: SqueezeExcite(2, **options)


# The options of each kind of network that keep the shapes of its variables in some family or other.
PLACEMENTS = ["standard", "pre", "post", "identity", "3x3"]
RESIDUAL = {
    "pool": ["ceil", "padded"],
    "stride_in": ["1x1", "3x3"],
    "shortcut": ["projection", "average", "zeros"],
    "branch_relu": [True, False],
    "placement": PLACEMENTS,
    "se": [se_of(gate="hard_sigmoid"), se_of(squeeze="max"), se_of(activation="tanh"), se_of()],
}
INVERTED = {
    "padding": ["same", "symmetric"],
    "epsilon": [1e-3, 1e-5],
    "include_preprocessing": [True, False],
    "placement": PLACEMENTS,
    "dropout_rate": [0.5],
}
OPTIONS = [
    (family, option, value)
    for family in NETWORKS
    for option, choices in (INVERTED if family == "mobilenetv3" else RESIDUAL).items()
    for value in choices
]


# In each run, those of a network of each kind of block.
OFTEN = ("legacy basic", "bottleneck", "mobilenetv3")


@pytest.mark.parametrize(
    ("family", "option", "value"),
    [case(*row, id=f"{row[0]}-{row[1]}-{i}", slow=row[0] not in OFTEN) for i, row in enumerate(OPTIONS)],
)
def test_weights_are_taken_where_the_same_is_computed(
    family: str, option: str, value: Any, references: Callable[[str], Reference]
) -> None:
    """And nowhere else, whatever the shapes are."""
    reference = references(family)
    try:
        plain = NETWORKS[family].build(**WIDE, **{option: value})
    except ValueError:
        return  # basic blocks have no such option
    said = refused(lambda: load_into(plain, find_source(reference.path)))
    shapes = {path: value.shape for path, value in values(plain).items()}
    if shapes != {path: value.shape for path, value in reference.expected.items()}:
        assert "weights must have a tensor for each variable" in said
        return
    for variable in plain.weights:
        if "seed" not in variable.path:
            variable.assign(reference.expected[variable.path])
    same = difference(plain(reference.image), reference.output) < 1e-6
    assert same == (said == "")
    named = "SE of " if option == "se" else f"{option}="
    assert same or re.search(f" require a network built with .*{named}", said)


def refused(call: Callable[[], None]) -> str:
    """What an error of the call says, if there is one."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


def difference(actual: Any, expected: np.ndarray) -> float:
    return float(np.abs(array(actual) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("pool", ["ceil", "padded"])
def test_a_stem_without_a_pooling_has_no_pool(pool: str, tmp_path: Path) -> None:
    for family in ("legacy bottleneck", "bottleneck"):
        model = NETWORKS[family].build(stem="small", pool=pool)
        tensors, expected = checkpoint(NETWORKS[family], model)
        load_into(model, find_source(write(tmp_path / "model.safetensors", tensors)))
        assert_values(model, expected)


class Pair(keras.layers.Layer):
    """Two excitations, whose variables have the same names."""

    def build(self, input_shape: Any) -> None:
        self.one, self.two = SqueezeExcite(2), SqueezeExcite(2)
        self.one.build(input_shape)
        self.two.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.two(self.one(inputs))


def test_variables_of_one_name(files: dict[str, Path]) -> None:
    message = refusal(lambda: BASIC.build(weights=files["legacy basic"], se=lambda stage: Pair()))
    assert message.endswith("Received: 'se_resnet' with two stage1_block1_se/reduce_kernel")


# Classes and heads


@pytest.mark.parametrize(
    ("family", "layer", "shapes"),
    [
        ("legacy basic", "predictions", "last_linear.bias (5,), last_linear.weight (5, 8)"),
        ("bottleneck", "predictions", "fc.bias (5,), fc.weight (5, 32)"),
        ("mobilenetv3", "logits", "classifier.bias (5,), classifier.weight (5, 1024)"),
    ],
)
def test_other_classes_keep_the_backbone(
    family: str, layer: str, shapes: str, models: Callable[[str], keras.Model], tmp_path: Path
) -> None:
    network = NETWORKS[family]
    tensors, expected = checkpoint(network, models(family))
    path = write(tmp_path / "model.safetensors", tensors)
    keras.utils.set_random_seed(1)
    new = network.build(classes=9)
    keras.utils.set_random_seed(1)
    with pytest.warns(NewClassifierWarning, match="other classes") as caught:
        model = network.build(classes=9, weights=path)
    message = f"{model.name} has other classes than {path}: left out {shapes}."
    assert [str(warning.message) for warning in caught] == [message]
    assert caught[0].filename == __file__
    head = {path: value for path, value in values(new).items() if path.split("/")[0] == layer}
    assert len(head) == 2
    backbone = {path: value for path, value in expected.items() if path not in head}
    assert_values(model, {**backbone, **head})


def test_other_classes_of_a_folder(seresnet18: Checkpoint, tmp_path: Path) -> None:
    tensors, expected = seresnet18
    folder = write_folder(tmp_path, tensors)
    with pytest.warns(
        UserWarning, match=r"^mine has other classes than .*: left out last_linear\.bias \(5,\), last_"
    ) as caught:
        model = load(folder, **NARROW, classes=10, name="mine")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.output_shape == (None, 10)
    for path, value in values(model).items():
        if not path.startswith("predictions"):
            np.testing.assert_array_equal(value, expected[path])


def test_other_classes_do_not_excuse_another_fault(good: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", FAULTS["no kernel"][0](dict(good.tensors)))
    with warnings.catch_warnings(record=True) as caught:
        message = refusal(lambda: BASIC.build(classes=9, weights=path))
    assert "no tensor for stage1_block1_conv1/kernel" in message
    assert "predictions" not in message
    assert not caught


def test_a_classifier_that_is_left_out_is_not_read(good: Checkpoint, tmp_path: Path) -> None:
    tensors = {**good.tensors, CLASSIFIER: np.full_like(good.tensors[CLASSIFIER], np.nan)}
    path = write(tmp_path / "model.safetensors", tensors)
    with pytest.warns(UserWarning, match="left out"):
        BASIC.build(classes=9, weights=path)
    assert CLASSIFIER in refusal(lambda: BASIC.build(weights=path))


@pytest.mark.parametrize(
    ("family", "head", "pooling"),
    [
        ("legacy basic", ["predictions"], None),
        ("legacy basic", ["predictions"], "avg"),
        ("mobilenetv3", ["hidden", "logits"], None),
    ],
)
def test_without_its_top(
    family: str, head: list[str], pooling: str | None, models: Callable[[str], keras.Model], tmp_path: Path
) -> None:
    network = NETWORKS[family]
    tensors, expected = checkpoint(network, models(family))
    backbone = {path: value for path, value in expected.items() if path.split("/")[0] not in head}
    # With the head in the file, of these classes or others; and without it.
    rows = {row.source: row.ours for row in network.rows}
    headless = {name: value for name, value in tensors.items() if rows[name] in backbone}
    for content, classes in ((tensors, CLASSES), (tensors, 9), (headless, CLASSES)):
        path = write(tmp_path / "model.safetensors", content)
        model = network.build(weights=path, include_top=False, pooling=pooling, classes=classes)
        assert_values(model, backbone)


def test_a_folder_without_its_top(seresnet18: Checkpoint, tmp_path: Path) -> None:
    tensors, expected = seresnet18
    model = load(write_folder(tmp_path, tensors), **NARROW, include_top=False, input_shape=(None, None, 3))
    assert_values(model, {path: value for path, value in expected.items() if not path.startswith("predictions")})
    assert model.output_shape == (None, None, None, 8)


def test_without_its_top_faults_are_found(good: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", FAULTS["no scale"][0](dict(good.tensors)))
    message = refusal(lambda: BASIC.build(weights=path, include_top=False))
    assert "no tensor for stage2_block1_conv2_bn/gamma (8,)" in message
