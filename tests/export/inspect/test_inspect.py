"""What `inspect` finds, held against LiteRT, ONNX and counts of the network itself; and files that are damaged."""

import collections
import json
import shutil

import numpy as np
import onnx
import pytest
import tensorflow as tf

from keras_se import complexity
from keras_se.export import inspect as inspect_module  # the module, or the function where the package names it
from keras_se.export.inspect.inspection import TensorInfo
from keras_se.export.inspect.macs import count_macs, gating_macs
from keras_se.export.inspect.tables import notes
from keras_se.export.tflite.mode import find_mode
from tests.export.tflite.test_tflite import outside_the_delegate
from tests.support.networks import sample
from tests.support.runtimes import interpreter

inspect = getattr(inspect_module, "inspect", inspect_module)
MODES = (None, "float16", "dynamic", "int8", "int16x8", "selective")


@pytest.mark.parametrize("mode", MODES)
def test_a_tflite_file_is_what_litert_says(exported, mode):
    path = exported("se_resnet", "tflite", mode).path
    found = inspect(path)
    loaded = interpreter(path)
    nodes = [node["op_name"] for node in loaded._get_ops_details()]
    assert found.partitions == nodes.count("DELEGATE")
    kinds = collections.Counter(name for name in nodes if name != "DELEGATE")
    assert {row.kind: row.count for row in found.rows} == kinds
    assert [one.kind for one in found.outside] == outside_the_delegate(path)
    assert (found.format, found.quantize, found.size) == ("tflite", mode, path.stat().st_size)
    for own, detail in zip(found.inputs, loaded.get_input_details(), strict=True):
        assert (own.name, own.shape, own.dtype) == ("image", tuple(detail["shape"]), np.dtype(detail["dtype"]).name)
    assert (found.floats, found.custom, found.dynamic, found.problem) == ((), (), (), None)


def test_scales_of_ends_are_those_of_litert(exported):
    path = exported("se_resnet", "tflite", "int8", io_dtype="int8").path
    found, loaded = inspect(path), interpreter(path)
    for own, details in ((found.inputs, loaded.get_input_details()), (found.outputs, loaded.get_output_details())):
        scale, zero_point = details[0]["quantization"]
        assert (own[0].dtype, own[0].zero_point) == ("int8", zero_point)
        assert own[0].scale == pytest.approx(scale)


def test_a_folder_for_microcontrollers_is_what_its_file_is(exported, tmp_path):
    folder = exported("se_resnet", "microcontroller").path
    (file,) = folder.glob("*.tflite")
    found, own = inspect(folder), inspect(file)
    assert (found.path, found.rows, found.size) == (file, own.rows, file.stat().st_size)
    for manifest in ({}, {"model": "x"}, {"model": {"file": "../x.tflite"}}):
        content = {"made_by": "keras_se", "format": "microcontroller", **manifest}
        (tmp_path / "manifest.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match="FILE must be"):
            inspect(tmp_path)


@pytest.mark.parametrize("format", ["tflite", "onnx", "saved_model"])
@pytest.mark.parametrize("name", ["se_resnet", "grouped"])
def test_macs_are_those_of_the_network(exported, name, format):
    found = inspect(exported(name, format, optimize=False).path)
    assert found.macs == complexity(sample(name).model).macs
    assert found.macs_by_arithmetic == {"float32": found.macs}
    assert found.uncounted == ()


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [("float16", {"float32"}), ("dynamic", {"dynamic", "float32"}), ("int8", {"int8"}), ("int16x8", {"int16x8"})],
)
def test_macs_are_counted_by_type_of_arithmetic(exported, mode, kinds):
    found = inspect(exported("se_resnet", "tflite", mode).path)
    assert set(found.macs_by_arithmetic) == kinds
    assert sum(found.macs_by_arithmetic.values()) == found.macs > 0


