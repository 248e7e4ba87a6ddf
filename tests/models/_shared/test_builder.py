"""The signature that all builders have, and the making of builders and their variants."""

import inspect
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import SqueezeExcite, models
from keras_se.models._shared.builder import builder, variant
from keras_se.models._shared.network import dense_head
from tests.support.arrays import array, randomise
from tests.support.numpy_networks import graphs_only, se_layers

pytestmark = graphs_only

Builder = Callable[..., keras.Model]
NAMES = list(models.BUILDERS)
# The networks of keras.applications that have the positional arguments of a named network here.
APPLICATIONS = {
    "SEDenseNet121": "DenseNet121",
    "SEInceptionV3": "InceptionV3",
    "SEInceptionResNetV2": "InceptionResNetV2",
    "SEMobileNet": "MobileNet",
    "SEMobileNetV2": "MobileNetV2",
    "SEMobileNetV3Large": "MobileNetV3Large",
    "SEMobileNetV3Small": "MobileNetV3Small",
    "SEResNet50": "ResNet50",
    "SEVGG16": "VGG16",
}
# Options that a named network has fixed, which its family has.
FIXED = {
    "SEDenseNet201": ("depths", "growth"),
    "SEMobileNetV3Large": ("variant",),
    "SENet154": ("depths",),
    "SEResNeXt50": ("depths", "block", "width", "groups", "stride_in"),
    "SEResNet20": ("depths", "block", "filters", "stem", "shortcut"),
    "SEResNet50": ("depths", "block"),
    "SEResNet164": ("depths", "block", "filters"),
    "SEVGG16": ("depths",),
    "SEWRN16_8": ("depths", "block", "filters"),
}


def parameters(function: Builder) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def positional(function: Builder) -> dict[str, Any]:
    return {name: p.default for name, p in parameters(function).items() if p.kind is p.POSITIONAL_OR_KEYWORD}


def required(function: Builder) -> list[str]:
    return [name for name, parameter in parameters(function).items() if parameter.default is parameter.empty]


# The argument that a family requires.
FIRST = {name: required(getattr(models, name))[0] for name in NAMES if required(getattr(models, name))}


# The signature


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_positional_part_is_that_of_keras_applications(name: str) -> None:
    ours = positional(getattr(models, name))
    theirs = positional(getattr(keras.applications, APPLICATIONS[name]))
    assert list(ours) == list(theirs)
    assert {key for key in ours if ours[key] != theirs[key]} <= {"weights", "name"}


@pytest.mark.parametrize("name", NAMES)
def test_what_all_builders_take(name: str) -> None:
    function = getattr(models, name)
    own, needed = parameters(function), required(function)
    assert {own[key].kind for key in ("r", "se", "placement")} == {inspect.Parameter.KEYWORD_ONLY}
    assert {own[key].default for key in ("weights", "input_shape", "input_tensor", "pooling", "se")} == {None}
    assert own["r"].default == (4 if "MobileNetV3" in name else 16)
    assert own["placement"].default == "standard"
    assert (own["include_top"].default, own["classifier_activation"].default) == (True, "softmax")
    assert needed == list(own)[: name in FIRST]
    if "MobileNet" not in name:
        after = list(positional(function))[len(needed) :]
        assert after == list(positional(keras.applications.ResNet50))
    assert inspect.signature(function).return_annotation is keras.Model


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_describes_every_argument(name: str) -> None:
    doc = inspect.getdoc(getattr(models, name))
    assert "{" not in doc
    described = doc[doc.index("Args:") : doc.index("Returns:")]
    names = re.findall(r"^    ([a-z_]\w*(?:, \w+)*):", described, re.MULTILINE)
    arguments = [argument for group in names for argument in group.split(", ")]
    assert sorted(arguments) == sorted(parameters(getattr(models, name)))


@pytest.mark.parametrize("name", NAMES)
def test_the_name_leads_back_to_the_builder(name: str) -> None:
    function = getattr(models, name)
    assert function.__name__ == function.__qualname__ == name
    assert function.__module__.startswith("keras_se.models.")
    assert pickle.loads(pickle.dumps(function)) is function


