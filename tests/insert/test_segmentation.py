"""SE in segmentation networks for images of any size, in which shapes tell additions and resizings not apart."""

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import pytest

from keras_se import insert_se
from keras_se.graph.layer_predicates import is_dropout_or_scale, is_sum
from keras_se.graph.walk import calls
from keras_se.layers import ResizeLike
from keras_se.models import SEVGG, SEResNet, SEUNet
from tests.support.arrays import error, randomise
from tests.support.networks.toys import TOLERANCE, inserted, outputs, places

resnet = partial(SEResNet, (1, 1, 1), block="basic", filters=(4, 4, 4), r=None, include_top=False)
vgg = partial(SEVGG, (1, 1, 1, 1, 1), filters=(4, 4, 4, 4, 4), hidden=2, r=None, include_top=False)
IN_RESNET = [f"stage{stage}_block1_conv2_bn" for stage in (1, 2, 3)]
IN_VGG = [
    *(f"stage{stage}_block1_conv_relu" for stage in (1, 2, 3, 4, 5)),
    *(f"decoder{step}_conv2_relu" for step in (1, 2, 3, 4, 5)),
]
EACH = pytest.mark.parametrize(("build", "steps", "expected"), [(resnet, 4, IN_RESNET), (vgg, 5, IN_VGG)])


def unet(build: Callable[..., keras.Model], steps: int, size: int | None, se: str | None = None) -> keras.Model:
    """Each map as wide as the one that it is brought to the size of, which makes a resizing look like a sum."""
    return SEUNet(build(input_shape=(size, size, 3)), 5, (*(4,) * (steps - 1), 3), se=se)


def assert_same_of_any_size(model: keras.Model, excited: keras.Model) -> None:
    for size in ((64, 64), (37, 45)):
        x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
        (expected,), (actual,) = outputs(model, x), outputs(excited, x)
        assert error(expected[1:], expected[:1]) > 1e-2
        assert error(actual, expected) < TOLERANCE


@EACH
def test_of_any_size_it_goes_where_it_goes_of_a_known_one(
    build: Callable[..., keras.Model], steps: int, expected: list[str]
) -> None:
    assert places(unet(build, steps, 64)) == expected
    assert places(unet(build, steps, None)) == expected


@EACH
def test_a_resizing_is_no_sum_and_no_dropout(
    build: Callable[..., keras.Model], steps: int, expected: list[str]
) -> None:
    resized = [call for call in calls(unet(build, steps, None)) if isinstance(call.layer, ResizeLike)]
    assert len(resized) == steps + 1  # that of the classes, too
    alike = [call for call in resized if {*call.inputs} == {*call.outputs}]
    assert len(alike) >= steps - 1  # as those of an addition are
    assert not any(is_sum(call) or is_dropout_or_scale(call.layer) for call in resized)


@EACH
def test_of_any_size_it_computes_the_same(build: Callable[..., keras.Model], steps: int, expected: list[str]) -> None:
    model = unet(build, steps, None)
    randomise(model)
    excited = insert_se(model, r=2)
    assert excited.input_shape == (None, None, None, 3)
    assert [layer.name for layer in inserted(excited)] == [f"{place}_se" for place in expected]
    assert_same_of_any_size(model, excited)


@EACH
def test_the_insides_of_its_own_excitations_are_left_alone(
    build: Callable[..., keras.Model], steps: int, expected: list[str]
) -> None:
    model = unet(build, steps, None, se="scse")
    randomise(model)
    with pytest.raises(ValueError, match=r"decoder1_se"):
        insert_se(model, r=2)
    excited = insert_se(model, r=2, force=True)
    own = [f"decoder{step}_se" for step in range(1, steps + 1)]
    assert {f"{place}_se" for place in expected} == {
        layer.name for layer in excited.layers if layer.name.endswith("_se") and layer.name not in own
    }
    for name in own:
        assert excited.get_layer(name).get_config() == model.get_layer(name).get_config()
    assert_same_of_any_size(model, excited)
