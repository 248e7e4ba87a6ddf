"""What SEUNet and LRASPP have in common: sizes, what they take from the backbone, and what they refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.models import LRASPP, SEUNet
from keras_se.weights import Preprocessing
from tests.support.arrays import array, error, randomise
from tests.support.cases import case
from tests.support.networks.segmenters import CLASSES, images, inception, own_layers, resnet, vgg
from tests.support.numpy_networks import graphs_only
from tests.support.numpy_se import NONLINEARITIES

HEADS: dict[str, Callable[..., keras.Model]] = {"unet": SEUNet, "lraspp": LRASPP}
each_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


@each_head
def test_the_activation_is_over_the_classes(head: Callable[..., keras.Model]) -> None:
    backbone = resnet(input_shape=(32, 32, 3))
    logits, model = head(backbone, CLASSES, classifier_activation=None), head(backbone, CLASSES)
    randomise(logits)
    model.set_weights(logits.get_weights())
    x = images(32, 32)
    assert error(array(model(x)), NONLINEARITIES["softmax"](array(logits(x)))) < 1e-6
    assert head(backbone, 1, classifier_activation="sigmoid").layers[-1].activation is keras.activations.sigmoid


# Sizes and weights


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
    case(inception, (75, 98), (75, 98), slow=True),
]


@each_head
@pytest.mark.parametrize(("build", "shape", "size"), SIZES)
def test_output_has_the_size_of_the_image(
    head: Callable[..., keras.Model], build: Callable[..., keras.Model], shape: tuple, size: tuple[int, int]
) -> None:
    model = head(build(input_shape=(*shape, 3), include_top=False), CLASSES)
    assert model.output_shape == (None, *shape, CLASSES)
    y = array(model(images(*size)))
    assert y.shape == (2, *size, CLASSES)
    np.testing.assert_allclose(y.sum(-1), 1, atol=1e-6)


@graphs_only
@each_head
def test_output_has_the_size_of_the_image_before_resizing(head: Callable[..., keras.Model]) -> None:
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


@pytest.mark.parametrize("head", [SEUNet, case(LRASPP, slow=True)])
def test_segmentation_network_learns(head: Callable[..., keras.Model]) -> None:
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
    with pytest.raises(ValueError, match=r"^model must be made by a builder .*\. Received: 'mine'$"):
        head(mine, CLASSES)
    with pytest.raises(ValueError, match=r"^The model must be functional, .* Received: 'SEResNet50', a str$"):
        head("SEResNet50", CLASSES)


@each_head
def test_refuses_what_takes_no_image(head: Callable[..., keras.Model]) -> None:
    flat = keras.Input((32 * 32 * 3,))
    backbone = resnet(input_tensor=keras.layers.Reshape((32, 32, 3))(flat))
    with pytest.raises(
        ValueError, match=r"^backbone must have one input, .* Received: inputs of shapes \[\(3072,\)\]$"
    ):
        head(backbone, CLASSES)
