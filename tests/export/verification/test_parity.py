"""Verification: a fault in the file is found, a sound file passes, and the figures are what they say."""

import json
import shutil

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers

from keras_se.export import (
    FORMATS,
    TOLERANCES,
    ExportError,
    to_microcontroller,
    to_onnx,
    to_saved_model,
    to_tflite,
    verify,
)
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import random_feeds
from keras_se.export.modes import MODES, calibrated_names
from keras_se.export.onnx import convert as onnx_format
from keras_se.export.saved_model import convert as saved_model_format
from keras_se.export.tflite import convert as tflite_format
from keras_se.export.verification.parity import compare, rounded_kernel
from tests.support.cases import case
from tests.support.networks import sample
from tests.support.runtimes import constants

FIRST_KERNEL = (8, 3, 3, 3)  # of se_resnet: (filters, height, width, channels) in TFLite; ONNX has channels second


def spoil(kernel):
    """Changes one weight grossly: in floats it turns its sign and grows, in 8 bits it goes to the other end."""
    spoilt = kernel.copy()
    largest = np.unravel_index(np.argmax(np.abs(kernel.astype("float32"))), kernel.shape)
    spoilt[largest] = -8 * kernel[largest] if kernel.dtype.kind == "f" else -127 * np.sign(kernel[largest])
    assert np.sum(spoilt != kernel) == 1
    return spoilt


def spoilt_tflite(path):
    content = path.read_bytes()
    (kernel,) = [value for value in constants(path).values() if value.shape == FIRST_KERNEL]
    assert content.count(kernel.tobytes()) == 1
    return content.replace(kernel.tobytes(), spoil(kernel).tobytes())


