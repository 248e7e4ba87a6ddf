"""SEUNet and LRASPP: against NumPy, their names and sizes, what they take from the backbone, and what they refuse."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import (
    NONLINEARITIES,
    array,
    error,
    gates_in_numpy,
    randomise,
    resized_in_numpy,
    scale_in_numpy,
    squeeze_in_numpy,
)
from numpy_network import conv, feeds, graphs_only, relu

from keras_se import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite
from keras_se.models import (
    LRASPP,
    SEVGG,
    SEInceptionV3,
    SEMobileNetV3Large,
    SEResNet,
    SEUNet,
    feature_pyramid,
)
from keras_se.weights import Preprocessing

CLASSES = 5
EPSILON = 1e-5

resnet = partial(SEResNet, (1, 1, 1), block="basic", filters=(4, 6, 8), r=2)  # strides 2, 4, 8, 16
small = partial(SEResNet, (1, 1), block="basic", filters=(4, 6), r=2, stem="small")  # strides 1, 2
vgg = partial(SEVGG, (1,) * 5, filters=(1, 2, 3, 4, 5), hidden=2)  # strides 1, 2, 4, 8, 16, 32
inception = partial(SEInceptionV3, alpha=1 / 16)
HEADS: dict[str, Callable[..., keras.Model]] = {"unet": SEUNet, "lraspp": LRASPP}
# The layers of the heads, not of the backbones.
OWN = re.compile(r"(decoder|coarse|fine|gate|up|logits|resized|channels_last|predictions)")
each_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


def images(height: int, width: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, height, width, 3)).astype("float32")


def own_layers(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if OWN.match(layer.name)]


# Against NumPy


class NumpyHead:
    """The layers of a head, by name, in float64; it has the weights of a Keras model."""

    def __init__(self, model: keras.Model):
        self.model = model

    def weights(self, name: str) -> dict[str, np.ndarray]:
        return {weight.name: array(weight) for weight in self.model.get_layer(name).weights}

    def conv(self, x: np.ndarray, name: str) -> np.ndarray:
        weights = self.weights(name)
        return conv(x, weights["kernel"], 1) + weights.get("bias", 0)

    def conv_bn_relu(self, x: np.ndarray, name: str) -> np.ndarray:
        norm = self.weights(f"{name}_bn")
        x = (self.conv(x, name) - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + EPSILON)
        return relu(x * norm["gamma"] + norm["beta"])

    def scse(self, x: np.ndarray, name: str) -> np.ndarray:
        layer = self.model.get_layer(name)
        channel, spatial = ({w.name: array(w) for w in part.weights} for part in (layer.channel, layer.spatial))
        by_channel = scale_in_numpy(x, gates_in_numpy(squeeze_in_numpy(x, "avg"), channel, "relu", "sigmoid"))
        gates = NONLINEARITIES["sigmoid"](x @ spatial["squeeze_kernel"] + spatial["squeeze_bias"])
        return np.maximum(by_channel, gates * x)

    def unet(self, maps: dict[int, np.ndarray], size: tuple[int, int], excited: bool) -> np.ndarray:
        x, *skips = (maps[stride] for stride in sorted(maps, reverse=True))
        for step, skip in enumerate([*skips, *([] if 1 in maps else [None])], start=1):
            x = resized_in_numpy(x, size if skip is None else skip.shape[1:3])
            x = x if skip is None else np.concatenate([x, skip], axis=-1)
            for number in (1, 2):
                x = self.conv_bn_relu(x, f"decoder{step}_conv{number}")
            x = self.scse(x, f"decoder{step}_se") if excited else x
        return self.conv(x, "logits")

    def lraspp(self, fine: np.ndarray, coarse: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """As in torchvision: https://github.com/pytorch/vision, models/segmentation/lraspp.py."""
        gate = NONLINEARITIES["sigmoid"](self.conv(coarse.mean(axis=(1, 2), keepdims=True), "gate_conv"))
        x = resized_in_numpy(self.conv_bn_relu(coarse, "coarse_conv") * gate, fine.shape[1:3])
        return resized_in_numpy(self.conv(x, "coarse_logits") + self.conv(fine, "fine_logits"), size)


def maps_of(backbone: keras.Model, strides: tuple[int, ...], x: np.ndarray) -> dict[int, np.ndarray]:
    maps = feature_pyramid(backbone, strides)(x)
    return {stride: array(features) for stride, features in zip(strides, maps, strict=True)}


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
    expected = NumpyHead(model).unet(maps_of(backbone, strides, x), size, excited)
    assert error(array(model(x)), expected) < 1e-5


