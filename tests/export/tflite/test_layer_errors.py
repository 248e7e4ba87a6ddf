"""The error of each layer: compared with Keras' own values, and a fault is found where it is."""

import json

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers

from keras_se import ConcurrentSqueezeExcite
from keras_se.export import layer_errors, to_tflite
from keras_se.export.verification.parity import SAMPLES
from tests.support.cases import case
from tests.support.networks import sample
from tests.support.networks.exported import se_mobilenet
from tests.support.runtimes import interpreter, to_integers, to_real

# Those of the ways to a quantized file that differ, and the others.
MODES = ("int8", "selective", *(case(mode, slow=True) for mode in ("dynamic", "int16x8")))
# Layers that leave their values in the file: which it is in Keras, and what the tensor's name begins with.
LAYERS = {
    "stem_conv_relu": ("stem_conv_relu", "stem_conv_relu_1/Relu;"),
    "stage1_block1_conv2": ("stage1_block1_conv2_bn", "stage1_block1_conv2_1/BiasAdd;"),
    "stage1_block1_se": ("stage1_block1_se", "stage1_block1_se_1/Mul"),
    "stage2_block1_relu": ("stage2_block1_relu", "stage2_block1_relu_1/Relu;"),
    "avg_pool": ("avg_pool", "avg_pool_1/Mean"),
}


def inner_values(path, data, prefix):
    """The values of a tensor inside the file, sample by sample."""
    loaded = interpreter(path, delegate=False)
    signature = loaded.get_signature_runner("serving_default")
    (given,) = signature.get_input_details().values()
    named = [t for t in loaded.get_tensor_details() if t["name"].startswith(f"se_resnet_1/{prefix}")]
    named = [t for t in named if not t["name"].endswith(("_quantized", "_dequant"))]
    (tensor,) = [t for t in named if t["shape"][0] == 1]  # and no bias, which has the same name
    found = []
    for i in range(len(data)):
        signature(image=to_integers(data[i : i + 1], given))
        found.append(to_real(loaded.get_tensor(tensor["index"]), tensor))
    return np.concatenate(found)


@pytest.mark.parametrize("mode", MODES)
def test_errors_are_those_against_keras(exported, mode):
    network, path = sample("se_resnet"), exported("se_resnet", "tflite", mode).path
    errors = layer_errors(path, network.model, network.data)
    rows, data = {row.layer: row for row in errors.rows}, network.data[:SAMPLES]
    assert (errors.path, errors.samples) == (path, SAMPLES)
    for name, (layer, prefix) in LAYERS.items():
        expected = keras.Model(network.model.input, network.model.get_layer(layer).output).predict(data, verbose=0)
        found = inner_values(path, data, prefix)
        noise = np.sum((found - expected.astype("float64")) ** 2)
        assert rows[name].sqnr == pytest.approx(10 * np.log10(np.sum(expected**2.0) / noise), abs=0.1), name
        flat = (x.reshape(len(x), -1).astype("float64") for x in (expected, found))
        cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*flat, strict=True)]
        assert rows[name].cosine == pytest.approx(np.mean(cosines), abs=1e-6)


def test_every_layer_has_a_row_or_is_part_of_one_or_missing(exported):
    network = sample("se_resnet")
    errors = layer_errors(exported("se_resnet", "tflite", "int8").path, network.model, network.data)
    named = {path for row in errors.rows for path in (row.layer, *row.fused)}
    computing = {layer.name for layer in network.model.layers if not isinstance(layer, layers.InputLayer)}
    assert named | set(errors.missing) == computing
    assert not named & set(errors.missing)
    # Folded into convolutions before.
    assert all(isinstance(network.model.get_layer(name), layers.BatchNormalization) for name in errors.missing)
    assert {row.layer for row in errors.rows if row.se} == {"stage1_block1_se", "stage2_block1_se"}
    assert [row.own for row in errors.rows] == sorted(row.own for row in errors.rows)
    assert all(row.own >= row.sqnr for row in errors.rows)


def spoilt(path, layer, factor):
    """A file in which the scales of a layer's kernel are wrong by a factor."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    kernels = [
        tensor
        for tensor in model.subgraphs[0].tensors
        if f"/{layer}_1/" in tensor.name.decode() and model.buffers[tensor.buffer].data is not None and tensor.type == 9
    ]
    assert len(kernels) == 1
    kernels[0].quantization.scale = kernels[0].quantization.scale * np.float32(factor)
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("layer", ["stem_conv", "stage2_block1_conv1"])
def test_a_layer_with_wrong_scales_is_on_top(exported, tmp_path, layer):
    network, path = sample("se_resnet"), exported("se_resnet", "tflite", "int8").path
    (tmp_path / "spoilt.tflite").write_bytes(spoilt(path, layer, 1.5))
    first = layer_errors(tmp_path / "spoilt.tflite", network.model, network.data).rows[0]
    assert layer in (first.layer, *first.fused)
    assert first.own < 10  # and without the fault more than 30


def test_excitations_inside_of_others_are_marked(tmp_path):
    image = keras.Input((8, 8, 4), name="image")
    x = ConcurrentSqueezeExcite(2, name="both")(layers.Conv2D(4, 3, name="conv")(image))
    model = keras.Model(image, layers.Conv2D(2, 1, name="end")(x), name="net")
    path = to_tflite(model, tmp_path / "a.tflite", quantize="dynamic").path
    errors = layer_errors(path, model, samples=3)
    assert errors.samples == 3
    assert {row.layer for row in errors.rows if row.se} == {"both", "both/channel", "both/spatial"}
    assert {row.layer for row in errors.rows if not row.se} == {"conv", "end"}
    assert errors.missing == ()


def test_a_batch_that_is_filled_up_counts_each_sample_once(exported):
    network, path = sample("sequential"), exported("sequential", "tflite", "dynamic", batch_size=3).path
    once = layer_errors(exported("sequential", "tflite", "dynamic").path, network.model, network.data, samples=4)
    rows = {row.layer: row for row in layer_errors(path, network.model, network.data, samples=4).rows}
    for row in once.rows:
        assert rows[row.layer].sqnr == pytest.approx(row.sqnr, abs=1)
        assert rows[row.layer].cosine == pytest.approx(row.cosine, abs=1e-4)


def test_several_inputs_in_the_models_order(exported):
    network, path = sample("two_inputs"), exported("two_inputs", "tflite", "int8", io_dtype="int8").path
    errors = layer_errors(path, network.model, network.data)
    assert min(row.sqnr for row in errors.rows) > 25
    assert {"block_relu", "per_pixel", "per_image", "joined"} <= {row.layer for row in errors.rows}


def test_json_has_no_infinity(exported):
    network = sample("sequential")
    document = layer_errors(exported("sequential", "tflite", "dynamic").path, network.model, network.data).to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {"layer", "fused", "kind", "se", "sqnr", "own", "cosine"} == set(document["layers"][0])


@pytest.mark.parametrize(("format", "mode"), [("tflite", None), ("onnx", None)])
def test_a_file_of_another_kind_is_refused(exported, format, mode):
    with pytest.raises(
        ValueError, match=rf"The file must be a quantized TFLite file. Received: .*\({format}, float32\)"
    ):
        layer_errors(exported("se_resnet", format, mode).path, sample("se_resnet").model)


def test_another_model_is_refused(exported):
    with pytest.raises(ValueError, match="must have inputs of the same shape"):
        layer_errors(exported("se_resnet", "tflite", "int8").path, se_mobilenet())
