"""SE in the networks of `keras.applications`: where it goes, and that it changes nothing at first, learns, and exports.

The expected layers are written down from the papers and from reading the networks' code.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import pytest

from keras_se import SqueezeExcite, insert_se, insertion_plan
from keras_se.export import to_onnx, to_tflite
from keras_se.layers import twice_sigmoid
from tests.support.arrays import array, error, randomise
from tests.support.cases import case


def blocks(template: str, *depths: int, first: int = 2) -> list[str]:
    return [
        template.format(stage=stage, block=block)
        for stage, depth in enumerate(depths, start=first)
        for block in range(1, depth + 1)
    ]


def convnext(*depths: int) -> list[str]:
    return [
        f"convnext_tiny_stage_{stage}_block_{block}_pointwise_conv_2"
        for stage, depth in enumerate(depths)
        for block in range(depth)
    ]


@dataclass(frozen=True)
class Network:
    """A row: the smallest image that the network takes, the layers that get SE, and the network's options."""

    name: str
    size: int
    layers: list[str]
    options: dict[str, Any] = field(default_factory=dict)
    force: bool = False

    def build(self) -> keras.Model:
        # Logits: with random weights a softmax says 0 and 1.
        options = {"input_shape": (self.size, self.size, 3), "classes": 5, "classifier_activation": None}
        return getattr(keras.applications, self.name)(weights=None, **options, **self.options)


NETWORKS = [
    # Before each addition, behind the branch's last batch norm.
    Network("ResNet50", 32, blocks("conv{stage}_block{block}_3_bn", 3, 4, 6, 3)),
    # Before activation: branches end in a convolution.
    Network("ResNet50V2", 32, blocks("conv{stage}_block{block}_3_conv", 3, 4, 6, 3)),
    Network("MobileNet", 32, [f"conv_pw_{block}_relu" for block in range(1, 14)], {"alpha": 0.25}),
    # Of all inverted residuals, the first and those that change size or width included, which have no addition.
    Network(
        *("MobileNetV2", 32),
        ["expanded_conv_depthwise_relu", *(f"block_{block}_depthwise_relu" for block in range(1, 17))],
        {"alpha": 0.35},
    ),
    Network(
        *("DenseNet121", 32),
        [
            *("conv2_block6_concat", "pool2_pool", "conv3_block12_concat", "pool3_pool"),
            *("conv4_block24_concat", "pool4_pool", "conv5_block16_concat"),
        ],
    ),
    Network("InceptionV3", 75, [f"mixed{module}" for module in range(11)]),
    Network(
        *("InceptionResNetV2", 75),
        [f"{kind}_{block}_conv" for kind, depth in [("block35", 10), ("block17", 20), ("block8", 10)]
         for block in range(1, depth + 1)],
    ),
    # Where a block halves the map, its branch ends in the pooling.
    Network(
        *("Xception", 71),
        [*(f"block{block}_pool" for block in (2, 3, 4)), *(f"block{block}_sepconv3_bn" for block in range(5, 13)),
         "block13_pool"],
    ),
    Network("VGG16", 32, ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"]),
    # Before LayerScale and stochastic depth.
    Network("ConvNeXtTiny", 32, convnext(3, 3, 9, 3)),
    Network(
        *("NASNetMobile", 32),
        ["reduction_concat_stem_1", "reduction_concat_stem_2", *(f"normal_concat_{cell}" for cell in range(4)),
         "reduction_concat_reduce_4", *(f"normal_concat_{cell}" for cell in range(5, 9)),
         "reduction_concat_reduce_8", *(f"normal_concat_{cell}" for cell in range(9, 13))],
    ),
]  # fmt: skip
# Has SE of its own, and gets more.
FORCED = Network(
    *("EfficientNetB0", 32),
    [f"block{block}_activation" for block in
     ("1a", "2a", "2b", "3a", "3b", "4a", "4b", "4c", "5a", "5b", "5c", "6a", "6b", "6c", "6d", "7a")],
    force=True,
)  # fmt: skip
EACH = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
EACH_WHOLE = pytest.mark.parametrize(
    "network",
    [case(row, slow=row.name != "MobileNetV2", id=row.name) for row in (*NETWORKS, FORCED)],
)


def undrawn(build: Callable[[], keras.Model]) -> keras.Model:
    """A network whose weights are of no interest: they are zeros, which is much faster than to draw them."""
    kinds = (keras.initializers.VarianceScaling, keras.initializers.RandomNormal, keras.initializers.TruncatedNormal)
    with ExitStack() as patches:
        for kind in kinds:
            zeros = lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype)  # noqa: E731
            patches.enter_context(patch.object(kind, "__call__", zeros))
        return build()