def test_an_onnx_file_is_what_onnx_says(exported):
    path = exported("se_resnet", "onnx").path
    found, model = inspect(path), onnx.load(path)
    assert {row.kind: row.count for row in found.rows} == collections.Counter(node.op_type for node in model.graph.node)
    assert [(t.name, t.shape, t.dtype) for t in found.inputs] == [("image", (None, 16, 16, 3), "float32")]
    assert found.opsets[""] == 17
    assert found.metadata["keras_se.layout"] == "nhwc"
    assert "image" in found.dynamic
    assert inspect(exported("se_resnet", "onnx", batch_size=2).path).dynamic == ()


def test_a_saved_model(exported, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported("two_inputs", "saved_model").path, folder)
    (folder / "assets" / "keras_se.json").write_text(json.dumps({"classes": ["cat", "dog"], "note": "mine"}))
    found = inspect(folder)
    assert [tensor.name for tensor in found.inputs] == ["apple", "zebra"]
    assert [tensor.shape for tensor in found.outputs] == [(None, 5), (None, 16, 16, 2)]
    assert found.metadata["classes"] == '["cat", "dog"]'
    assert found.metadata["note"] == "mine"
    assert next(row.count for row in found.rows if row.kind == "Conv2D") == 4
    json.dumps(found.to_dict())


def converted(path, function, *specs, flex=False):
    converter = tf.lite.TFLiteConverter.from_concrete_functions([tf.function(function).get_concrete_function(*specs)])
    sets = tf.lite.OpsSet
    converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS, *([sets.SELECT_TF_OPS] if flex else [])]
    converter.allow_custom_ops = not flex
    path.write_bytes(converter.convert())
    return path


@pytest.mark.parametrize(
    ("flex", "kind", "domain"), [(True, "FlexMatrixInverse", "Flex"), (False, "MatrixInverse", "custom")]
)
def test_flex_and_custom_operations(tmp_path, flex, kind, domain):
    path = converted(tmp_path / "a.tflite", tf.linalg.inv, tf.TensorSpec((4, 4)), flex=flex)
    found = inspect(path)
    assert [(one.kind, one.domain) for one in found.custom] == [(kind, domain)]
    assert kind in found.problem
    assert found.partitions is None


def test_sizes_that_are_not_fixed(tmp_path):
    path = converted(tmp_path / "a.tflite", lambda x: tf.nn.relu(x) + 1.0, tf.TensorSpec((None, 4)))
    found = inspect(path)
    assert found.inputs[0].shape == (None, 4)
    assert found.inputs[0].name in found.dynamic


def test_names_do_not_move_the_cursor(tmp_path):
    tensor = onnx.helper.make_tensor_value_info("x\x1b[2J", onnx.TensorProto.FLOAT, [1])
    result = onnx.helper.make_tensor_value_info("[red]y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", [tensor.name], [result.name])
    save(tmp_path / "a.onnx", [node], [tensor], [result])
    printed = str(inspect(tmp_path / "a.onnx"))
    assert "\x1b" not in printed
    assert "[red]y" in printed


def save(path, nodes, inputs, outputs, opsets=(("", 17),), initializers=()):
    graph = onnx.helper.make_graph(nodes, "graph", inputs, outputs, list(initializers))
    imports = [onnx.helper.make_opsetid(*entry) for entry in opsets]
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString())
    return path


def vector(name):
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4])


def test_an_operation_of_another_domain(tmp_path):
    node = onnx.helper.make_node("Gate", ["x"], ["y"], name="gate", domain="my.domain")
    found = inspect(save(tmp_path / "a.onnx", [node], [vector("x")], [vector("y")], (("", 17), ("my.domain", 1))))
    assert [(one.name, one.domain) for one in found.custom] == [("gate", "my.domain")]


def test_only_products_with_gates_are_counted():
    own, gates = TensorInfo("x", (1, 4, 4, 8), "float32"), TensorInfo("s", (1, 1, 1, 8), "float32")
    assert gating_macs([own, gates], own) == 128
    assert gating_macs([own, own], own) == 0
    assert gating_macs([own, TensorInfo("c", (8,), "float32", constant=True)], own) == 0