def spoil_onnx(path, target):
    model = onnx.load(path)
    (tensor,) = [tensor for tensor in model.graph.initializer if tuple(tensor.dims) == FIRST_KERNEL]
    tensor.CopyFrom(onnx.numpy_helper.from_array(spoil(onnx.numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, target)


def spoil_microcontroller(path, target):
    shutil.copytree(path, target)
    (file,) = target.glob("*.tflite")
    file.write_bytes(spoilt_tflite(file))


def spoil_saved_model(path, target):
    loaded = tf.saved_model.load(str(path))
    (kernel,) = [variable for variable in loaded.model_variables if tuple(variable.shape) == (3, 3, 3, 8)]
    kernel.assign(spoil(kernel.numpy()))
    tf.saved_model.save(loaded, str(target), signatures=loaded.signatures)


@pytest.mark.parametrize("mode", FORMATS["tflite"].modes)
def test_one_wrong_weight_in_a_tflite_file_is_found(exported, tmp_path, mode):
    network, sound = sample("se_resnet"), exported("se_resnet", "tflite", mode)
    (tmp_path / "spoilt.tflite").write_bytes(spoilt_tflite(sound.path))
    assert verify(sound.path, network.model, network.data).parity.passed
    assert not verify(tmp_path / "spoilt.tflite", network.model, network.data).parity.passed


@pytest.mark.parametrize(
    ("format", "spoil_file"), [("onnx", spoil_onnx), ("saved_model", spoil_saved_model)], ids=["onnx", "saved_model"]
)
@pytest.mark.parametrize("data", [False, True], ids=["random inputs", "data"])
def test_one_wrong_weight_is_found(exported, tmp_path, format, spoil_file, data):
    network, sound = sample("se_resnet"), exported("se_resnet", format)
    target = tmp_path / f"spoilt{sound.path.suffix}"
    spoil_file(sound.path, target)
    given = network.data if data else None
    assert verify(sound.path, network.model, given).parity.passed
    assert not verify(target, network.model, given).parity.passed


@pytest.mark.parametrize(
    ("format", "mode", "spoil_file"),
    [
        *(("onnx", mode, spoil_onnx) for mode in ("float16", "int8")),
        *(("microcontroller", mode, spoil_microcontroller) for mode in FORMATS["microcontroller"].modes),
    ],
)
def test_one_wrong_weight_of_fewer_bits_is_found(exported, tmp_path, format, mode, spoil_file):
    network, sound = sample("se_resnet"), exported("se_resnet", format, mode)
    target = tmp_path / f"spoilt{FORMATS[format].suffix}"
    spoil_file(sound.path, target)
    assert verify(sound.path, network.model, network.data).parity.passed
    assert not verify(target, network.model, network.data).parity.passed


def test_a_damaged_saved_model_cannot_be_run(exported, tmp_path):
    target = tmp_path / "damaged"
    spoil_saved_model(exported("se_resnet", "saved_model").path, target)
    (weights,) = target.glob("variables/variables.data-*")
    content = bytearray(weights.read_bytes())
    content[:64] = bytes(64)
    weights.write_bytes(content)
    with pytest.raises(ValueError, match="readable by TensorFlow"):
        verify(target, sample("se_resnet").model)


def replaced_on_the_way(monkeypatch, format, tmp_path):
    """Makes the format's own writer leave a spoilt file."""
    if format in ("tflite", "microcontroller"):
        write = tflite_format.write

        def spoilt(request, path):
            notes = write(request, tmp_path / "sound.tflite")
            path.write_bytes(spoilt_tflite(tmp_path / "sound.tflite"))
            return notes

        monkeypatch.setattr(tflite_format, "write", spoilt)
    elif format == "onnx":
        finish = onnx_format._finish

        def finished(graph, *args):
            finish(graph, *args)
            onnx.save(graph, tmp_path / "sound.onnx")
            spoil_onnx(tmp_path / "sound.onnx", tmp_path / "spoilt.onnx")
            graph.CopyFrom(onnx.load(tmp_path / "spoilt.onnx"))

        monkeypatch.setattr(onnx_format, "_finish", finished)
    else:
        save = saved_model_format.save

        def saved(model, folder, *args, **options):
            save(model, tmp_path / "sound", *args, **options)
            spoil_saved_model(tmp_path / "sound", folder)

        monkeypatch.setattr(saved_model_format, "save", saved)


@pytest.mark.parametrize(
    ("format", "convert", "options"),
    [
        ("tflite", to_tflite, {}),
        ("tflite", to_tflite, {"quantize": "int8"}),
        ("tflite", to_tflite, {"quantize": "selective"}),
        ("microcontroller", to_microcontroller, {}),
        ("microcontroller", to_microcontroller, {"quantize": "int8"}),
        ("onnx", to_onnx, {}),
        ("onnx", to_onnx, {"quantize": "float16"}),
        ("onnx", to_onnx, {"quantize": "int8"}),
        ("saved_model", to_saved_model, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value.values()) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("exists", [case(False, slow=True), True])
def test_a_file_that_fails_gets_no_name(tmp_path, monkeypatch, format, convert, options, exists):
    network = sample("se_resnet")
    replaced_on_the_way(monkeypatch, format, tmp_path)
    if options.get("quantize") in calibrated_names():
        options = {**options, "calibration_data": network.data}
    folder = tmp_path / "target"
    folder.mkdir()
    target = folder / f"model{'' if format == 'saved_model' else '.' + format}"
    if exists:
        target.write_text("the old one")
    with pytest.raises(ExportError, match="does not compute what the Keras model computes: error"):
        convert(network.model, target, overwrite=True, **options)
    assert [file.read_text() for file in folder.iterdir()] == (["the old one"] if exists else [])


def test_the_wrong_network_is_found(exported):
    network = sample("se_resnet")
    # Same names and shapes, other weights: the twin of mixed_float16 has its own.
    parity = verify(exported("se_resnet", "onnx").path, sample("mixed_float16").model, network.data).parity
    assert not parity.passed


def compared(expected, actual, quantize=None, **options):
    return compare({"y": np.asarray(expected)}, {"y": np.asarray(actual)}, quantize=quantize, **options)


def test_figures_computed_by_hand():
    parity = compared([[3.0, 4.0], [1.0, 0.0]], [[4.0, 3.0], [1.0, 0.0]])
    assert parity.max_abs == 1
    assert parity.mean_abs == 0.5
    assert parity.cosine == pytest.approx((24 / 25 + 1) / 2)
    assert parity.top1_agreement == 0.5
    assert parity.samples == 2
    # Root mean square of (1, -1, 0, 0), over the standard deviation of (3, 4, 1, 0).
    assert parity.error == pytest.approx(np.sqrt(0.5) / np.sqrt(2.5))
    assert parity.tolerance == TOLERANCES[None]
    assert not parity.passed


@pytest.mark.parametrize("quantize", TOLERANCES)
def test_the_tolerance_is_where_it_says(quantize):
    tolerance = TOLERANCES[quantize]
    reference = np.array([[-1.0, 1.0]])  # standard deviation 1
    assert compared(reference, reference + 0.99 * tolerance, quantize).passed
    assert not compared(reference, reference + 1.01 * tolerance, quantize).passed
    assert 1e-6 < tolerance < 0.2


def test_a_network_that_amplifies_rounding_is_allowed_more():
    reference = np.array([[-1.0, 1.0]])
    rounded = {"y": reference + 0.06}  # what rounded kernels alone do to the network
    parity = compared(reference, reference + 0.2, "int8", rounded=rounded)
    assert parity.tolerance == pytest.approx(MODES["int8"].margin * 0.06)
    assert parity.passed
    assert not compared(reference, reference + 0.25, "int8", rounded=rounded).passed
    tame = compared(reference, reference, "int8", rounded={"y": reference + 1e-3})
    assert tame.tolerance == TOLERANCES["int8"]


def test_a_constant_output_is_refused():
    reference = np.array([[-1.0, 1.0], [1.0, -1.0]])
    parity = compared(reference, np.zeros_like(reference), "int8", rounded={"y": reference * 0.9})
    assert parity.error == pytest.approx(1)
    assert parity.tolerance == pytest.approx(MODES["int8"].margin * 0.1)
    assert parity.conclusive
    assert not parity.passed


@pytest.mark.parametrize("quantize", TOLERANCES)
def test_no_verdict_when_rounding_alone_changes_outputs(quantize):
    reference = np.array([[-1.0, 1.0], [1.0, -1.0]])
    noise = 1.01 * MODES[quantize].conclusive / MODES[quantize].margin
    rounded = {"y": reference * (1 + noise)}
    tolerance = MODES[quantize].margin * noise
    parity = compared(reference, reference * (1 + 0.99 * tolerance), quantize, rounded=rounded)
    assert (parity.passed, parity.conclusive) == (True, False)
    assert "amplifies rounding" in parity.reason
    assert f"Inconclusive: {parity.reason}" in str(parity)
    assert not compared(reference, reference * (1 + 1.01 * tolerance), quantize, rounded=rounded).passed
    tame = compared(reference, reference, quantize, rounded={"y": reference * (1 + 0.9 * noise)})
    assert (tame.passed, tame.conclusive, tame.reason) == (True, True, "")


def test_rounded_kernels_that_overflow_tell_nothing():
    reference = np.array([[-1.0, 1.0]])
    assert (
        compared(reference, reference, "float16", rounded={"y": reference * np.inf}).tolerance == TOLERANCES["float16"]
    )


@pytest.mark.parametrize(("quantize", "conclusive"), [(None, True), ("int8", False)])
def test_nearly_constant_outputs_are_inconclusive(quantize, conclusive):
    """A file that ignores its inputs is off by 0.004: a float file may not be, an int8 file may."""
    reference = np.array([[-1.0, 1.0], [-1.004, 1.004]])
    parity = compared(reference, reference, quantize)
    assert (parity.passed, parity.conclusive) == (True, conclusive)
    assert conclusive or "ignores its inputs" in parity.reason
    constant = np.broadcast_to(reference.mean(axis=0), reference.shape)
    ignoring = compared(reference, constant, quantize)
    assert ignoring.error == pytest.approx(0.002 / (0.5 * 1.002), rel=1e-3)  # half of the spread is what counts
    assert ignoring.passed is not conclusive


def test_one_output_that_depends_on_the_inputs_is_enough():
    expected = {"anchors": np.array([[1.0, 2.0], [1.0, 2.0]]), "scores": np.array([[1.0, 2.0], [2.0, 1.0]])}
    assert compare(expected, expected, quantize=None).conclusive


def test_one_sample_is_inconclusive():
    parity = compared([[1.0, 2.0]], [[1.0, 2.0]])
    assert (parity.passed, parity.conclusive) == (True, False)
    assert "One sample" in parity.reason


def test_steps_that_no_value_reaches_are_inconclusive():
    reference = np.array([[0.01, 0.02], [0.02, 0.01]])
    parity = compared(reference, np.zeros((2, 2)), "int8", steps={"y": 0.03})
    assert (parity.passed, parity.conclusive) == (True, False)
    assert "The output y is quantized in steps of 0.03" in parity.reason


@pytest.mark.parametrize(("quantize", "error"), [(None, 2.0**-19), ("float16", 2.0**-11)])
def test_kernels_are_rounded_as_floats_are(quantize, error):
    kernel = np.random.default_rng(0).normal(0, 0.1, (3, 3, 4, 8)).astype("float32")
    relative = np.abs(rounded_kernel(kernel, quantize) / kernel - 1)
    assert error / 4 < relative.max() <= 2 * error


@pytest.mark.parametrize("quantize", ["dynamic", "int8", "int16x8"])
@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (8, 5), (3, 3, 8, 1)], ids=["convolution", "dense", "depthwise"])
def test_kernels_are_rounded_to_8_bits_for_each_channel(quantize, shape):
    scales = 10.0 ** np.arange(max(shape[-2:]) if shape[-1] == 1 else shape[-1])
    scales = scales[:, None] if shape[-1] == 1 else scales
    kernel = np.random.default_rng(0).uniform(-1, 1, shape) * scales
    rounded = rounded_kernel(kernel, quantize) / scales
    for channel in np.moveaxis(rounded.reshape(-1, scales.size), 1, 0):
        step = np.abs(channel).max() / 127
        np.testing.assert_allclose(channel / step, np.round(channel / step), atol=1e-5)
    assert np.abs(rounded - kernel / scales).max() < 1 / 127


def test_the_worst_output_counts():
    expected = {"good": np.array([[1.0, 2.0]]), "bad": np.array([[1.0, 2.0]])}
    parity = compare(expected, {**expected, "bad": np.array([[2.0, 1.0]])}, quantize=None)
    assert parity.error == pytest.approx(2)
    assert parity.cosine == pytest.approx(9 / 10)  # of (1, 2, 1, 2) and (1, 2, 2, 1)
    assert parity.top1_agreement == 0.5


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_fails(broken):
    parity = compared([[1.0, 2.0]], [[1.0, broken]])
    assert not parity.passed
    assert not compared([[0.2, 0.8]], [[0.2, broken]]).passed
    assert not compared([[1.0, 2.0]], [[1.0, broken]], "int8", steps={"y": 0.1}).passed


def test_all_zeros_and_constants():
    assert compared([[0.0, 0.0]], [[0.0, 0.0]]).cosine == 1
    parity = compared([[1.0, 2.0]], [[0.0, 0.0]])
    assert (parity.cosine, parity.passed) == (0, False)
    assert compared([[5.0, 5.0]], [[5.0, 5.0]]).passed
    assert not compared([[5.0, 5.0]], [[5.0, 5.1]]).passed


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"output 'y' must have the shape \(1, 2\).*\(2, 1\)"):
        compared([[1.0, 2.0]], [[1.0], [2.0]])


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_a_saturated_softmax_does_not_hide_a_broken_network():
    logits = np.array([[40.0, 5.0, -3.0, 1.0], [-8.0, 30.0, 2.0, 4.0]])
    broken = logits.copy()
    broken[:, 2:] *= -1
    expected, actual = softmax(logits), softmax(broken)
    assert np.abs(expected - actual).max() < 1e-9, "probabilities cannot tell"
    parity = compared(expected, actual)
    assert (parity.cosine, parity.top1_agreement) == (pytest.approx(1), 1)
    assert not parity.passed
    rounded = softmax(logits.astype("float32") * np.float32(1 + 1e-6))
    assert compared(expected, rounded).passed


def test_one_step_of_a_quantized_output_is_forgiven():
    reference, step = np.array([[1.0, 2.0, 7.0]]), 0.05
    assert compared(reference, reference + 0.99 * step, "int8", steps={"y": step}).error == 0
    parity = compared(reference, reference + 3 * step, "int8", steps={"y": step})
    assert parity.error == pytest.approx(2 * step / np.std(reference))
    assert parity.max_abs == pytest.approx(3 * step)


def test_a_softmax_in_steps_is_judged_by_logarithms():
    parity = compared([[0.25, 0.75]], [[0.45, 0.55]], "int8", steps={"y": 0.1})
    # A step nearer, 0.35 and 0.65; the logarithms of the reference are ln(3) apart.
    differences = np.log([0.35 / 0.25, 0.65 / 0.75])
    assert parity.error == pytest.approx(np.sqrt(np.mean(differences**2)) / (np.log(3) / 2))
    # What is below a step is the same; a step above it, too.
    assert compared([[1 - 1e-9, 1e-9]], [[1.0, 0.0]], "int8", steps={"y": 1 / 256}).error == pytest.approx(0, abs=1e-9)
    assert compared([[1 - 1e-9, 1e-9]], [[1 - 1 / 256, 1 / 256]], "int8", steps={"y": 1 / 256}).error < 1e-9


def test_a_softmax_in_steps_does_not_hide_a_broken_network():
    reference, broken, step = np.array([[0.94, 0.05, 0.01]]), np.array([[0.94, 0.01, 0.05]]), 1 / 256
    plain = np.maximum(np.abs(reference - broken) - step, 0)
    assert np.sqrt(np.mean(plain**2)) / np.std(reference) < TOLERANCES["int8"], "probabilities cannot tell"
    assert not compared(reference, broken, "int8", steps={"y": step}).passed
    sound = np.round(reference / step) * step
    assert compared(reference, sound, "int8", steps={"y": step}).passed


def test_channels_that_the_file_cannot_tell_apart_agree():
    assert compared([[0.4, 0.6]], [[0.5, 0.5]], "int8").top1_agreement == 1
    assert compared([[[0.4, 0.6], [0.9, 0.1]]], [[[0.3, 0.7], [0.2, 0.8]]]).top1_agreement == 0.5


def test_parity_prints_and_serialises():
    parity = compared([[3.0, 4.0], [4.0, 3.0]], [[3.0, 4.0], [4.0, 3.0]])
    assert json.loads(json.dumps(parity.to_dict())) == {
        "max_abs": 0.0,
        "mean_abs": 0.0,
        "cosine": 1.0,
        "top1_agreement": 1.0,
        "samples": 2,
        "error": 0.0,
        "tolerance": TOLERANCES[None],
        "passed": True,
        "conclusive": True,
        "reason": "",
    }
    assert str(parity).startswith("error 0.00e+00 (at most 0.0002), largest difference 0.00e+00, cosine 1.0000000")
    assert str(parity).endswith("over 2 samples")
    broken = compared([[3.0, 4.0], [4.0, 3.0]], [[3.0, np.nan], [4.0, 3.0]]).to_dict()
    assert (broken["error"], broken["max_abs"], broken["passed"]) == (None, None, False)


# The inputs that files are verified on by default


def feeds_of(model):
    ((name, values),) = random_feeds(InferenceModel(model).inputs, 64).items()
    return name, values


def test_random_samples_differ_in_level_and_contrast():
    image = keras.Input((16, 16, 3), name="image")
    model = keras.Model(image, layers.ReLU()(image))
    name, values = feeds_of(model)
    assert (name, values.shape, values.dtype) == ("image", (64, 16, 16, 3), "float32")
    levels, contrasts = values.mean(axis=(1, 2, 3)), values.std(axis=(1, 2, 3))
    assert 0.2 < levels.std() < 0.3  # 64 draws of a standard deviation of 0.25
    assert 0.45 < contrasts.min() < 0.6
    assert 0.95 < contrasts.max() < 1.05
    np.testing.assert_array_equal(values, feeds_of(model)[1])


def scaled(*scalings, nested=False):
    """An input that goes into each of the layers."""
    image = keras.Input((4, 4, 3), name="image")
    outputs = [layer(image) for layer in scalings]
    model = keras.Model(image, outputs if len(outputs) > 1 else layers.ReLU()(outputs[0]))
    if not nested:
        return model
    outer = keras.Input((4, 4, 3), name="image")
    return keras.Model(outer, model(outer))


def grown():
    model = keras.Sequential([keras.Input((4, 4, 3), name="image"), layers.Rescaling(1 / 127.5, -1)])
    model.add(layers.ReLU())
    return model


def normalization(**options):
    return layers.Normalization(mean=[1, 2, 3], variance=[1, 4, 16], **options)


UNDONE = {
    "scale": (lambda: scaled(layers.Rescaling(1 / 255)), 1 / 255, 0),
    "offset": (lambda: scaled(layers.Rescaling(1 / 127.5, offset=-1)), 1 / 127.5, -1),
    "per channel": (lambda: scaled(layers.Rescaling([0.1, 0.2, 0.3], [1, 2, 3])), [0.1, 0.2, 0.3], [1, 2, 3]),
    "normalization": (lambda: scaled(layers.Normalization(axis=None, mean=3, variance=4)), 1 / 2, -3 / 2),
    "normalization per channel": (lambda: scaled(normalization()), [1, 1 / 2, 1 / 4], [-1, -1, -3 / 4]),
    "sequential": (grown, 1 / 127.5, -1),
    "nested": (lambda: scaled(layers.Rescaling(1 / 255), nested=True), 1 / 255, 0),
}
LEFT = {
    "zero": lambda: scaled(layers.Rescaling(0.0)),
    "per row": lambda: scaled(layers.Rescaling(np.ones((4, 1, 1)).tolist())),
    "read by two": lambda: scaled(layers.Rescaling(0.1), layers.ReLU()),
    "inverted": lambda: scaled(normalization(invert=True)),
    "another layer": lambda: scaled(layers.ReLU()),
}


@pytest.mark.parametrize("case", UNDONE)
def test_a_scaling_at_the_input_is_undone(case):
    build, scale, offset = UNDONE[case]
    plain = feeds_of(scaled(layers.ReLU()))[1]
    np.testing.assert_allclose(feeds_of(build())[1] * np.array(scale) + np.array(offset), plain, atol=1e-5)


@pytest.mark.parametrize("case", LEFT)
def test_any_other_input_is_left(case):
    np.testing.assert_array_equal(feeds_of(LEFT[case]())[1], feeds_of(scaled(layers.ReLU()))[1])


def test_pixels_are_pixels():
    image = keras.Input((4, 4, 3), dtype="uint8", name="image")
    model = keras.Model(image, layers.Rescaling([1 / 64] * 3, [-2.0] * 3)(image))
    values = feeds_of(model)[1]
    plain = feeds_of(scaled(layers.ReLU()))[1]
    assert values.dtype == "uint8"
    np.testing.assert_array_equal(values, np.clip(np.round((plain.astype("float64") + 2) * 64), 0, 255))


def test_whole_numbers_are_zeros_and_ones():
    words = keras.Input((5,), dtype="int32", name="words")
    values = feeds_of(keras.Model(words, layers.Embedding(2, 3)(words)))[1]
    assert values.dtype == "int32"
    assert set(np.unique(values)) == {0, 1}


def test_a_file_is_verified_on_the_inputs_that_its_export_was(tmp_path, monkeypatch):
    seen = []

    def recorded(expected, actual, **options):
        seen.append(expected["features"])
        return compare(expected, actual, **options)

    monkeypatch.setattr("keras_se.export.artifact.compare", recorded)
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, name="conv")(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.GlobalAveragePooling2D(name="features")(x), name="pixels")
    artifact = to_tflite(model, tmp_path / "pixels.tflite", input_shape=(12, 12, 3))
    assert artifact.parity.conclusive
    verify(artifact.path, model)
    np.testing.assert_array_equal(*seen)
    assert np.std(seen[0]) > 0.05, "as of inputs of 0 to 255"
