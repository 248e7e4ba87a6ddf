"""TFLite files: what is in them, and what runs where."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import SqueezeExcite
from keras_se.export import Artifact, to_tflite
from tests.support.arrays import relative_error
from tests.support.networks import sample
from tests.support.networks.exported import se_resnet, sequential
from tests.support.runtimes import constants, interpreter, run_tflite

CALIBRATED = ("int8", "int16x8")
# What LiteRT's delegate, and TFLite for microcontrollers, take: no shapes computed while running.
OPERATIONS = {
    *("CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "LOGISTIC", "MUL", "ADD", "PAD", "FULLY_CONNECTED", "SOFTMAX"),
    *("RESHAPE", "QUANTIZE", "DEQUANTIZE"),
}


def operations(artifact):
    """How often each operation occurs in the file, and the delegate in the running network."""
    return Artifact.open(artifact.path).runner.operations()


def outside_the_delegate(path):
    """The operations, in order, that no delegate node has taken over."""
    nodes = interpreter(path)._get_ops_details()
    makers = {output: node for node in nodes if node["op_name"] != "DELEGATE" for output in node["outputs"]}
    inside = set()
    for delegate in (node for node in nodes if node["op_name"] == "DELEGATE"):
        reached = [output for output in delegate["outputs"] if output not in delegate["inputs"]]
        while reached:
            node = makers.get(reached.pop())
            if node is not None and node["index"] not in inside:
                inside.add(node["index"])
                reached += [tensor for tensor in node["inputs"] if tensor not in delegate["inputs"]]
    return [node["op_name"] for node in nodes if node["op_name"] != "DELEGATE" and node["index"] not in inside]


@pytest.mark.parametrize("mode", ["dynamic", "int8", "selective"])
def test_converters_print_nothing(tmp_path, capsys, mode):
    network = sample("se_resnet")
    data = network.feeds if mode != "dynamic" else None
    to_tflite(network.model, tmp_path / "model.tflite", quantize=mode, calibration_data=data)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("mode", [None, "float16", "dynamic"])
@pytest.mark.parametrize("name", ["se_resnet", "se_mobilenet"])
def test_a_network_is_one_delegate_partition(exported, name, mode):
    artifact = exported(name, "tflite", mode)
    found = operations(artifact)
    assert found.pop("DELEGATE") == 1
    assert outside_the_delegate(artifact.path) == []
    assert set(found) <= OPERATIONS, "no operation but these: no SHAPE, STRIDED_SLICE, PACK, nor one of TensorFlow"


@pytest.mark.parametrize(
    ("io_dtype", "outside"), [("int8", ["SOFTMAX"]), ("uint8", ["QUANTIZE", "SOFTMAX", "QUANTIZE"])]
)
def test_int8_with_int8_ends_is_one_partition_without_floats(exported, io_dtype, outside):
    artifact = exported("se_resnet", "tflite", "int8", io_dtype=io_dtype)
    dtypes = {np.dtype(tensor["dtype"]).name for tensor in interpreter(artifact.path).get_tensor_details()}
    assert dtypes == {"int8", "int32", io_dtype}
    assert operations(artifact)["DELEGATE"] == 1
    # The delegate has no softmax in 8 bits, and no uint8: these are left at the two ends.
    assert outside_the_delegate(artifact.path) == outside


def test_int8_has_floats_at_its_ends_only(exported):
    loaded = interpreter(exported("se_resnet", "tflite", "int8").path, delegate=False)
    ends = {detail["index"] for detail in (*loaded.get_input_details(), *loaded.get_output_details())}
    floats = {tensor["index"] for tensor in loaded.get_tensor_details() if tensor["dtype"] is np.float32}
    assert floats == ends


@pytest.mark.parametrize("mode", ["dynamic", *CALIBRATED])
def test_convolutions_have_a_scale_for_each_filter(exported, mode):
    loaded = interpreter(exported("se_resnet", "tflite", mode).path, delegate=False)
    kernels = [t for t in loaded.get_tensor_details() if t["dtype"] is np.int8 and tuple(t["shape"][1:3]) == (3, 3)]
    kernels = [kernel for kernel in kernels if kernel["shape"][0] > 1]  # the rest are feature maps
    assert len(kernels) == 5
    for kernel in kernels:
        scales = kernel["quantization_parameters"]["scales"]
        assert len(scales) == kernel["shape"][0]
        assert len(set(scales.tolist())) > 1


@pytest.mark.parametrize(("mode", "itemsize"), [("float16", 2), ("dynamic", 1), ("int8", 1), ("int16x8", 1)])
def test_weights_are_stored_in_fewer_bytes(exported, mode, itemsize):
    kernels = [value for value in constants(exported("se_resnet", "tflite", mode).path).values() if value.ndim == 4]
    model = sample("se_resnet").model
    stored = sum(kernel.size for kernel in kernels if kernel.itemsize == itemsize)
    convolutions = sum(layer.kernel.numpy().size for layer in model.layers if isinstance(layer, layers.Conv2D))
    assert stored >= convolutions


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_is_fixed(exported, batch_size):
    options = {} if batch_size == 1 else {"batch_size": batch_size}
    loaded = interpreter(exported("se_resnet", "tflite", **options).path)
    assert [tuple(detail["shape"]) for detail in loaded.get_input_details()] == [(batch_size, 16, 16, 3)]
    assert [tuple(detail["shape"]) for detail in loaded.get_output_details()] == [(batch_size, 10)]


IO_DTYPES = {
    "int8": ("float32", "int8", "uint8"),
    "int16x8": ("float32", "int16"),
    "selective": ("float32", "int8", "uint8"),
}
MODES = (None, "float16", "dynamic", *CALIBRATED, "selective")
COMBINATIONS = [(mode, io) for mode in MODES for io in ("float32", "int8", "uint8", "int16")]


@pytest.mark.parametrize(("mode", "io_dtype"), [(m, io) for m, io in COMBINATIONS if io in IO_DTYPES.get(m, ())])
def test_every_io_dtype_that_makes_sense(exported, mode, io_dtype):
    network = sample("se_resnet")
    artifact = exported("se_resnet", "tflite", mode, io_dtype=io_dtype)
    loaded = interpreter(artifact.path)
    ends = (*loaded.get_input_details(), *loaded.get_output_details())
    assert [np.dtype(detail["dtype"]).name for detail in ends] == [io_dtype, io_dtype]
    for outputs in (artifact.predict(network.data), run_tflite(artifact.path, network.feeds)["predictions"]):
        assert outputs.dtype in (np.float32, np.float64)
        assert relative_error(network.expected["predictions"], outputs) < 0.1


@pytest.mark.parametrize(
    ("mode", "io_dtype"), [(m, io) for m, io in COMBINATIONS if io not in IO_DTYPES.get(m, ("float32",))]
)
def test_every_io_dtype_that_does_not(tmp_path, mode, io_dtype):
    network = sample("se_resnet")
    data = network.data if mode in CALIBRATED else None
    with pytest.raises(ValueError, match=rf"io_dtype must be .*quantize={mode!r}.*'{io_dtype}'"):
        to_tflite(network.model, tmp_path / "a.tflite", quantize=mode, io_dtype=io_dtype, calibration_data=data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", CALIBRATED)
def test_calibration_data_must_be_given(tmp_path, mode):
    with pytest.raises(ValueError, match=r"calibration_data must be given: about 100 typical inputs.*\.npy"):
        to_tflite(se_resnet(), tmp_path / "a.tflite", quantize=mode)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "int4"}, "quantize must be one of"),
        ({"io_dtype": "float16"}, "io_dtype must be 'float32'"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"batch_size": None}, "batch_size must be a positive integer"),
        ({"batch_size": 1.5}, "batch_size must be a positive integer"),
        ({"input_shape": (16, 16)}, "input_shape must give every size"),
        ({"input_shape": (32, 32, 3)}, "input_shape must give every size"),
        ({"verification_data": np.zeros((1, 2))}, "shape"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_wrong_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        to_tflite(se_resnet(), tmp_path / "a.tflite", **options)
    assert not list(tmp_path.iterdir())


def unsized():
    image = keras.Input((None, None, 3), name="image")
    x = SqueezeExcite(2, name="se")(layers.Conv2D(8, 3, name="conv")(image))
    return keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x), name="unsized")


def test_unknown_sizes_need_input_shape(tmp_path):
    with pytest.raises(ValueError, match=r"input_shape must give every size of the input 'image'.*\(None, None, 3\)"):
        to_tflite(unsized(), tmp_path / "a.tflite")


@pytest.mark.parametrize("given", [(12, 20, 3), {"image": (12, 20, 3)}], ids=["tuple", "by name"])
def test_input_shape_fixes_unknown_sizes(tmp_path, given):
    model = unsized()
    artifact = to_tflite(model, tmp_path / "a.tflite", input_shape=given)
    x = np.random.default_rng(0).standard_normal((3, 12, 20, 3)).astype("float32")
    assert relative_error(model.predict(x, verbose=0), artifact.predict(x)) < 1e-5
    assert tuple(interpreter(artifact.path).get_input_details()[0]["shape"]) == (1, 12, 20, 3)


@pytest.mark.parametrize("mode", CALIBRATED)
def test_several_inputs_are_calibrated_each_on_its_own_data(exported, mode):
    network = sample("two_inputs")
    ranges = {name: float(np.ptp(column)) for name, column in network.feeds.items()}
    assert ranges["zebra"] / ranges["apple"] > 1.2, "the data must tell the inputs apart"
    loaded = interpreter(exported("two_inputs", "tflite", mode, io_dtype=mode.split("x")[0]).path)
    details = loaded.get_signature_runner("serving_default").get_input_details()
    assert {name: tuple(detail["shape"][1:]) for name, detail in details.items()} == {
        "zebra": (16, 16, 3),
        "apple": (4,),
    }
    for name, detail in details.items():
        steps = {"int8": 255, "int16": 65535}[np.dtype(detail["dtype"]).name]
        covered = detail["quantization"][0] * steps
        assert ranges[name] * 0.99 < covered < 2.1 * np.abs(network.feeds[name]).max()


def dead_se():
    """Excitation whose hidden units are never positive: its gates are always those of the bias."""
    model = sequential()
    model.set_weights(sample("sequential").model.get_weights())
    model.get_layer("se").reduce_bias.assign(np.full(4, -100.0))
    return model


@pytest.mark.parametrize("mode", CALIBRATED)
def test_a_dead_se_becomes_a_constant(tmp_path, mode):
    data, model = sample("sequential").data, dead_se()
    artifact = to_tflite(model, tmp_path / "a.tflite", quantize=mode, calibration_data=data)
    assert artifact.notes == (
        "The gates of se are constant over the calibration data. The file stores them as constants.",
    )
    assert operations(artifact)["LOGISTIC"] == 0
    assert relative_error(model.predict(data, verbose=0), artifact.predict(data)) < 0.05


class Opaque(layers.Layer):
    """A layer that cannot be made again: Keras cannot put an array into its configuration."""

    def __init__(self, factors, **kwargs):
        super().__init__(**kwargs)
        self.factors = factors

    def call(self, inputs):
        return inputs * self.factors


class Doubled(keras.Model):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training)


def test_functional_subclass_with_a_call_exports_with_a_note(tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    model = Doubled(image, layers.BatchNormalization()(layers.Conv2D(4, 3, name="conv")(image)), name="doubled")
    artifact = to_tflite(model, tmp_path / "a.tflite")
    assert artifact.parity.passed
    assert artifact.notes == ("Exported without rewrites, since Doubled has a call() of its own.",)


def test_a_layer_that_cannot_be_copied_exports_with_a_note(tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, name="conv")(image))
    x = Opaque(np.array([1.0, -2.0, 3.0, 0.5], "float32"), name="opaque")(x)
    model = keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x), name="opaque_network")
    artifact = to_tflite(model, tmp_path / "a.tflite")
    assert artifact.parity.passed
    assert len(artifact.notes) == 1
    assert "opaque" in artifact.notes[0]
    assert "get_config" in artifact.notes[0]