@pytest.mark.parametrize(
    ("kind", "shapes", "transposed", "expected"),
    [
        ("CONV_2D", [(1, 8, 8, 3), (16, 3, 3, 3), (1, 4, 4, 16)], False, 4 * 4 * 16 * 27),
        ("TRANSPOSE_CONV", [(4,), (16, 3, 3, 8), (1, 4, 4, 8), (1, 8, 8, 16)], False, 4 * 4 * 8 * 16 * 9),
        ("Conv", [(1, 3, 8, 8), (16, 3, 3, 3), (None, 16, 4, 4)], False, 4 * 4 * 16 * 27),
        ("ConvTranspose", [(1, 8, 4, 4), (8, 16, 3, 3), (1, 16, 8, 8)], False, 4 * 4 * 8 * 16 * 9),
        ("Conv2DBackpropInput", [(4,), (3, 3, 16, 8), (1, 4, 4, 8), (1, 8, 8, 16)], False, 4 * 4 * 8 * 16 * 9),
        ("Gemm", [(2, 5), (5, 7), (2, 7)], False, 2 * 7 * 5),
        ("Gemm", [(2, 5), (7, 5), (2, 7)], True, 2 * 7 * 5),
        ("MatMul", [(2, 5), (5,), (2,)], False, 2 * 5),
        ("Conv", [(1, 3, 8, 8), (16, 3, 3, 3), (1, 16, None, None)], False, None),
        ("ADD", [(1, 8), (1, 8), (1, 8)], False, 0),
    ],
)
def test_macs_follow_from_the_kernel(kind, shapes, transposed, expected):
    *inputs, output = [TensorInfo(str(i), shape, "float32", constant=i == 1) for i, shape in enumerate(shapes)]
    assert count_macs(kind, inputs, [output], transposed=transposed) == expected


@pytest.mark.parametrize(
    ("computed", "stored", "mode"),
    [
        ({"CONV_2D": "float32"}, {"float32"}, None),
        ({"CONV_2D": "float32"}, {"float32", "float16"}, "float16"),
        ({"CONV_2D": "float32", "QUANTIZE": "int8"}, {"float32", "int8"}, "dynamic"),
        ({"CONV_2D": "int8", "DEQUANTIZE": "float32", "DELEGATE": "float32"}, {"float32", "int8"}, "int8"),
        ({"CONV_2D": "uint8"}, {"uint8"}, "int8"),
        ({"CONV_2D": "int16"}, {"int8", "int16"}, "int16x8"),
        ({"CONV_2D": "int8", "SOFTMAX": "float32"}, {"int8", "float32"}, "selective"),
    ],
)
def test_the_mode_follows_from_types(computed, stored, mode):
    assert find_mode(((kind, [dtype]) for kind, dtype in computed.items()), stored) == mode


def overwritten(position, value):
    def damage(content):
        return content[:position] + value + content[position + len(value) :]

    return damage


def indices_out_of_range(content):
    """A whole FlatBuffer, whose operations read tensors that it does not have."""
    from ai_edge_litert import schema_py_generated as schema

    return repacked(content, lambda model: setattr(model.subgraphs[0].operators[0], "inputs", [10**6]), schema)


def negative_size(content):
    from ai_edge_litert import schema_py_generated as schema

    return repacked(content, lambda model: setattr(model.subgraphs[0].tensors[0], "shape", [1, -5]), schema)


def no_such_operation(content):
    from ai_edge_litert import schema_py_generated as schema

    return repacked(content, lambda model: setattr(model.subgraphs[0].operators[0], "opcodeIndex", 77), schema)


def no_such_buffer(content):
    from ai_edge_litert import schema_py_generated as schema

    return repacked(content, lambda model: setattr(model.subgraphs[0].tensors[0], "buffer", 10**5), schema)


def no_graph(content):
    from ai_edge_litert import schema_py_generated as schema

    return repacked(content, lambda model: setattr(model, "subgraphs", []), schema)


def repacked(content, change, schema):
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


