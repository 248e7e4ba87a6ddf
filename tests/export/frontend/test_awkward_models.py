"""Models whose parts are not plain: layers with state of their own, masks, other precisions, subclasses."""

import os

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import ConcurrentSqueezeExcite, SqueezeExcite
from keras_se.export import ExportError, export, to_onnx, to_saved_model, to_tflite
from keras_se.export.frontend.inference_model import InferenceModel
from tests.support.arrays import relative_error
from tests.support.networks.exported import se_resnet


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(3, 2, (12, *shape)).astype("float32")


def normalized(dtype: str | None = None) -> keras.Model:
    """An adapted Normalization, which keeps constants made of its weights, before a batch norm that folds."""
    image = keras.Input((8, 8, 3), name="image")
    normalization = layers.Normalization(dtype=dtype)
    normalization.adapt(images(8, 8, 3))
    x = layers.Conv2D(8, 3, dtype=dtype, name="conv")(normalization(image))
    x = SqueezeExcite(2, dtype=dtype, name="se")(layers.BatchNormalization(dtype=dtype, name="bn")(x))
    x = layers.GlobalAveragePooling2D(dtype=dtype, name="pool")(x)
    return keras.Model(image, layers.Dense(3, dtype="float32", name="out")(x), name="normalized")


@pytest.mark.parametrize(("dtype", "tolerance"), [(None, 1e-5), ("mixed_float16", 1e-2), ("float64", 1e-5)])
def test_an_adapted_normalization_stays_adapted(tmp_path, dtype, tolerance):
    model = normalized(dtype)
    x = images(8, 8, 3)
    expected = model.predict(x, verbose=0)
    for artifact in export(model, tmp_path):
        assert relative_error(expected, artifact.predict(x)) < tolerance


def test_a_layer_inside_a_wrapper_is_exported_in_float32(tmp_path):
    frames = keras.Input((2, 6, 6, 8), name="frames")
    x = layers.TimeDistributed(SqueezeExcite(2, dtype="mixed_float16"), dtype="mixed_float16")(frames)
    model = keras.Model(frames, x, name="video")
    artifact = to_onnx(model, tmp_path / "video.onnx")
    assert artifact.parity.error < 1e-5


def test_a_masked_excitation_exports_to_int8(tmp_path):
    words = keras.Input((10,), dtype="int32", name="words")
    x = layers.Embedding(20, 8, mask_zero=True, name="embedding")(words)
    x = layers.GlobalAveragePooling1D(name="pool")(SqueezeExcite(2, name="se")(x))
    model = keras.Model(words, layers.Dense(3, name="out")(x), name="words")
    data = np.random.default_rng(0).integers(0, 20, (40, 10))
    artifact = to_tflite(model, tmp_path / "words.tflite", quantize="int8", calibration_data=data)
    assert artifact.notes == ()
    assert relative_error(model.predict(data, verbose=0), artifact.predict(data)) < 0.05


def test_a_dead_concurrent_excitation_exports_to_int8(tmp_path):
    layer = ConcurrentSqueezeExcite(2, bias_initializer=keras.initializers.Constant(-50), name="scse")
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(8, 3, activation="relu"), layer], name="dead")
    layer.channel.expand_bias.assign(np.linspace(-1, 1, 8))
    layer.spatial.bias.assign([0.1])
    x = images(8, 8, 3)
    artifact = to_tflite(model, tmp_path / "dead.tflite", quantize="int8", calibration_data=x)
    assert artifact.notes == (
        "The gates of scse are constant over the calibration data. The file stores them as constants.",
    )
    assert relative_error(model.predict(x, verbose=0), artifact.predict(x)) < 0.05


@keras.saving.register_keras_serializable(package="tests")
class Standardized(layers.Conv2D):
    """A convolution that is not linear in its kernel."""

    def convolution_op(self, inputs, kernel):
        kernel = (kernel - keras.ops.mean(kernel)) / keras.ops.std(kernel)
        return super().convolution_op(inputs, kernel)


def test_a_subclass_of_a_convolution_is_not_folded(tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    norm = layers.BatchNormalization(name="bn")
    model = keras.Model(image, norm(Standardized(4, 3, name="conv")(image)), name="standardized")
    norm.moving_variance.assign([0.1, 1.0, 4.0, 9.0])
    assert to_onnx(model, tmp_path / "standardized.onnx").parity.error < 1e-5


def test_a_relative_path_works_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    artifact = to_tflite(se_resnet(), "model.tflite")
    os.chdir("elsewhere")
    assert artifact.size > 1000
    assert artifact.predict(images(16, 16, 3)).shape == (12, 10)


def test_a_generator_of_verification_data_serves_every_format(tmp_path):
    artifacts = export(se_resnet(), tmp_path, verification_data=(batch for batch in [images(16, 16, 3)]))
    assert [artifact.parity.samples for artifact in artifacts] == [8, 8, 8]


def test_a_format_named_twice_is_written_once(tmp_path):
    assert len(export(se_resnet(), tmp_path, formats=("onnx", "onnx"))) == 1


def test_a_mode_that_no_format_has_is_refused(tmp_path):
    with pytest.raises(ValueError, match="quantize must be a mode that one of the formats supports"):
        export(se_resnet(), tmp_path, formats=("onnx",), quantize="dynamic")


def test_a_file_that_ignores_its_input_is_refused(tmp_path, monkeypatch):
    """Outputs that differ little between inputs beside what they have in common: the common part is not enough."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.GlobalAveragePooling2D(name="pool")(image)
    model = keras.Model(image, layers.Dense(4, bias_initializer="ones", name="out")(x), name="offset")
    model.get_layer("out").bias.assign([-3.0, 0.0, 3.0, 6.0])
    constant = keras.Model(image, layers.Dense(4, kernel_initializer="zeros", name="out")(x), name="offset")
    constant.get_layer("out").bias.assign(model.predict(images(8, 8, 3), verbose=0).mean(axis=0))
    faulty = InferenceModel(constant)
    monkeypatch.setattr("keras_se.export.request.optimized", lambda model, data, **options: (faulty, []))
    with pytest.raises(ExportError, match="does not compute what the Keras model computes"):
        to_saved_model(model, tmp_path / "model", verification_data=images(8, 8, 3))


def test_outputs_below_the_step_of_int8_are_inconclusive(tmp_path):
    model = se_resnet(classes=600)
    model.get_layer("predictions").kernel.assign(model.get_layer("predictions").kernel * 0.01)
    artifact = to_tflite(model, tmp_path / "m.tflite", quantize="int8", calibration_data=images(16, 16, 3) / 100)
    assert not artifact.parity.conclusive
    assert any("nothing could be verified" in note for note in artifact.notes)