def test_the_names_of_the_models() -> None:
    names = {name: parameters(getattr(models, name))["name"].default for name in NAMES}
    assert len(set(names.values())) == len(names)
    assert {name.replace("_", "").lower() for name in names.values()} == {
        name.replace("_", "").lower() for name in names
    }


@pytest.mark.parametrize(
    ("name", "size", "classes"),
    [("SEResNet20", 32, 10), ("SEResNet164", 32, 10), ("SEWRN16_8", 32, 10), ("SEPreActResNet", 32, 10)]
    + [(name, 299, 1000) for name in ("SEInceptionV3", "SEInceptionResNetV2")]
    + [(name, 224, 1000) for name in ("SEResNet50", "SEBNInception", "SEMobileNetV3Small", "SEVGG16")],
)
def test_default_sizes_and_classes_are_documented(name: str, size: int, classes: int) -> None:
    # test_counts.py holds that they are built.
    assert parameters(getattr(models, name))["classes"].default == classes
    assert f" {size}x{size}x3 by default" in " ".join(getattr(models, name).__doc__.split())


# What is no argument


@pytest.mark.parametrize("name", NAMES)
def test_refuses_an_unknown_keyword(name: str) -> None:
    first = {FIRST[name]: None} if name in FIRST else {}
    with pytest.raises(TypeError, match="'colour'"):
        getattr(models, name)(colour="red", **first)


@pytest.mark.parametrize(("name", "option"), [(name, option) for name, options in FIXED.items() for option in options])
def test_refuses_what_is_fixed(name: str, option: str) -> None:
    with pytest.raises(TypeError, match=f"'{option}'"):
        getattr(models, name)(**{option: 1})
    assert option not in parameters(getattr(models, name))


def test_refuses_other_wrong_calls() -> None:
    with pytest.raises(TypeError, match="'depths'"):
        models.SEResNet()
    with pytest.raises(TypeError, match="'variant'"):
        models.SEMobileNetV3(alpha=0.5)
    with pytest.raises(TypeError, match="'include_top'"):
        models.SEResNet50(True, include_top=True)
    with pytest.raises(TypeError, match="too many positional arguments"):
        models.SEResNet50(*positional(models.SEResNet50).values(), 16)


def test_positional_arguments() -> None:
    image = keras.Input((16, 16, 3))
    model = models.SEResNet((1,), False, None, image, (16, 16, 3), "max", 7, None, "mine", filters=(2,), stem="small")
    assert (model.name, model.output_shape, model.layers[-1].name) == ("mine", (None, 8), "max_pool")
    model = models.SEPreActResNet((1,), True, None, None, (8, 8, 1), None, 7, filters=(2,))
    assert (model.input_shape, model.output_shape) == ((None, 8, 8, 1), (None, 7))


# Making a builder


@builder("toy", size=24, min_size=lambda width, **options: 4 * width, classes=3, r=2, placements=("standard", "post"))
def Toy(image: Any, se: Any, *, width: int = 2, odd: bool = False) -> tuple[Any, Any]:
    """A toy.

    Args:
        {arguments}
        width: Channels.
        odd: Nothing.
    """
    x = layers.Conv2D(width, 3, name="conv")(image)
    x = se("standard", x, stage=1, name="block")
    x = layers.ReLU(name="relu")(x)
    return se("post", x, stage=2, name="block"), dense_head


TinyToy = variant(Toy, "TinyToy", "A tiny toy.", {"name": "tiny_toy", "size": 8, "classes": 2, "r": 1}, width=1)


def test_a_builder() -> None:
    model = Toy()
    assert (model.name, model.input_shape, model.output_shape) == ("toy", (None, 24, 24, 3), (None, 3))
    assert [layer.name for layer in model.layers] == ["image", "conv", "block_se", "relu", "avg_pool", "predictions"]
    assert model.get_layer("block_se").r == 2
    assert [layer.name for layer in Toy(placement="post", include_top=False).layers][-2:] == ["relu", "block_se"]
    assert list(parameters(Toy))[-5:] == ["width", "odd", "r", "se", "placement"]
    assert (Toy.__name__, Toy.__module__) == ("Toy", __name__)


