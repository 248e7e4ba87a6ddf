"""Selective quantization: what is kept is kept, all else is in 8 bits, and what cannot be is refused."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import ConcurrentSqueezeExcite, SpatialSqueezeExcite
from keras_se.export import Artifact, ExportError, export, to_tflite
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.tflite.graph import read_graph
from keras_se.export.tflite.selective import chosen_layers, quantized_but
from tests.export.tflite.test_tflite import operations, outside_the_delegate
from tests.support.arrays import relative_error
from tests.support.cases import case
from tests.support.networks import sample
from tests.support.networks.exported import se_resnet
from tests.support.runtimes import constants, interpreter

CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


def results(path):
    """The type of what each operation computes, by the name of its tensor, without conversions between types."""
    graph = read_graph(path.read_bytes())
    return {
        graph.tensors[index].name: graph.tensors[index].type
        for operation in graph.operations
        if operation.name not in CONVERSIONS
        for index in operation.outputs
    }


def selective(path, network="se_resnet", **options):
    used = sample(network)
    return to_tflite(
        used.model,
        path,
        quantize="selective",
        **{"calibration_data": used.data, "verification_data": used.data} | options,
    )


def test_se_is_in_floats_and_all_else_in_8_bits(exported):
    path = exported("se_resnet", "tflite", "selective").path
    types = results(path)
    assert types.pop("predictions") == "FLOAT32", "the delegate has no softmax in 8 bits"
    assert sum("_se_" in name for name in types) == 10
    for name, found in types.items():
        assert found == ("FLOAT32" if "_se_" in name else "INT8"), name


def test_the_weights_of_kept_layers_are_those_of_keras(exported):
    stored = constants(exported("se_resnet", "tflite", "selective").path)
    floats = [value for value in stored.values() if value.dtype == np.float32 and value.ndim > 1]
    blocks = [layer for layer in sample("se_resnet").model.layers if layer.name.endswith("_se")]
    kernels = [kernel.numpy().T for block in blocks for kernel in (block.reduce_kernel, block.expand_kernel)]
    assert len(floats) == len(kernels) == 4
    for kernel in kernels:
        assert any(np.array_equal(kernel, value.reshape(value.shape[0], -1)) for value in floats)


@pytest.mark.parametrize("name", ["se_resnet", case("se_mobilenet", slow=True)])
def test_with_se_in_floats_a_network_is_one_delegate_partition(exported, name):
    artifact = exported(name, "tflite", "selective")
    assert operations(artifact)["DELEGATE"] == 1
    assert outside_the_delegate(artifact.path) == []


def test_se_in_16_bits(exported):
    artifact, network = exported("se_resnet", "tflite", "selective", keep_as="int16"), sample("se_resnet")
    types = results(artifact.path)
    assert {found for name, found in types.items() if "_se_" in name} == {"INT16"}
    assert {found for name, found in types.items() if "_se_" not in name and name != "predictions"} == {"INT8"}
    assert Artifact.open(artifact.path).quantize == "selective"
    assert relative_error(network.expected["predictions"], artifact.predict(network.data)) < 0.1
    assert artifact.notes == ()


def test_ranges_are_those_of_all_calibration_data(exported):
    network = sample("se_resnet")
    values = keras.Model(network.model.input, network.model.get_layer("stage1_block1_relu").output).predict(
        network.data, verbose=0
    )
    tensors = interpreter(exported("se_resnet", "tflite", "selective").path, delegate=False).get_tensor_details()
    (block,) = [
        t for t in tensors if t["name"].startswith("se_resnet_1/stage1_block1_relu_1/") and t["dtype"] is np.int8
    ]
    scale, zero_point = block["quantization"]
    assert zero_point == -128
    assert scale * 255 == pytest.approx(values.max(), rel=1e-3)


def test_the_same_export_has_the_same_bytes(exported, tmp_path):
    network = sample("sequential")
    again = to_tflite(network.model, tmp_path / "a.tflite", quantize="selective", calibration_data=network.data)
    assert again.path.read_bytes() == exported("sequential", "tflite", "selective").path.read_bytes()


KEEP = {
    "one name": ("stem_conv", {"stem_conv"}),
    "a regular expression": (r"stage\d_block1_conv1", {"stage1_block1_conv1", "stage2_block1_conv1"}),
    "several": (("stage1_.*_se", "stem_conv"), {"stem_conv", "stage1_block1_se"}),
    "the last layer": ("predictions", {"predictions"}),
    "what was fused with a convolution": ("stage1_block1_conv1_relu", {"stage1_block1_conv1"}),
}


@pytest.mark.parametrize(("keep", "kept"), KEEP.values(), ids=KEEP)
def test_what_keep_names_is_kept(exported, keep, kept):
    network = sample("se_resnet")
    choice = chosen_layers(network.model, "selective", keep, None)
    content, notes = quantized_but(
        exported("se_resnet", "tflite").path.read_bytes(),
        InferenceModel(network.model),
        choice,
        calibration=network.feeds,
        io_dtype="int8",
        batch_size=1,
    )
    assert notes == []
    graph, types = read_graph(content), {}
    for operation in graph.operations:
        if operation.name in ("CONV_2D", "FULLY_CONNECTED"):
            name = graph.tensors[operation.inputs[1]].name.split("/")[1].removesuffix("_1")
            types.setdefault(name, set()).add(graph.tensors[operation.inputs[1]].type)
    assert {name for name, found in types.items() if found == {"FLOAT32"}} == kept
    assert all(found == {"INT8"} for name, found in types.items() if name not in kept)


def test_a_pattern_is_for_the_whole_name():
    with pytest.raises(ValueError, match=r"keep must match the whole name of a layer. Received: 'stage1_bl"):
        chosen_layers(sample("se_resnet").model, "selective", "stage1_block", None)


def test_se_means_every_kind_of_it_wherever_it_is(tmp_path):
    inner_image = keras.Input((8, 8, 4), name="inner_image")
    inner = keras.Model(inner_image, SpatialSqueezeExcite(name="spatial")(inner_image), name="inner")
    image = keras.Input((8, 8, 3), name="image")
    x = ConcurrentSqueezeExcite(2, name="both")(inner(layers.Conv2D(4, 3, padding="same", name="conv")(image)))
    model = keras.Model(image, layers.Conv2D(2, 1, name="end")(x), name="net")
    data = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    artifact = to_tflite(model, tmp_path / "a.tflite", quantize="selective", calibration_data=data)
    types = results(artifact.path)
    kept = {name for name in types if "/both_1/" in name or "/spatial_1/" in name}
    assert len(kept) > 8
    assert {types[name] for name in kept} == {"FLOAT32"}
    assert {types[name] for name in set(types) - kept} == {"INT8"}
    assert artifact.notes == ()
    # By its name, which two have, or by its path.
    for keep, mark in (("spatial", "/spatial_1/"), ("inner/.*", "/inner_1/")):
        types = results(selective_of(model, data, tmp_path / f"{mark[1:-1]}.tflite", keep).path)
        assert {name for name, found in types.items() if found == "FLOAT32"} == {n for n in types if mark in n}


def selective_of(model, data, path, keep, **options):
    return to_tflite(model, path, quantize="selective", keep=keep, calibration_data=data, **options)


def test_layers_that_are_no_operation_are_told(tmp_path):
    artifact = selective(tmp_path / "a.tflite", "sequential", keep=("conv", "bn"))
    assert artifact.notes == (
        "Not kept in float32, since the file has no operation of these layers (they were fused into another layer, or "
        "compute nothing): bn.",
    )
    with pytest.raises(ExportError, match=r"The file has no operation of the layers to keep: bn\."):
        selective(tmp_path / "b.tflite", "sequential", keep="bn")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tflite"]


def swish_network():
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    x = layers.Activation("hard_silu", name="swish")(x)
    x = layers.Activation("elu", name="elu")(x)
    return keras.Model(image, layers.Conv2D(3, 1, name="end")(x), name="net")


def test_ops_without_int8_form_stay_in_floats_with_a_note(tmp_path):
    data = np.random.default_rng(0).normal(size=(8, 8, 8, 4)).astype("float32")
    artifact = selective_of(swish_network(), data, tmp_path / "a.tflite", "swish|conv", keep_as="int16", optimize=False)
    assert artifact.notes == (
        "In floats, since LiteRT's quantizer has no 16-bit form of them: HARD_SWISH.",
        "In floats, since LiteRT's quantizer has no 8-bit form of them: ELU.",
    )
    types = results(artifact.path)
    assert sorted(types.values()) == ["FLOAT32", "FLOAT32", "INT16", "INT8"]


WRONG = {
    "no layer": ({"keep": "nothing"}, r"keep must match the whole name of a layer. Received: 'nothing'"),
    "one of several": ({"keep": ("se", "nothing")}, r"keep must match the whole name of a layer. Received: 'nothing'"),
    "no expression": ({"keep": "se("}, r"keep must be a regular expression. Received: 'se\('"),
    "none": ({"keep": ()}, r"keep must name at least one layer. Received: keep=\(\)"),
    "no string": ({"keep": 3}, r"keep must be .* a list of these. Received: 3"),
    "keep_as": ({"keep_as": "float16"}, r"keep_as must be one of 'float32', 'int16'. Received: keep_as='float16'"),
    "keep and another mode": (
        {"keep": "se", "quantize": "int8"},
        r"keep(='se')? requires .*quantize='selective'. Received: .*int8'",
    ),
    "keep_as and no mode": (
        {"keep_as": "int16", "quantize": None, "calibration_data": None},
        r"keep_as(='int16')? requires .*quantize='selective'",
    ),
    "io_dtype": ({"io_dtype": "int16"}, r"io_dtype must be one of 'float32', 'int8', 'uint8'"),
    "no data": ({"calibration_data": None}, r"calibration_data must be given"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_refused(tmp_path, options, message):
    used = {"quantize": "selective", "calibration_data": sample("se_resnet").data} | options
    with pytest.raises(ValueError, match=message):
        to_tflite(sample("se_resnet").model, tmp_path / "a.tflite", **used)
    if "io_dtype" not in options:
        with pytest.raises(ValueError, match=message):
            export(sample("se_resnet").model, tmp_path, "tflite", **used)
    assert not list(tmp_path.iterdir())


def test_a_network_without_se_has_none_to_keep(tmp_path):
    with pytest.raises(ValueError, match=r"keep must match .* \(the model has no squeeze-and-excitation layers\)"):
        to_tflite(
            se_resnet(r=None), tmp_path / "a.tflite", quantize="selective", calibration_data=np.ones((2, 16, 16, 3))
        )


def test_export_keeps_layers_in_the_mode_that_has_it(tmp_path):
    network = sample("sequential")
    artifacts = export(
        network.model, tmp_path, "tflite", quantize=("int8", "selective"), keep="se", calibration_data=network.data
    )
    assert [set(results(artifact.path).values()) for artifact in artifacts] == [{"INT8"}, {"INT8", "FLOAT32"}]


def test_excitations_that_8_bits_cannot_hold(tmp_path):
    """One hidden unit is a thousand times the others, and nothing reads it: one range leaves the others nothing."""
    used = sample("sequential")
    model = keras.models.clone_model(used.model)
    model.set_weights(used.model.get_weights())
    block = model.get_layer("se")
    block.reduce_kernel.assign(block.reduce_kernel.numpy() * np.array([1000.0, 1, 1, 1]))
    block.expand_kernel.assign(block.expand_kernel.numpy() * np.array([[0.0], [1], [1], [1]]))
    given = {"calibration_data": used.data, "verification_data": used.data}
    with pytest.raises(ExportError, match="does not compute what the Keras model computes"):
        to_tflite(model, tmp_path / "a.tflite", quantize="int8", **given)
    expected = model.predict(used.data, verbose=0)
    for keep_as in ("float32", "int16"):
        artifact = to_tflite(model, tmp_path / f"{keep_as}.tflite", quantize="selective", keep_as=keep_as, **given)
        assert relative_error(expected, artifact.predict(used.data)) < 0.02