DAMAGED = {
    "empty": lambda content: b"",
    "text": lambda content: b"this is no model, and long enough to be read",
    "another identifier": overwritten(4, b"JUNK"),
    "the first half": lambda content: content[: len(content) // 2],
    "eight bytes": lambda content: content[:8],
    "root beyond the end": overwritten(0, b"\xff\xff\xff\x7f"),
    "root in itself": overwritten(0, b"\x00\x00\x00\x00"),
    "nothing but an identifier": lambda content: content[:8] + bytes(len(content) - 8),
    "all ones": lambda content: content[:8] + b"\xff" * (len(content) - 8),
    "tensors that are not there": indices_out_of_range,
    "a negative size": negative_size,
    "an operation that is not there": no_such_operation,
    "a buffer that is not there": no_such_buffer,
    "no graph": no_graph,
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_tflite_file_is_a_sentence(exported, tmp_path, damage):
    path = tmp_path / "damaged.tflite"
    path.write_bytes(damage(exported("se_resnet", "tflite", "int8").path.read_bytes()))
    with pytest.raises(ValueError, match=r"^FILE must be a .*TFLite file.*Received: .*damaged\.tflite") as caught:
        inspect(path)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_shared_many_times_is_bounded(exported, tmp_path):
    """A FlatBuffer of 4 MB, valid to LiteRT's verifier, whose operations read 10^11 tensors when it is unpacked."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(exported("se_resnet", "tflite").path.read_bytes(), 0)
    builder = flatbuffers.Builder(8 << 20)
    shared = builder.CreateNumpyVector(np.zeros(10**6, "int32"))
    operators = []
    for _ in range(10**5):
        schema.OperatorStart(builder)
        schema.OperatorAddInputs(builder, shared)
        operators.append(schema.OperatorEnd(builder))
    builder.StartVector(4, len(operators), 4)
    for offset in operators:
        builder.PrependUOffsetTRelative(offset)
    listed = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddOperators(builder, listed)
    graph = schema.SubGraphEnd(builder)
    tables = {}
    for name, offsets in (
        ("Subgraphs", [graph]),
        ("OperatorCodes", [one.Pack(builder) for one in model.operatorCodes]),
        ("Buffers", [schema.BufferT().Pack(builder)]),
    ):
        builder.StartVector(4, len(offsets), 4)
        for offset in offsets:
            builder.PrependUOffsetTRelative(offset)
        tables[name] = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    for name, offset in tables.items():
        getattr(schema, f"ModelAdd{name}")(builder, offset)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    path = tmp_path / "shared.tflite"
    path.write_bytes(bytes(builder.Output()))
    with pytest.raises(ValueError, match=r"^FILE must be a .*TFLite file.*Received: .*shared\.tflite"):
        inspect(path)


@pytest.mark.parametrize("damage", ["empty", "text", "the first half", "all ones"])
def test_a_damaged_onnx_file_is_a_sentence(exported, tmp_path, damage):
    path = tmp_path / "damaged.onnx"
    path.write_bytes(DAMAGED[damage](exported("se_resnet", "onnx").path.read_bytes()))
    with pytest.raises(ValueError, match=r"^FILE must be a .*ONNX file.*Received: .*damaged\.onnx") as caught:
        inspect(path)
    assert "\n" not in str(caught.value)


def test_an_onnx_graph_that_cannot_be_is_a_sentence(tmp_path):
    for name, node in (
        ("no such operation", onnx.helper.make_node("Nonsense", ["x"], ["y"])),
        ("no such tensor", onnx.helper.make_node("Relu", ["z"], ["y"])),
        ("a circle", onnx.helper.make_node("Relu", ["y"], ["y"])),
    ):
        path = save(tmp_path / f"{name}.onnx", [node], [vector("x")], [vector("y")])
        with pytest.raises(ValueError, match=r"^FILE must be a valid ONNX file"):
            inspect(path)


@pytest.mark.parametrize("damage", ["empty", "text", "the first half"])
def test_a_damaged_saved_model_is_a_sentence(exported, tmp_path, damage):
    folder = tmp_path / "damaged"
    shutil.copytree(exported("se_resnet", "saved_model").path, folder)
    content = (folder / "saved_model.pb").read_bytes()
    (folder / "saved_model.pb").write_bytes(DAMAGED[damage](content))
    with pytest.raises(ValueError, match=r"^FILE must be a whole SavedModel.*Received: .*damaged"):
        inspect(folder)


@pytest.mark.parametrize("name", ["missing.tflite", "folder", "notes.txt"])
def test_what_is_no_file_of_a_known_format(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(ValueError, match=r"must be one of \*_saved_model, \*\.tflite"):
        inspect(tmp_path / name)


def test_a_folder_called_tflite(tmp_path):
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(ValueError, match=r"not one of these"):
        inspect(tmp_path / "folder.tflite")


@pytest.mark.parametrize("name", ["se_resnet", "se_mobilenet"])
def test_conversions_in_an_onnx_file_are_no_floats(exported, name):
    found = inspect(exported(name, "onnx", "int8").path)
    assert found.quantize == "int8"
    assert found.floats == ()
    assert not any("Intermediate float tensors" in note for note in notes(found))


def test_what_an_onnx_file_computes_in_floats_is_told(exported, tmp_path):
    model = onnx.load(exported("se_resnet", "onnx", "int8").path)
    makers = {name: node for node in model.graph.node for name in node.output}
    node = next(node for node in model.graph.node if node.op_type == "GlobalAveragePool")
    # Without the pair of conversions before it: it reads what the one before it computes in floats.
    before = makers[makers[node.input[0]].input[0]].input[0]
    node.input[0] = before
    onnx.save(model, tmp_path / "m.onnx")
    assert inspect(tmp_path / "m.onnx").floats == (before,)


@pytest.mark.parametrize(("mode", "dtype"), [("int8", "int8"), ("int16x8", "int16")])
def test_float_ends_of_a_tflite_file_have_the_scales_inside(exported, mode, dtype):
    found = inspect(exported("se_resnet", "tflite", mode).path)
    own = interpreter(exported("se_resnet", "tflite", mode, io_dtype=dtype).path)
    for end, details in ((found.inputs, own.get_input_details()), (found.outputs, own.get_output_details())):
        scale, zero_point = details[0]["quantization"]
        assert (end[0].dtype, end[0].quantized_dtype, end[0].zero_point) == ("float32", dtype, zero_point)
        assert end[0].scale == pytest.approx(scale)
    assert f"float32 (as {dtype})" in str(found)


def test_the_float_input_of_an_onnx_file_has_the_scale_inside(exported):
    path = exported("se_resnet", "onnx", "int8").path
    model = onnx.load(path)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quantize = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    (image,) = inspect(path).inputs
    assert (image.dtype, image.quantized_dtype, image.zero_point) == ("float32", "uint8", stored[quantize.input[2]])
    assert image.scale == pytest.approx(float(stored[quantize.input[1]]))


@pytest.mark.parametrize(
    ("format", "mode"), [("tflite", None), ("tflite", "float16"), ("onnx", None), ("onnx", "float16")]
)
def test_float_files_have_no_scales(exported, format, mode):
    found = inspect(exported("se_resnet", format, mode).path)
    assert found.to_dict()["quantized"] == []
    assert [tensor.scale for tensor in (*found.inputs, *found.outputs)] == [None, None]


def test_scales_of_tensors_are_those_of_litert(exported):
    path = exported("se_resnet", "tflite", "int8").path
    details = {detail["name"]: detail["quantization_parameters"] for detail in interpreter(path).get_tensor_details()}
    found = json.loads(json.dumps(inspect(path).to_dict()))["quantized"]
    assert len(found) > 20
    for tensor in found:
        own = details[tensor["name"]]
        assert tensor["scales"] == len(own["scales"])
        assert tensor["scale"] == pytest.approx(float(own["scales"][0]))
        assert tensor["zero_point"] == own["zero_points"][0]
        assert tensor["axis"] == (own["quantized_dimension"] if len(own["scales"]) > 1 else None)


def test_scales_of_kernels_in_an_onnx_file_are_for_each_filter(exported):
    found = inspect(exported("se_resnet", "onnx", "int8").path).to_dict()["quantized"]
    kernels = [tensor for tensor in found if tensor["shape"] and len(tensor["shape"]) == 4 and tensor["scales"] > 1]
    assert kernels
    for tensor in kernels:
        assert (tensor["axis"], tensor["scales"]) == (0, tensor["shape"][0])