@pytest.mark.parametrize("size", [(64, 48), (45, 75)])
def test_lraspp_computes_what_numpy_computes(size: tuple[int, int]) -> None:
    backbone = resnet(input_shape=(*size, 3), include_top=False)
    model = LRASPP(backbone, CLASSES, filters=12, classifier_activation=None)
    randomise(model)
    x = images(*size)
    expected = NumpyHead(model).lraspp(*maps_of(backbone, (8, 16), x).values(), size)
    assert error(array(model(x)), expected) < 1e-5


@each_head
def test_the_activation_is_over_the_classes(head: Callable[..., keras.Model]) -> None:
    backbone = resnet(input_shape=(32, 32, 3))
    logits, model = head(backbone, CLASSES, classifier_activation=None), head(backbone, CLASSES)
    randomise(logits)
    model.set_weights(logits.get_weights())
    x = images(32, 32)
    assert error(array(model(x)), NONLINEARITIES["softmax"](array(logits(x)))) < 1e-6
    assert head(backbone, 1, classifier_activation="sigmoid").layers[-1].activation is keras.activations.sigmoid


# Names, sizes and weights


@graphs_only
def test_names() -> None:
    backbone = resnet(input_shape=(32, 32, 3), name="mine")
    unet, lraspp = SEUNet(backbone, CLASSES, se="scse"), LRASPP(backbone, CLASSES)
    assert (unet.name, lraspp.name) == ("mine_unet", "mine_lraspp")
    assert SEUNet(backbone, CLASSES, name="another").name == LRASPP(backbone, CLASSES, name="another").name == "another"
    convolutions = [f"conv{number}{part}" for number in (1, 2) for part in ("", "_bn", "_relu")]
    assert own_layers(unet) == [
        *(f"decoder{step}_{part}" for step in (1, 2, 3) for part in ("up", "concat", *convolutions, "se")),
        *(f"decoder4_{part}" for part in ("up", *convolutions, "se")),
        *("logits", "predictions"),
    ]
    assert set(own_layers(lraspp)) == {
        *("coarse_conv", "coarse_conv_bn", "coarse_conv_relu", "gate_pool", "gate_conv", "gated", "up"),
        *("coarse_logits", "fine_logits", "logits", "resized", "predictions"),
    }
    assert feeds(unet, "decoder1_up") == ["stage3_block1_relu", "stage2_block1_relu"]
    assert feeds(unet, "decoder2_concat") == ["decoder2_up", "stage1_block1_relu"]
    assert feeds(unet, "decoder4_up") == ["decoder3_se", "image"]
    assert feeds(lraspp, "coarse_conv") == feeds(lraspp, "gate_pool") == ["stage3_block1_relu"]
    assert feeds(lraspp, "fine_logits") == ["stage2_block1_relu"]


@graphs_only
@each_head
@pytest.mark.parametrize("options", [{}, {"include_top": False}, {"include_top": False, "pooling": "avg"}])
def test_the_backbones_weights_are_shared(head: Callable[..., keras.Model], options: dict[str, Any]) -> None:
    backbone = resnet(input_shape=(32, 32, 3), **options)
    model = head(backbone, CLASSES)
    body = {layer.name for layer in backbone.layers} - {"predictions", "avg_pool"}
    assert body < {layer.name for layer in model.layers}
    assert all(model.get_layer(name) is backbone.get_layer(name) for name in body)


SIZES = [
    (resnet, (None, None), (32, 48)),
    (resnet, (None, None), (37, 51)),
    (resnet, (47, 33), (47, 33)),
    (vgg, (63, 41), (63, 41)),
    (inception, (75, 98), (75, 98)),
]


@each_head
@pytest.mark.parametrize(("build", "shape", "size"), SIZES)
def test_the_output_has_the_images_size(
    head: Callable[..., keras.Model], build: Callable[..., keras.Model], shape: tuple, size: tuple[int, int]
) -> None:
    model = head(build(input_shape=(*shape, 3), include_top=False), CLASSES)
    assert model.output_shape == (None, *shape, CLASSES)
    y = array(model(images(*size)))
    assert y.shape == (2, *size, CLASSES)
    assert model.predict(images(*size), verbose=0).shape == y.shape
    np.testing.assert_allclose(y.sum(-1), 1, atol=1e-6)