def test_its_least_size_may_depend_on_its_options() -> None:
    assert Toy(width=3, input_shape=(12, 12, 3)).output_shape == (None, 3)
    with pytest.raises(ValueError, match=r"^input_shape must be .* 12x12 pixels .* shape \(12, 11, 3\)$"):
        Toy(width=3, input_shape=(12, 11, 3))


def test_its_placements() -> None:
    with pytest.raises(
        ValueError, match=r"^placement must be one of 'standard', 'post' in this network\. Received: placement='pre'$"
    ):
        Toy(placement="pre")


def test_its_excitation() -> None:
    def bare(image: Any, se: Any) -> tuple[Any, Any]:
        return se("standard", image, stage=1, name="block"), dense_head

    special = builder("special", layer=lambda r, width: SqueezeExcite(r, bottleneck=width + r))
    model = special(bare)()
    assert model.get_layer("block_se").bottleneck == 3 + 16
    asked = []

    def se(stage: int) -> SqueezeExcite:
        asked.append(stage)
        return SqueezeExcite(5)

    assert Toy(se=se, r=None).get_layer("block_se").r == 5
    assert Toy(se=se, placement="post").get_layer("block_se").r == 5
    assert asked == [1, 2]


def test_a_variant() -> None:
    model = TinyToy()
    assert (model.name, model.input_shape, model.output_shape) == ("tiny_toy", (None, 8, 8, 3), (None, 2))
    assert model.get_layer("conv").filters == 1
    assert model.get_layer("block_se").r == 1
    assert TinyToy(r=4, name="mine", classes=5).output_shape == (None, 5)
    assert "width" not in parameters(TinyToy)
    assert "odd: As in `Toy`." in TinyToy.__doc__
    assert TinyToy.__doc__.startswith("A tiny toy.")
    with pytest.raises(TypeError, match="'width'"):
        TinyToy(width=1)
    # What it fixes, the least size is a function of, too.
    with pytest.raises(ValueError, match=r"4x4 pixels .* shape \(3, 4, 3\)$"):
        TinyToy(input_shape=(3, 4, 3))


def test_a_variant_leaves_its_family_as_it_is() -> None:
    assert Toy().name == "toy"
    assert parameters(Toy)["classes"].default == 3


def test_weights_of_a_variant_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    model = TinyToy()
    randomise(model)
    model.save_weights(path)
    loaded = TinyToy(weights=path)
    assert len(loaded.weights) == 8
    for actual, expected in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(array(actual), array(expected))


def test_weights_of_a_named_network_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    model = models.SEResNet20(input_shape=(8, 8, 3), r=None)
    randomise(model)
    model.save_weights(path)
    loaded = models.SEResNet20(input_shape=(12, 12, 3), r=None, weights=str(path))  # of another size, the same weights
    for actual, expected in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(array(actual), array(expected))


def test_without_r_there_is_no_se() -> None:
    assert se_layers(Toy(r=None)) == []
    with pytest.raises(ValueError, match=r"^r must be a positive integer\. Received: r=0$"):
        Toy(r=0, se=lambda stage: None)  # also where nothing would meet it


def test_docstrings_name_the_smallest_image() -> None:
    for name in NAMES:
        builder = getattr(models, name)
        required = {"depths": (1,), "filters": (8,), "variant": "small"}
        options = {key: value for key, value in required.items() if key in inspect.signature(builder).parameters}
        (size,) = re.findall(r"of (\d+)x\1 pixels or more", builder.__doc__)
        with pytest.raises(ValueError, match=f"^input_shape must be .* at least 1 channel and {size}x{size} pixels"):
            builder(**options, input_shape=(int(size) - 1, int(size), 3))


@pytest.mark.parametrize(
    ("builder", "said"),
    [
        (models.SEResNet20, "of 8x8 pixels or more, 32x32x3 by default"),
        (models.SEVGG16, "of 32x32 pixels or more, 224x224x3 by default"),
        (models.SEVGG, "of 32x32 pixels or more (with many stages, more), 224x224x3 by default"),
        (models.SEDenseNet, "of 32x32 pixels or more (with many stages, more), 224x224x3 by default"),
    ],
)
def test_the_smallest_image_depends_on_the_stages(builder: Builder, said: str) -> None:
    assert said in " ".join((builder.__doc__ or "").split())
