"""ONNX files: what is in them."""

import collections

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from keras_se.export import to_onnx
from keras_se.export.onnx.convert import LAYOUTS, OPSETS
from keras_se.export.onnx.node_names import rename
from keras_se.export.onnx.passes import means_to_poolings, remove_identity_reshapes
from tests.support.arrays import relative_error
from tests.support.networks import EXPORTED, sample
from tests.support.networks.exported import se_resnet
from tests.support.runtimes import run_onnx


def graph_of(artifact):
    model = onnx.load(artifact.path)
    onnx.checker.check_model(model, full_check=True)
    return model.graph


def operations(artifact):
    return collections.Counter(node.op_type for node in graph_of(artifact).node)


def shape(value):
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("name", [name for name in EXPORTED if name != "se_mobilenet"])
def test_inputs_and_outputs_have_the_names_of_the_model(exported, name):
    graph = graph_of(exported(name, "onnx"))
    assert tuple(value.name for value in graph.input) == EXPORTED[name].inputs
    assert tuple(value.name for value in graph.output) == EXPORTED[name].outputs
    for value in (*graph.input, *graph.output):
        assert shape(value)[0] == "batch"
        assert all(isinstance(size, int) and size > 0 for size in shape(value)[1:])


@pytest.mark.parametrize("opset", range(13, 19))
def test_every_opset(exported, opset):
    artifact, network = exported("se_resnet", "onnx", opset=opset), sample("se_resnet")
    versions = {domain.domain: domain.version for domain in onnx.load(artifact.path).opset_import}
    assert versions[""] == opset
    assert relative_error(network.expected["predictions"], run_onnx(artifact.path, network.feeds)["predictions"]) < 1e-5


def test_gelu_has_no_operation_that_onnx_lacks(tmp_path):
    image = keras.Input((8, 8, 4), name="image")
    x = keras.layers.Activation("gelu")(keras.layers.Conv2D(8, 3)(image))
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(x)))
    artifact, x = to_onnx(model, tmp_path / "gelu.onnx"), np.random.default_rng(0).normal(0, 3, (4, 8, 8, 4))
    assert "Erfc" not in operations(artifact)
    found = run_onnx(artifact.path, {"image": x.astype("float32")})["logits"]
    assert relative_error(model.predict(x, verbose=0), found) < 1e-5


class HalfGelu(keras.layers.Layer):
    """Adds a little GELU, computed in 16 bits."""

    def call(self, x):
        return x + 0.1 * keras.ops.cast(keras.ops.gelu(keras.ops.cast(x, "float16"), approximate=False), "float32")


def test_gelu_in_16_bits(tmp_path):
    image = keras.Input((6,), name="image")
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(HalfGelu(name="gelu")(image)))
    artifact, x = to_onnx(model, tmp_path / "gelu.onnx"), np.random.default_rng(0).normal(0, 3, (4, 6))
    found = run_onnx(artifact.path, {"image": x.astype("float32")})["logits"]
    assert relative_error(model.predict(x, verbose=0), found) < 2e-4


def test_an_opset_of_numpy(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    path = to_onnx(model, tmp_path / "m.onnx", opset=np.int64(15), metadata_file=True).path
    assert onnx.load(path).opset_import[0].version == 15


def test_no_other_opset(tmp_path):
    assert list(OPSETS) == [13, 14, 15, 16, 17, 18]
    for opset in (12, 19, "17", None):
        with pytest.raises(ValueError, match=r"opset must be one of 13.*Received: opset="):
            to_onnx(se_resnet(), tmp_path / "a.onnx", opset=opset)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("layout", "sizes"), [("nhwc", [16, 16, 3]), ("nchw", [3, 16, 16])])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_layout_and_batch_of_the_file(exported, layout, sizes, batch_size):
    artifact, network = exported("se_resnet", "onnx", layout=layout, batch_size=batch_size), sample("se_resnet")
    graph = graph_of(artifact)
    assert shape(graph.input[0]) == [batch_size or "batch", *sizes]
    assert shape(graph.output[0]) == [batch_size or "batch", 10]
    image = network.feeds["image"][:3]
    feeds = {"image": image.transpose(0, 3, 1, 2) if layout == "nchw" else image}
    alone = run_onnx(artifact.path, feeds)["predictions"]
    assert relative_error(network.expected["predictions"][:3], alone) < 1e-5