@graphs_only
@each_head
def test_the_output_has_the_size_of_an_image_that_is_resized_first(head: Callable[..., keras.Model]) -> None:
    image = keras.Input((80, 100, 3))
    for build in (resnet, vgg):
        backbone = build(input_tensor=keras.layers.Resizing(32, 32)(image), include_top=False)
        assert head(backbone, CLASSES).output_shape == (None, 80, 100, CLASSES)


@each_head
def test_channels_first(head: Callable[..., keras.Model]) -> None:
    """The output has its channels last all the same: it is what the same weights compute with channels last."""
    size, x = (37, 45), images(37, 45)
    model = head(resnet(input_shape=(*size, 3)), CLASSES)
    randomise(model)
    keras.config.set_image_data_format("channels_first")
    first = head(resnet(input_shape=(3, *size)), CLASSES)
    assert first.output_shape == (None, *size, CLASSES)
    assert [weight.shape for weight in first.weights] == [weight.shape for weight in model.weights]
    first.set_weights(model.get_weights())
    if keras.backend.backend() != "tensorflow":  # whose convolutions on processors want channels last
        assert error(array(first(np.moveaxis(x, -1, 1))), array(model(x))) < 1e-5


# The decoder


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


@graphs_only
def test_lraspp_of_other_strides() -> None:
    backbone = small(input_shape=(8, 8, 3))
    model = LRASPP(backbone, CLASSES, filters=7, strides=(1, 2))
    assert feeds(model, "coarse_conv") == ["stage2_block1_relu"]
    assert model.get_layer("gated").output.shape == (None, 4, 4, 7)
    assert model.output_shape == (None, 8, 8, CLASSES)
    assert LRASPP(resnet(), CLASSES, strides=[4, 8]).get_layer("coarse_conv").filters == 128


# As every model


@each_head
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(head: Callable[..., keras.Model], policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = head(resnet(input_shape=(32, 32, 3)), CLASSES, **({"se": "scse"} if head is SEUNet else {}))
    y = model(images(32, 32))
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    in_full = {"image", "logits", "coarse_logits", "fine_logits", "resized", "predictions"}
    assert {layer.name for layer in model.layers if layer.compute_dtype == "float32"} <= in_full
    np.testing.assert_allclose(array(y).sum(-1), 1, atol=1e-6)


@each_head
def test_saves_and_loads(head: Callable[..., keras.Model], tmp_path: Path) -> None:
    model = head(resnet(input_shape=(37, 45, 3)), CLASSES, **({"se": "scse"} if head is SEUNet else {}))
    randomise(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(array(loaded(images(37, 45))), array(model(images(37, 45))))


@each_head
def test_learns(head: Callable[..., keras.Model]) -> None:
    """Which half of a picture is the brighter: mean IoU by Keras' metric, of a model that learnt it."""
    x = np.random.default_rng(0).uniform(0, 0.4, (16, 32, 32, 3)).astype("float32")
    y = np.zeros((16, 32, 32), int)
    for i in range(16):
        x[i, :, slice(0, 16) if i % 2 else slice(16, 32)] += 0.6
        y[i, :, slice(0, 16) if i % 2 else slice(16, 32)] = 1
    model = head(resnet(input_shape=(32, 32, 3)), 2)
    metric = keras.metrics.MeanIoU(2, sparse_y_pred=False, name="mean_iou")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=[metric])
    model.fit(x, y, batch_size=8, epochs=12, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["mean_iou"] > 0.75


@graphs_only
@each_head
def test_preprocessing_of_published_weights_is_kept(head: Callable[..., keras.Model]) -> None:
    backbone = resnet(input_shape=(32, 32, 3))
    assert not hasattr(head(backbone, CLASSES), "preprocessing")
    backbone.preprocessing = Preprocessing(size=(32, 32))
    assert head(backbone, CLASSES).preprocessing is backbone.preprocessing


@graphs_only
@each_head
def test_what_is_frozen_stays_so(head: Callable[..., keras.Model]) -> None:
    backbone = resnet(input_shape=(32, 32, 3))
    backbone.trainable = False
    trained = {weight.path.split("/")[0] for weight in head(backbone, CLASSES).trainable_weights}
    assert trained
    assert trained <= set(own_layers(head(backbone, CLASSES)))


# What is refused


@each_head
@pytest.mark.parametrize("classes", [0, -1, 2.0, None, "2", True])
def test_refuses_classes(head: Callable[..., keras.Model], classes: Any) -> None:
    with pytest.raises(ValueError, match=rf"^classes must be a positive integer\. Received: classes={classes!r}$"):
        head(resnet(), classes)


@each_head
def test_refuses_models_of_other_makers(head: Callable[..., keras.Model]) -> None:
    mine = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(2, 3)], name="mine")
    with pytest.raises(ValueError, match=r"^model must be one that a builder .* returned\. Received: 'mine'$"):
        head(mine, CLASSES)
    with pytest.raises(ValueError, match=r"^The model must be a functional one, .* Received: 'SEResNet50', a str$"):
        head("SEResNet50", CLASSES)


