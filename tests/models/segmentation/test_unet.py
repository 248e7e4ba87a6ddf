"""SEUNet: against NumPy, the steps of its decoder, and what it refuses."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite
from keras_se.models import SEResNet, SEUNet
from tests.support.arrays import array, error, randomise, resized_in_numpy
from tests.support.networks.segmenters import CLASSES, NumpyHead, images, maps_of, own_layers, resnet, small, vgg
from tests.support.numpy_networks import feeds, graphs_only
from tests.support.numpy_se import NONLINEARITIES


class NumpyUNet(NumpyHead):
    def scse(self, x: np.ndarray, name: str) -> np.ndarray:
        layer = self.model.get_layer(name)
        channel, spatial = ({w.name: array(w) for w in part.weights} for part in (layer.channel, layer.spatial))
        gates = NONLINEARITIES["sigmoid"](x @ spatial["squeeze_kernel"] + spatial["squeeze_bias"])
        return np.maximum(self.excited(x, channel), gates * x)

    def __call__(
        self, maps: dict[int, np.ndarray], size: tuple[int, int], excited: bool, stride: int = 1
    ) -> np.ndarray:
        x, *skips = (maps[each] for each in sorted(maps, reverse=True) if each >= stride)
        for step, skip in enumerate([*skips, *([] if stride in maps else [None])], start=1):
            x = resized_in_numpy(x, size if skip is None else skip.shape[1:3])
            x = x if skip is None else np.concatenate([x, skip], axis=-1)
            for number in (1, 2):
                x = self.conv_bn_relu(x, f"decoder{step}_conv{number}")
            x = self.scse(x, f"decoder{step}_se") if excited else x
        return resized_in_numpy(self.conv(x, "logits"), size)


@pytest.mark.parametrize("excited", [False, True])
@pytest.mark.parametrize(
    ("build", "strides", "size"),
    [(resnet, (2, 4, 8, 16), (32, 48)), (resnet, (2, 4, 8, 16), (37, 45)), (small, (1, 2), (9, 12))],
)
def test_unet_computes_what_numpy_computes(
    build: Callable[..., keras.Model], strides: tuple[int, ...], size: tuple[int, int], excited: bool
) -> None:
    backbone = build(input_shape=(*size, 3), include_top=False)
    model = SEUNet(backbone, CLASSES, se="scse" if excited else None, classifier_activation=None)
    randomise(model)
    x = images(*size)
    expected = NumpyUNet(model)(maps_of(backbone, strides, x), size, excited)
    assert error(array(model(x)), expected) < 1e-5


@pytest.mark.parametrize(("stride", "steps"), [(2, 3), (8, 1)])
@pytest.mark.parametrize("size", [(32, 48), (37, 45)])
def test_unet_can_end_at_a_coarser_map(stride: int, steps: int, size: tuple[int, int]) -> None:
    backbone = resnet(input_shape=(*size, 3), include_top=False)
    model = SEUNet(backbone, CLASSES, stride=stride, se="scse", classifier_activation=None)
    assert sum(name.endswith("_conv2") for name in own_layers(model)) == steps
    assert model.get_layer(f"decoder{steps}_conv2").filters == 16 * stride
    randomise(model)
    x = images(*size)
    expected = NumpyUNet(model)(maps_of(backbone, (2, 4, 8, 16), x), size, True, stride)
    assert error(array(model(x)), expected) < 1e-5


@graphs_only
def test_names() -> None:
    backbone = resnet(input_shape=(32, 32, 3), name="mine")
    model = SEUNet(backbone, CLASSES, se="scse")
    assert model.name == "mine_unet"
    assert SEUNet(backbone, CLASSES, name="another").name == "another"
    convolutions = [f"conv{number}{part}" for number in (1, 2) for part in ("", "_bn", "_relu")]
    assert own_layers(model) == [
        *(f"decoder{step}_{part}" for step in (1, 2, 3) for part in ("up", "concat", *convolutions, "se")),
        *(f"decoder4_{part}" for part in ("up", *convolutions, "se")),
        *("logits", "predictions"),
    ]
    assert feeds(model, "decoder1_up") == ["stage3_block1_relu", "stage2_block1_relu"]
    assert feeds(model, "decoder2_concat") == ["decoder2_up", "stage1_block1_relu"]
    assert feeds(model, "decoder4_up") == ["decoder3_se", "image"]


@graphs_only
def test_widths() -> None:
    backbone = vgg(input_shape=(32, 32, 3), include_top=False)

    def widths(filters: Any) -> list[int]:
        model = SEUNet(backbone, CLASSES, filters)
        found = [{model.get_layer(f"decoder{step}_conv{i}").filters for i in (1, 2)} for step in range(1, 6)]
        assert all(len(each) == 1 for each in found)
        return [min(each) for each in found]

    assert widths(None) == [256, 128, 64, 32, 16]
    assert widths((9, 8, 7, 6, 5)) == [9, 8, 7, 6, 5]
    assert SEUNet(small(input_shape=(8, 8, 3)), CLASSES).get_layer("decoder1_conv1").filters == 16


@graphs_only
def test_a_stride_that_the_backbone_lacks() -> None:
    backbone = resnet(input_shape=(32, 32, 3))
    for layer in backbone.layers:
        if layer.name.startswith("stage2"):  # as if this were no block: strides 2, 4 and 16 are left
            layer.name = f"other_{layer.name}"
    model = SEUNet(keras.Model(backbone.input, backbone.output), CLASSES)
    assert feeds(model, "decoder1_up") == ["stage3_block1_relu", "stage1_block1_relu"]
    assert feeds(model, "decoder2_concat") == ["decoder2_up", "stem_conv_relu"]
    assert [model.get_layer(f"decoder{step}_conv2").filters for step in (1, 2, 3)] == [64, 32, 16]
    assert "decoder4_up" not in own_layers(model)
    assert model.output_shape == (None, 32, 32, CLASSES)


@graphs_only
def test_a_network_of_one_stage_has_no_steps() -> None:
    model = SEUNet(SEResNet((2,), block="basic", filters=(4,), stem="small", input_shape=(8, 8, 3)), CLASSES)
    assert own_layers(model) == ["logits", "predictions"]
    assert model.output_shape == (None, 8, 8, CLASSES)


@graphs_only
def test_excitations_of_the_decoder() -> None:
    backbone = resnet(input_shape=(32, 32, 3), r=None)

    def kinds(se: Any) -> list[tuple[str, type]]:
        layers = SEUNet(backbone, CLASSES, se=se).layers
        return [(layer.name, type(layer)) for layer in layers if layer.name.endswith("_se")]

    assert kinds(None) == []
    scse = SEUNet(backbone, CLASSES, se="scse").get_layer("decoder4_se")
    assert (type(scse), scse.channel.r) == (ConcurrentSqueezeExcite, 2)
    assert [name for name, _ in kinds("scse")] == [f"decoder{step}_se" for step in (1, 2, 3, 4)]
    assert kinds(lambda step: {1: SqueezeExcite(4), 4: SpatialSqueezeExcite()}.get(step)) == [
        ("decoder1_se", SqueezeExcite),
        ("decoder4_se", SpatialSqueezeExcite),
    ]


# What is refused


@pytest.mark.parametrize("filters", [(1, 2, 3), (1, 2, 3, 4, 5)])
def test_refuses_another_number_of_filters(filters: tuple) -> None:
    wanted = r"^filters must have 4 integers, one for each step from stride 16 to 1\. Received: "
    with pytest.raises(ValueError, match=wanted) as caught:
        SEUNet(resnet(), CLASSES, filters)
    assert str(caught.value).endswith(f"filters={filters}")


@pytest.mark.parametrize("stride", [0, 3, 16, 32, None, "2", [2], True, 2.0])
def test_unet_refuses_strides_it_has_no_map_for(stride: Any) -> None:
    with pytest.raises(ValueError, match=r"^stride must be one of 1, 2, 4, 8\. Received: stride=") as caught:
        SEUNet(resnet(), CLASSES, stride=stride)
    assert str(caught.value).endswith(repr(stride))


@pytest.mark.parametrize("filters", [(1, 2, 3, 0), 16, (), (1, 2, 3, "4")])
def test_refuses_filters(filters: Any) -> None:
    with pytest.raises(ValueError, match=r"^filters must .* Received: filters="):
        SEUNet(resnet(), CLASSES, filters)


def test_refuses_excitations() -> None:
    with pytest.raises(
        ValueError, match=r'^se must be None, "scse" or a function from the step to a new layer\. Received: se=\'sse\'$'
    ):
        SEUNet(resnet(), CLASSES, se="sse")
    with pytest.raises(ValueError, match=r"^se must be a function .* Received: se=<SqueezeExcite"):
        SEUNet(resnet(), CLASSES, se=SqueezeExcite(4))
    layer = SqueezeExcite(4)
    with pytest.raises(ValueError, match=r"^se must return a new keras.layers.Layer, .* for stage 2$"):
        SEUNet(resnet(), CLASSES, se=lambda step: layer)
