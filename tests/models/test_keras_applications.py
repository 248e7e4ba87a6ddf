"""The networks of keras.applications: with the same weights, ours compute the same."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import applications

from keras_se import SqueezeExcite
from keras_se.models import (
    SEDenseNet121,
    SEInceptionResNetV2,
    SEInceptionV3,
    SEMobileNetV2,
    SEMobileNetV3Large,
    SEMobileNetV3Small,
)
from tests.support.arrays import array, error, randomise
from tests.support.cases import case

# Of the largest magnitude.
TOLERANCE = 1e-4
pytestmark = pytest.mark.usefixtures("no_initial_values")  # every weight is assigned


class Pair(NamedTuple):
    """A reference and our network, which take the same options."""

    reference: Callable[..., keras.Model]
    ours: Callable[..., keras.Model]
    smallest: int = 32
    brightest: float = 1.0  # images have values from 0 up to here

    def options(self, **options: Any) -> "Pair":
        return self._replace(reference=partial(self.reference, **options), ours=partial(self.ours, **options))


V2 = Pair(applications.MobileNetV2, partial(SEMobileNetV2, r=None))
# These come with SE, and scale their images themselves.
V3_SMALL = Pair(applications.MobileNetV3Small, SEMobileNetV3Small, brightest=255)
V3_LARGE = Pair(applications.MobileNetV3Large, SEMobileNetV3Large, brightest=255)
PAIRS = {
    "mobilenet_v2": V2.options(alpha=1.0),
    "mobilenet_v2_035": V2.options(alpha=0.35),
    "mobilenet_v2_140": V2.options(alpha=1.4),
    "mobilenet_v3_small": V3_SMALL,
    "mobilenet_v3_small_125": V3_SMALL.options(alpha=1.25),
    "mobilenet_v3_small_minimalistic": V3_SMALL.options(minimalistic=True),
    "mobilenet_v3_large": V3_LARGE,
    "mobilenet_v3_large_075": V3_LARGE.options(alpha=0.75),
    "mobilenet_v3_large_minimalistic": V3_LARGE.options(minimalistic=True, include_preprocessing=False),
    "densenet121": Pair(applications.DenseNet121, partial(SEDenseNet121, r=None)),
    "inception_v3": Pair(applications.InceptionV3, partial(SEInceptionV3, r=None), smallest=75),
    "inception_resnet_v2": Pair(applications.InceptionResNetV2, partial(SEInceptionResNetV2, r=None), smallest=75),
}

# In each run; the others take seconds each.
QUICK = ("mobilenet_v2_035", "mobilenet_v3_small")
OTHERS = pytest.mark.reference


# Weights from one to the other


def layers_with_weights(model: keras.Model) -> list[keras.layers.Layer]:
    """Depth first, the inputs of a layer before itself and in the order in which it takes them.

    So two networks of the same structure give the same order, whatever their layers are called, in whatever order
    their branches were built, and however many layers without weights lie between. `model.layers` does not: it goes
    by the distance from the output.
    """
    order: list[keras.layers.Layer] = []
    met, stack = set(), [(model.output._keras_history.operation, False)]
    while stack:
        operation, inputs_are_done = stack.pop()
        if inputs_are_done:
            order.append(operation)
        elif operation not in met:
            met.add(operation)
            stack.append((operation, True))
            stack += [(source, False) for source in reversed(sources(operation))]
    return [layer for layer in order if getattr(layer, "weights", None)]


def sources(operation: keras.Operation) -> list[keras.Operation]:
    if isinstance(operation, keras.layers.InputLayer):
        return []
    return [tensor._keras_history.operation for tensor in keras.tree.flatten(operation.input)]


def described(layer: keras.layers.Layer) -> list[tuple[str, str, keras.Variable]]:
    """The kind of layer, the name and the variable of each weight; SE as the two 1x1 convolutions that it is."""
    if not isinstance(layer, SqueezeExcite):
        return [(type(layer).__name__, weight.name, weight) for weight in layer.weights]
    return [("Conv2D", weight.name.split("_")[1], weight) for weight in layer.weights]


def copy_weights(reference: keras.Model, ours: keras.Model) -> None:
    theirs, mine = (
        [entry for layer in layers_with_weights(model) for entry in described(layer)] for model in (reference, ours)
    )
    assert [entry[:2] for entry in mine] == [entry[:2] for entry in theirs]
    assert {id(entry[2]) for entry in mine} == {id(v) for v in ours.weights if "seed" not in v.path}
    for (*_, target), (*_, source) in zip(mine, theirs, strict=True):
        # Those of SE are matrices.
        squeezed = len(target.shape) == 2 and tuple(source.shape[:-2]) == (1, 1)
        assert tuple(source.shape[2:] if squeezed else source.shape) == tuple(target.shape), target.path
        target.assign(keras.ops.reshape(source, target.shape))


# The comparison


def images(height: int, width: int, brightest: float) -> np.ndarray:
    """One of noise, one of stripes."""
    noise = np.random.default_rng(0).uniform(0, 1, (1, height, width, 3))
    stripes = np.broadcast_to(0.5 + 0.5 * np.sin(np.arange(width) / 3)[:, None], noise.shape)
    return (brightest * np.concatenate([noise, stripes])).astype("float32")


def compare(pair: Pair, size: tuple[int, int], **options: Any) -> None:
    options |= {"input_shape": (*size, 3)}
    reference, ours = pair.reference(weights=None, **options), pair.ours(**options)
    randomise(reference)
    copy_weights(reference, ours)
    x = images(*size, pair.brightest)
    expected = array(reference(x))
    # The images, and not the biases alone, make the outputs: a hundred times more than is tolerated.
    assert error(expected[:1], expected[1:]) > 1e-2
    assert error(array(ours(x)), expected) < TOLERANCE


@pytest.mark.parametrize("name", [case(name, marks=OTHERS if name not in QUICK else ()) for name in PAIRS])
def test_network_equals_keras_applications(name: str) -> None:
    size = 64 if PAIRS[name].smallest < 64 else 96
    compare(PAIRS[name], (size, size), classifier_activation=None)


# Other widths round their channels otherwise, but pad no otherwise; the last pads as Inception-v3 does.
ELSEWHERE = (
    *("mobilenet_v2_035", "mobilenet_v2_140", "mobilenet_v3_small_125", "mobilenet_v3_large_075"),
    "inception_resnet_v2",
)


@pytest.mark.parametrize("name", [case(name, slow=name in ELSEWHERE, marks=OTHERS) for name in PAIRS])
def test_network_equals_keras_applications_at_odd_sizes(name: str) -> None:
    least = PAIRS[name].smallest
    compare(PAIRS[name], (least + 6, least + 13), include_top=False)
