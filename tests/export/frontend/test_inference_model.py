"""What can be exported, what its inputs and outputs are called, and that the model stays as it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from keras_se.export import DEFAULT_FORMATS, FORMATS, ExportError, to_onnx, to_saved_model, to_tflite, verify
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.io_names import unique_names
from keras_se.export.frontend.tensor_spec import random_feeds
from tests.support.arrays import relative_error
from tests.support.networks import EXPORTED, sample
from tests.support.networks.exported import se_resnet, sequential

# What is made for microcontrollers is a TFLite file.
CONVERTERS = pytest.mark.parametrize("format", DEFAULT_FORMATS)


def convert(format, model, folder):
    return FORMATS[format].convert(model, folder / f"model{FORMATS[format].suffix}")


@CONVERTERS
def test_a_model_that_was_never_called(tmp_path, format):
    model = se_resnet()
    artifact = convert(format, model, tmp_path)
    x = sample("se_resnet").data
    assert relative_error(model.predict(x, verbose=0), artifact.predict(x)) < 1e-5


@CONVERTERS
def test_a_model_from_a_keras_file(tmp_path, format):
    network = sample("se_resnet")
    network.model.save(tmp_path / "saved.keras")
    artifact = convert(format, keras.models.load_model(tmp_path / "saved.keras"), tmp_path)
    assert relative_error(network.expected["predictions"], artifact.predict(network.data)) < 1e-5


def test_a_compiled_and_trained_model(tmp_path):
    model, x = sequential(), sample("sequential").data
    model.compile("adam", "mse")
    model.fit(x, np.zeros((len(x), 5)), epochs=1, verbose=0)
    artifact = to_onnx(model, tmp_path / "model.onnx")
    assert relative_error(model.predict(x, verbose=0), artifact.predict(x)) < 1e-5


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


NOT_EXPORTABLE = {
    "no model": (lambda: layers.Dense(2), r"model must be a keras\.Model.*Received: Dense"),
    "a path": (lambda: "model.keras", r"model must be a keras\.Model.*Received: str"),
    "subclassed": (lambda: Subclassed(name="mine"), r"model must be functional.*Subclassed 'mine'.*keras\.Input"),
    "Sequential without input": (
        lambda: keras.Sequential([layers.Dense(2)], name="open"),
        r"model must be functional, or a Sequential model with an input.*Sequential 'open'",
    ),
}


@pytest.mark.parametrize("convert", [to_saved_model, to_tflite, to_onnx])
@pytest.mark.parametrize("case", NOT_EXPORTABLE)
def test_what_cannot_be_exported_is_refused(tmp_path, case, convert):
    build, message = NOT_EXPORTABLE[case]
    with pytest.raises(ValueError, match=message):
        convert(build(), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def names(model):
    inference = InferenceModel(model)
    return [t.name for t in inference.inputs], [t.name for t in inference.outputs]


@pytest.mark.parametrize("name", EXPORTED)
def test_names_of_a_second_build_are_the_same(name):
    network = EXPORTED[name]
    assert names(network.build()) == names(network.build()) == (list(network.inputs), list(network.outputs))


def unnamed():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])


def test_names_of_a_second_build_without_names_are_the_same():
    """Keras counts unnamed layers over the whole process, so a file would not fit its own model built again."""
    assert names(unnamed()) == names(unnamed())
    assert names(unnamed())[0] == ["input"]


def test_a_file_fits_a_model_of_the_same_code_built_again(tmp_path):
    first = unnamed()
    artifact = to_onnx(first, tmp_path / "model.onnx")
    second = unnamed()
    second.set_weights(first.get_weights())
    assert verify(artifact.path, second).parity.passed


def test_inputs_and_outputs_by_name_are_called_so():
    y, x = keras.Input((2,), name="y"), keras.Input((3,), name="x")
    model = keras.Model({"y": y, "x": x}, {"sum": layers.Dense(2)(y), "product": layers.Dense(2)(x)})
    assert names(model) == (["x", "y"], ["product", "sum"])


def test_names_are_fit_for_files():
    image = keras.Input((2,), name="my image-1")
    model = keras.Model(image, layers.Dense(2, name="head.1")(image))
    assert names(model) == (["my_image_1"], ["head_1"])


def test_an_output_called_like_an_input_gets_another_name():
    """ONNX has one name for one tensor; the model's own structure keeps its names."""
    image = keras.Input((4,), name="image")
    inference = InferenceModel(keras.Model({"image": image}, {"image": layers.Dense(3)(image)}))
    inputs, outputs = ([t.name for t in tensors] for tensors in (inference.inputs, inference.outputs))
    assert inputs == ["image"]
    assert outputs != inputs
    assert list(inference.pack_outputs([np.zeros(3)])) == ["image"]