def test_predict_takes_the_keras_layout_of_an_nchw_file(exported):
    artifact, network = exported("segmentation", "onnx", layout="nchw"), sample("segmentation")
    assert shape(graph_of(artifact).output[0]) == ["batch", 3, 16, 16]
    assert relative_error(network.expected["classes"], artifact.predict(network.data)) < 1e-5
    alone = run_onnx(artifact.path, {"image": network.data.transpose(0, 3, 1, 2)})["classes"]
    assert relative_error(network.expected["classes"], alone.transpose(0, 2, 3, 1)) < 1e-5


@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize(
    ("name", "layout", "transposes"),
    [("se_resnet", "nhwc", 1), ("se_resnet", "nchw", 0), ("se_mobilenet", "nhwc", 1)],
)
def test_no_transpose_but_one_at_the_input(exported, name, layout, transposes, opset):
    graph = graph_of(exported(name, "onnx", layout=layout, opset=opset))
    found = [node for node in graph.node if node.op_type == "Transpose"]
    assert len(found) == transposes
    assert all(node.input[0] == "image" for node in found)


@pytest.mark.parametrize("opset", OPSETS)
def test_an_excitation_is_a_squeeze_two_convolutions_and_a_gate(exported, opset):
    # What is between the pooling and Mul in each block, in order: no Reshape, and no Transpose.
    kinds = [node.op_type for node in graph_of(exported("se_resnet", "onnx", opset=opset)).node]
    assert " ".join(kinds).count("GlobalAveragePool Conv Relu Conv Sigmoid Mul") == 2
    assert "Reshape" not in kinds
    assert "ReduceMean" not in kinds