@EACH
def test_places(network: Network) -> None:
    plan = undrawn(lambda: insertion_plan(network.build()))
    assert {row.layer for row in plan.rows} == set(network.layers)
    assert len(plan.rows) == len(network.layers)


def test_resnet50_gets_the_parameters_of_the_paper() -> None:
    """Σ 2 c²/16 with biases, over the blocks: what SE-ResNet-50 has more than ResNet-50."""
    by_hand = sum(n * (2 * c * (c // 16) + c // 16 + c) for n, c in [(3, 256), (4, 512), (6, 1024), (3, 2048)])
    plan = undrawn(lambda: insertion_plan(keras.applications.ResNet50(weights=None)))
    assert plan.parameters == by_hand == 2_530_992
    # Two projections, and each value of the map times its gate.
    sizes = [(3, 256, 56), (4, 512, 28), (6, 1024, 14), (3, 2048, 7)]
    assert plan.macs == sum(n * (2 * c * (c // 16) + size**2 * c) for n, c, size in sizes)


@pytest.mark.parametrize(
    ("name", "blocks"), [("EfficientNetB0", 16), ("MobileNetV3Small", 9), ("EfficientNetV2B0", 16)]
)
def test_networks_that_have_se_are_refused(name: str, blocks: int) -> None:
    model = undrawn(lambda: getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3)))
    message = (
        r"^The model has squeeze-and-excitation already\. Use force=True \(--more-se\) to insert more\. "
        rf"Received: a model with {blocks} blocks, .*'$"
    )
    with pytest.raises(ValueError, match=message):
        insertion_plan(model)


def test_efficientnet_gets_more_se_if_forced() -> None:
    model = undrawn(lambda: keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3)))
    names = [name for name in (layer.name for layer in model.layers) if name.endswith("dwconv")]
    rows = undrawn(lambda: insertion_plan(model, force=True)).rows
    assert len(names) == 16
    assert [row.layer for row in rows] == [name.replace("dwconv", "activation") for name in names]


def images(network: Network, count: int) -> np.ndarray:
    """Noise with a level and a contrast of each image, so that outputs differ from image to image."""
    rng = np.random.default_rng(0)
    wide = (count, 1, 1, 3)
    x = rng.uniform(0.5, 1.5, wide) * rng.normal(size=(count, network.size, network.size, 3)) + rng.normal(size=wide)
    return (x * 50 + 128 if network.name in ("ConvNeXtTiny", "EfficientNetB0") else x).astype("float32")


@EACH_WHOLE
def test_changes_nothing_learns_saves_and_exports(network: Network, tmp_path: Path) -> None:
    model = network.build()
    randomise(model)
    for layer in model.layers if network.force else []:  # through its own gates, of 1/2, no signal comes otherwise
        if layer.name.endswith("se_expand"):
            layer.bias.assign(layer.bias + 3)
        elif layer.name.endswith("bn"):
            layer.gamma.assign(3 * layer.gamma)
        elif isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it has new weights
    before = [array(weight) for weight in model.weights]
    x = images(network, 4)
    expected = array(model(x))
    assert error(expected[1:], expected[:-1]) > 1e-3, "the outputs must depend on the images"

    excited = insert_se(model, force=network.force)
    inserted = [layer for layer in excited.layers if isinstance(layer, SqueezeExcite)]
    assert {layer.name for layer in inserted} == {f"{name}_se" for name in network.layers}
    assert error(array(excited(x)), expected) < 1e-5

    # What one step of training moves, where hidden units are on: the second projection of every block.
    still = [array(layer.expand_kernel) for layer in inserted]
    assert not any(np.any(kernel) for kernel in still)
    for layer in inserted:
        layer.reduce_bias.assign(layer.reduce_bias + 5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    excited.compile(keras.optimizers.SGD(1e-3), loss, run_eagerly=True)
    excited.train_on_batch(x, np.arange(4))
    for layer in inserted:
        assert np.isfinite(array(layer.expand_kernel)).all()
        assert np.any(array(layer.expand_kernel)), layer.name
        assert np.any(array(layer.expand_bias)), layer.name
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), old)

    # Gates that are not 1 any more, so that a file which lost them shows.
    for layer in inserted:
        randomise(layer)
        layer.expand_kernel.assign(0.3 * layer.expand_kernel)
        assert layer.gate is twice_sigmoid
    expected = array(excited(x))
    assert error(array(model(x)), expected) > 1e-3
    excited.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(loaded(x)), expected)
    assert to_tflite(loaded, tmp_path / "model.tflite", verification_data=x).parity.passed
    assert to_onnx(loaded, tmp_path / "model.onnx", verification_data=x).parity.passed