def test_equal_names_are_told_apart():
    image = keras.Input((2,), name="image")
    head = layers.Dense(2, name="head")
    assert names(keras.Model(image, [head(image), head(head(image))]))[1] == ["head_0", "head_1"]


@given(st.lists(st.sampled_from(["a", "b", "a_0", "a_1", "a 0"]), max_size=6))
def test_no_two_names_are_equal(given_names):
    found = unique_names(given_names)
    assert len(set(found)) == len(given_names)


@CONVERTERS
def test_an_input_and_an_output_of_the_same_name(tmp_path, format):
    image = keras.Input((4,), name="image")
    model = keras.Model({"image": image}, {"image": layers.Dense(3, name="dense")(image)}, name="network")
    x = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    outputs = convert(format, model, tmp_path).predict({"image": x})
    expected = model.predict({"image": x}, verbose=0)
    assert relative_error(expected["image"], outputs["image"]) < 1e-5


@CONVERTERS
@pytest.mark.parametrize("name", ["_image", "bildgröße", "1st image"])
def test_names_that_tensorflow_does_not_take(tmp_path, format, name):
    image = keras.Input((4,), name=name)
    model = keras.Model(image, layers.Dense(3, name="dense")(image), name="network")
    x = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    assert relative_error(model.predict(x, verbose=0), convert(format, model, tmp_path).predict(x)) < 1e-5


@CONVERTERS
def test_half_precision_is_exported_in_float32(exported, format):
    artifact, network = exported("mixed_float16", format), sample("mixed_float16")
    # Held against the twin in float32: a file that computed in float16 would be off by 1e-3.
    assert relative_error(network.expected["predictions"], artifact.predict(network.data)) < 1e-5
    assert {tensor.dtype for tensor in artifact.runner.inputs} == {"float32"}


def with_arithmetic():
    image = keras.Input((8, 8, 3), name="image")
    return keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(image * 2.0), name="network")


def test_half_precision_with_operations_between_the_layers(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    assert to_onnx(with_arithmetic(), tmp_path / "model.onnx").parity.passed


def test_half_precision_with_a_lambda():
    image = keras.Input((8, 8, 3))
    x = layers.Lambda(lambda x: 2 * x, dtype="mixed_float16", name="twice")(image)
    model = keras.Model(image, layers.Conv2D(4, 3, dtype="mixed_float16", name="conv")(x))
    copy = InferenceModel(model).model
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
    pixels = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    np.testing.assert_allclose(copy(pixels), model(pixels), atol=1e-2)


@pytest.mark.parametrize("name", ["se_resnet", "mixed_float16", "grouped", "nested"])
@CONVERTERS
def test_the_model_is_left_as_it_was(tmp_path, format, name):
    model = sample(name).model
    before = model.get_weights()
    config, policies = model.get_config(), [layer.dtype_policy.name for layer in model.layers]
    convert(format, model, tmp_path)
    assert model.get_config() == config
    assert [layer.dtype_policy.name for layer in model.layers] == policies
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_eager_functions_are_put_back(tmp_path, monkeypatch):
    """Tracing runs inner functions eagerly; that setting is TensorFlow's own, and global."""
    to_saved_model(sequential(), tmp_path / "first")
    assert not tf.config.functions_run_eagerly()
    monkeypatch.setattr(keras.Sequential, "call", lambda self, *args, **kwargs: 1 / 0)
    with pytest.raises(ExportError, match="to saved_model failed"):
        to_saved_model(sequential(), tmp_path / "second", verification_data=np.zeros((1, 16, 16, 3)))
    assert not tf.config.functions_run_eagerly()


def words(dtype: str, size: int) -> keras.Model:
    text = keras.Input((50,), dtype=dtype, name="text")
    inner = keras.Sequential([keras.Input((50,), dtype=dtype), layers.Embedding(size, 2), layers.Flatten()])
    return keras.Model(text, layers.Dense(2)(inner(text)), name="words")


@pytest.mark.parametrize(("dtype", "size", "largest"), [("int32", 40, 39), ("uint8", 1000, 255), ("int32", 1, 0)])
def test_random_inputs_of_an_embedding_are_all_that_it_has(dtype, size, largest):
    (values,) = random_feeds(InferenceModel(words(dtype, size)).inputs, 200).values()
    assert values.dtype == dtype
    assert (values.min(), values.max()) == (0, largest)
    assert len(np.unique(values)) == largest + 1


@CONVERTERS
def test_a_model_with_a_loss_of_ones_own(tmp_path, format):
    """The copies in which batch norms are gone need not know it."""
    model = keras.models.clone_model(sample("se_resnet").model)  # as others use the sample, too
    model.compile("sgd", lambda wanted, found: keras.ops.mean(keras.ops.abs(wanted - found), axis=-1))
    convert(format, model, tmp_path)
    assert model.compiled