def mean_graph(rank, axes, keeps, *, turned=False, also_an_output=False, dtype=TensorProto.FLOAT):
    """x → [Transpose to NHWC] → ReduceMean → y, as tf2onnx writes it in opset 18."""
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, *range(2, rank), 1])] if turned else []
    nodes.append(helper.make_node("ReduceMean", ["t" if turned else "x", "axes"], ["y"], "mean", keepdims=keeps))
    outputs = ["y", "t"] if also_an_output else ["y"]
    graph = helper.make_graph(
        nodes,
        "hand_made",
        [helper.make_tensor_value_info("x", dtype, ("n", 3, 4, 5, 6)[:rank])],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
        [helper.make_tensor("axes", TensorProto.INT64, [len(axes)], axes)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def poolings_of(model):
    """The operations after the rewrite, which must not change what is computed."""
    kind = {TensorProto.FLOAT: "float32", TensorProto.INT32: "int32"}
    value = model.graph.input[0].type.tensor_type
    shape = [size.dim_value or 2 for size in value.shape.dim]
    x = (10 * np.random.default_rng(0).standard_normal(shape)).astype(kind[value.elem_type])

    def run():
        return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})

    before = run()
    means_to_poolings(model)
    for expected, actual in zip(before, run(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("axes", [[2, 3], [3, 2], [-2, -1]], ids=str)
def test_a_mean_over_space_becomes_a_pooling(axes):
    model = mean_graph(4, axes, 1)
    assert poolings_of(model) == ["GlobalAveragePool"]
    assert len(model.graph.initializer) == 0


def test_mean_of_transposed_image_becomes_a_pooling():
    assert poolings_of(mean_graph(4, [1, 2], 0, turned=True)) == ["GlobalAveragePool", "Squeeze"]
    model = mean_graph(4, [1, 2], 0, turned=True, also_an_output=True)
    assert poolings_of(model) == ["Transpose", "GlobalAveragePool", "Squeeze"]


@pytest.mark.parametrize(
    "model",
    [
        mean_graph(4, [1, 2], 1),
        mean_graph(4, [2, 3], 0),
        mean_graph(4, [1, 2], 1, turned=True),
        mean_graph(4, [1, 2], 0),
        mean_graph(4, [2], 1),
        mean_graph(5, [2, 3], 1),
        mean_graph(4, [2, 3], 1, dtype=TensorProto.INT32),
    ],
)
def test_another_mean_stays(model):
    assert "ReduceMean" in poolings_of(model)


def test_no_batch_norm_is_left(exported):
    for name in ("se_resnet", "nested", "grouped"):
        assert operations(exported(name, "onnx"))["BatchNormalization"] == 0


def test_a_grouped_convolution_is_one_convolution(exported):
    graph = graph_of(exported("grouped", "onnx"))
    groups = [a.i for node in graph.node if node.op_type == "Conv" for a in node.attribute if a.name == "group"]
    assert groups.count(4) == 1
    assert {node.domain for node in graph.node} <= {"", "ai.onnx"}


@pytest.mark.filterwarnings("ignore:In the future `np.object` will be defined:FutureWarning")  # Keras looks for it
def test_onnxruntime_refuses_grouped_convolutions_of_keras(tmp_path):
    """Why this package traces models itself. Once Keras writes a sound file, `inlined_functions` can go."""
    network = sample("grouped")
    network.model.export(str(tmp_path / "keras.onnx"), format="onnx", verbose=False)
    with pytest.raises(Exception, match="StatefulPartitionedCall"):
        onnxruntime.InferenceSession(str(tmp_path / "keras.onnx"), providers=["CPUExecutionProvider"])


def test_wrong_layout_and_batch_are_refused(tmp_path):
    with pytest.raises(ValueError, match="layout must be one of 'nhwc', 'nchw'"):
        to_onnx(se_resnet(), tmp_path / "a.onnx", layout="NCHW")
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        to_onnx(se_resnet(), tmp_path / "a.onnx", batch_size=-1)
    assert not list(tmp_path.iterdir())


def test_unknown_sizes_are_named(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, keras.layers.Conv2D(2, 1, name="map")(image), name="unsized")
    graph = graph_of(to_onnx(model, tmp_path / "a.onnx"))
    assert shape(graph.input[0]) == ["batch", "image_1", "image_2", 3]
    x = np.random.default_rng(0).standard_normal((2, 5, 9, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    assert relative_error(expected, run_onnx(tmp_path / "a.onnx", {"image": x})["map"]) < 1e-5


def reshape_graph(input_shape, target, *, last=False, producer=False):
    """x → [Relu] → Reshape → [Relu] → y; with `last` the Reshape makes the graph's output itself."""
    source = "r" if producer else "x"
    nodes = [helper.make_node("Relu", ["x"], ["r"])] if producer else []
    nodes.append(helper.make_node("Reshape", [source, "target"], ["y" if last else "z"]))
    if not last:
        nodes.append(helper.make_node("Relu", ["z"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "hand_made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("target", TensorProto.INT64, [len(target)], target)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def reshapes_left(model):
    x = np.random.default_rng(0).standard_normal((2, 4, 1, 1)).astype("float32")

    def run():
        return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]

    before = run()
    remove_identity_reshapes(model)
    np.testing.assert_array_equal(run(), before)
    return sum(node.op_type == "Reshape" for node in model.graph.node)


@pytest.mark.parametrize("producer", [False, True])
@pytest.mark.parametrize(
    ("input_shape", "target"),
    [
        ((2, 4, 1, 1), [2, 4, 1, 1]),
        (("n", 4, 1, 1), [-1, 4, 1, 1]),
        (("n", 4, 1, 1), [0, 4, 1, 1]),
        ((2, 4, "h", 1), [2, 4, -1, 1]),
    ],
    ids=str,
)
def test_a_reshape_to_the_same_shape_is_removed(input_shape, target, producer):
    model = reshape_graph(input_shape, target, producer=producer)
    assert reshapes_left(model) == 0
    assert [tensor.name for tensor in model.graph.initializer] == [], "its target shape goes, too"


@pytest.mark.parametrize(
    ("input_shape", "target"),
    [
        ((2, 4, 1, 1), [2, 1, 4, 1]),
        ((2, 4, 1, 1), [2, 4]),
        ((2, 4, 1, 1), [2, 2, 2, 1]),
        (("n", 4, 1, 1), [2, 4, 1, 1]),  # the file would no longer insist on a batch of 2
        (("n", "c", 1, 1), [-1, 4, 1, 1]),
        (("n", "c", 1, 1), [2, -1, 1, 1]),
    ],
    ids=str,
)
def test_a_reshape_that_may_do_something_stays(input_shape, target):
    assert reshapes_left(reshape_graph(input_shape, target)) == 1


def test_a_reshape_that_makes_an_output_stays():
    assert reshapes_left(reshape_graph((2, 4, 1, 1), [2, 4, 1, 1], last=True)) == 1


def test_of_a_chain_of_reshapes_only_the_identities_go():
    nodes = [
        helper.make_node("Reshape", ["x", "same"], ["a"]),
        helper.make_node("Reshape", ["a", "flat"], ["b"]),
        helper.make_node("Reshape", ["b", "flat"], ["c"]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    targets = {"same": [-1, 4, 1, 1], "flat": [-1, 4]}
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 4, 1, 1))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 4))],
        [helper.make_tensor(name, TensorProto.INT64, [len(dims)], dims) for name, dims in targets.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert reshapes_left(model) == 1
    assert [node.input[1] for node in model.graph.node if node.op_type == "Reshape"] == ["flat"]


@pytest.mark.parametrize("quantize", [None, "float16", "int8"])
def test_names_are_of_layers(exported, quantize):
    graph = graph_of(exported("se_resnet", "onnx", quantize))
    layers = {layer.name for layer in sample("se_resnet").model.layers}
    from_keras = [node for node in graph.node if node.op_type in ("Conv", "Relu", "Sigmoid", "Mul", "Add", "MatMul")]
    assert {node.name.split("/")[0] for node in from_keras} <= layers
    assert {"stem_conv/Conv", "predictions/MatMul"} <= {node.name for node in from_keras}
    tensors = {name for node in graph.node for name in (*node.input, *node.output)}
    assert not [name for name in tensors if ":" in name or "ReadVariableOp" in name or "__" in name]
    assert len({node.name for node in graph.node}) == len(graph.node)


def test_kernels_and_biases_are_named_after_their_reader(exported):
    stored = {tensor.name for tensor in graph_of(exported("se_resnet", "onnx")).initializer}
    assert {"stem_conv/Conv/kernel", "predictions/MatMul/kernel"} <= stored


def test_the_same_export_has_the_same_bytes(exported, tmp_path):
    """Also after others, in one process: tf2onnx counts on."""
    data = sample("se_resnet").data
    for quantize in (None, "float16", "int8"):
        once = exported("se_resnet", "onnx", quantize).path.read_bytes()
        calibration = {"calibration_data": data} if quantize == "int8" else {}
        again = to_onnx(sample("se_resnet").model, tmp_path / f"{quantize}.onnx", quantize=quantize, **calibration)
        assert again.path.read_bytes() == once, quantize


def test_float16_is_of_half_the_size_with_floats_at_the_ends(exported):
    half, whole = exported("se_mobilenet", "onnx", "float16"), exported("se_mobilenet", "onnx")
    assert half.size < 0.6 * whole.size
    graph = graph_of(half)
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {TensorProto.FLOAT}
    large = [tensor for tensor in graph.initializer if np.prod(tensor.dims) > 100]
    assert {tensor.data_type for tensor in large} == {TensorProto.FLOAT16}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_int8_has_weights_per_channel(exported, layout):
    graph = graph_of(exported("se_resnet", "onnx", "int8", layout=layout))
    stored = {tensor.name: tensor for tensor in graph.initializer}
    readers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) >= 5
    for node in convolutions:
        kernel = readers[node.input[1]]
        assert stored[kernel.input[0]].data_type == TensorProto.INT8
        assert list(stored[kernel.input[1]].dims) == [stored[kernel.input[0]].dims[0]], "a scale for each channel"
        assert node.input[0] in readers
    (softmax,) = (node for node in graph.node if node.op_type == "Softmax")
    assert softmax.output[0] == "predictions", "in floats"


def test_int8_wants_calibration_data_and_other_modes_none(tmp_path):
    with pytest.raises(ValueError, match="calibration_data must be given"):
        to_onnx(se_resnet(), tmp_path / "a.onnx", quantize="int8")
    for mode in ("dynamic", "int16x8", "uint8"):
        with pytest.raises(ValueError, match="quantize must be one of None, 'float16', 'int8'"):
            to_onnx(se_resnet(), tmp_path / "a.onnx", quantize=mode)
    assert not list(tmp_path.iterdir())


def test_hard_swishes_leave_no_transpositions(tmp_path):
    """tf2onnx fails at a number that is added to a convolution, and then leaves a pair of them at each."""
    image = keras.Input((8, 8, 3), name="image")
    x = image
    for i in range(3):
        x = keras.layers.Conv2D(8, 3, padding="same", use_bias=i > 0, activation="hard_silu", name=f"conv{i}")(x)
    model = keras.Model(image, keras.layers.Conv2D(2, 1, activation="hard_sigmoid", name="gate")(x), name="swishes")
    path = to_onnx(model, tmp_path / "model.onnx", layout="nchw").path
    assert [node.name for node in onnx.load(path).graph.node if node.op_type == "Transpose"] == []


# Graphs inside of nodes: they read what is outside of them by its name.


class Chosen(keras.layers.Layer):
    """Means or maxima of an image, by the sign of other numbers."""

    def call(self, image, by):
        means, maxima = lambda: keras.ops.mean(image, axis=(1, 2)), lambda: keras.ops.max(image, axis=(1, 2))
        return keras.ops.cond(keras.ops.mean(by) > 0, means, maxima)

    def compute_output_shape(self, image_shape, by_shape):
        return by_shape


def branches():
    image = keras.Input((6, 6, 4), name="image")
    x = keras.layers.Conv2D(5, 3, name="conv")(image)
    by = keras.layers.Dense(5, name="dense")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(image, Chosen(name="chosen")(x, by), name="branches")


def recurrent():
    images = keras.Input((3, 6, 6, 2), name="images")
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(keras.layers.ConvLSTM2D(3, 3)(images)))


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("build", [branches, recurrent])
def test_loops_and_branches(tmp_path, build, optimize):
    artifact = to_onnx(build(), tmp_path / "m.onnx", opset=18, optimize=optimize)
    assert artifact.parity.passed
    assert {"If", "Loop"} & set(operations(artifact))


def with_a_branch(first):
    """A node that makes `t` of the image `x`, and a branch that reads it."""

    def branch(name, kind):
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(kind, ["t"], [name])], name, [], [value])

    choice = helper.make_node("If", ["c"], ["y"], then_branch=branch("p", "Neg"), else_branch=branch("q", "Abs"))
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3, 3]),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [1, 2, 3, 3])
    graph = helper.make_graph([first, choice], "g", inputs, [output], [shape])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize(
    ("first", "stays"),
    [
        (helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]), True),
        (helper.make_node("Transpose", ["x"], ["t"]), True),
        (helper.make_node("Reshape", ["x", "shape"], ["t"]), False),
    ],
    ids=["turned", "reversed", "reshaped"],
)
@pytest.mark.parametrize("rewrite", [means_to_poolings, remove_identity_reshapes, lambda model: rename(model, ["t"])])
def test_what_a_branch_reads_is_there(first, stays, rewrite):
    model = with_a_branch(first)
    feeds = {"x": np.random.default_rng(0).normal(size=(1, 2, 3, 3)).astype("float32"), "c": np.array(True)}

    def run():
        return onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)[0]

    expected = run()
    rewrite(model)
    np.testing.assert_array_equal(run(), expected)
    if rewrite is remove_identity_reshapes or stays:
        assert (len(model.graph.node) == 2) is stays