@each_head
def test_refuses_what_takes_no_image(head: Callable[..., keras.Model]) -> None:
    flat = keras.Input((32 * 32 * 3,))
    backbone = resnet(input_tensor=keras.layers.Reshape((32, 32, 3))(flat))
    with pytest.raises(ValueError, match=r"^backbone must take an image, of .* Received: inputs \[\(3072,\)\]$"):
        head(backbone, CLASSES)


@pytest.mark.parametrize("filters", [(1, 2, 3), (1, 2, 3, 4, 5)])
def test_unet_refuses_another_number_of_filters(filters: tuple) -> None:
    wanted = r"^filters must have a number for each of the 4 steps from stride 16 to the image's size\. Received: "
    with pytest.raises(ValueError, match=wanted) as caught:
        SEUNet(resnet(), CLASSES, filters)
    assert str(caught.value).endswith(f"filters={filters}")


@pytest.mark.parametrize("filters", [(1, 2, 3, 0), 16, (), (1, 2, 3, "4")])
def test_unet_refuses_filters(filters: Any) -> None:
    with pytest.raises(ValueError, match=r"^filters must .* Received: filters="):
        SEUNet(resnet(), CLASSES, filters)


def test_unet_refuses_excitations() -> None:
    with pytest.raises(
        ValueError, match=r'^se must be None, "scse" or a function from the step to a new layer\. Received: se=\'sse\'$'
    ):
        SEUNet(resnet(), CLASSES, se="sse")
    with pytest.raises(ValueError, match=r"^se must be a function .* Received: se=<SqueezeExcite"):
        SEUNet(resnet(), CLASSES, se=SqueezeExcite(4))
    layer = SqueezeExcite(4)
    with pytest.raises(ValueError, match=r"^se must return a new keras.layers.Layer, .* for stage 2$"):
        SEUNet(resnet(), CLASSES, se=lambda step: layer)


@pytest.mark.parametrize("filters", [0, 2.5, None, (128,)])
def test_lraspp_refuses_filters(filters: Any) -> None:
    with pytest.raises(ValueError, match=r"^filters must be a positive integer\. Received: filters="):
        LRASPP(resnet(), CLASSES, filters)


def test_lraspp_refuses_strides() -> None:
    for strides in ((8,), (4, 8, 16), 8, None):
        with pytest.raises(ValueError, match=r"^strides must be two, of the fine and of the coarse map\. Received: "):
            LRASPP(resnet(), CLASSES, strides=strides)
    for strides in ((8, 4), (4, 4)):
        with pytest.raises(ValueError, match=r"^strides must be two, that of the fine map first\. Received: "):
            LRASPP(resnet(), CLASSES, strides=strides)
    with pytest.raises(
        ValueError, match=r"^strides must be some of \[1, 2\], which 'se_resnet' has\. Received: strides=\(8, 16\)$"
    ):
        LRASPP(small(), CLASSES)


@graphs_only
def test_a_mobile_network_with_the_head_made_for_it() -> None:
    model = LRASPP(SEMobileNetV3Large(input_shape=(64, 64, 3), include_top=False), 19)
    assert feeds(model, "fine_logits") == ["stage3_block3_add"]
    assert feeds(model, "coarse_conv") == ["stage5_block2_add"]
    # By hand: 112·128 weights and 4·128 of the norm, 112·128 of the gate, (128 + 1)·19 and (40 + 1)·19.
    head = sum(model.get_layer(name).count_params() for name in own_layers(model))
    assert head == 112 * 128 + 4 * 128 + 112 * 128 + 129 * 19 + 41 * 19
