"""What computes in floats in 8-bit files, too: 8 bits would make nothing of its small numbers."""

import keras

from keras_se.export.errors import require
from keras_se.export.flatbuffer import FileGraph, FileOperation, read_graph
from keras_se.export.inference import InferenceModel
from keras_se.export.layer_names import LayerNames, within
from keras_se.export.scopes import scope_name
from keras_se.graph import layers_by_path
from keras_se.layers import Detections, LocationBoxes

# The areas of small boxes are less than a step of the largest one's. LiteRT fails at a division by 0, and elsewhere
# their overlaps are no numbers.
IN_FLOATS = (Detections, LocationBoxes)


def paths_in_floats(model: keras.Model) -> frozenset[str]:
    """The paths of layers that compute in floats."""
    return frozenset(path for path, layer in layers_by_path(model) if isinstance(layer, IN_FLOATS))


def operations_in_floats(graph: FileGraph, model: InferenceModel) -> list[FileOperation]:
    """The operations of a TFLite file that belong to such layers; the graph's ends are named after the signature."""
    paths = paths_in_floats(model.model)
    owners = LayerNames(model).of_operations(graph) if paths else []
    return [
        operation
        for operation, found in zip(graph.operations, owners, strict=bool(paths))
        if any(within(path, paths) for path in found)
    ]


def without_ranges(content: bytes, model: InferenceModel) -> bytes:
    """A calibrated TFLite file without the ranges of what such layers compute: TensorFlow's quantizer leaves it then.

    A choice of the best, or a sigmoid of logits, which has the same steps whatever its range is, can be in 8 bits.
    """
    operations = operations_in_floats(read_graph(content), model)
    if not operations:
        return content
    import flatbuffers  # LiteRT's schema is made of it

    schema = require("ai_edge_litert.schema_py_generated", "tflite")
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    for index in (index for operation in operations for index in operation.outputs):
        file.subgraphs[0].tensors[index].quantization = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def nodes_in_floats(graph: object, model: InferenceModel) -> list[str]:
    """The names of nodes of an ONNX file that belong to such layers; they are named after them already."""
    names = {scope_name(path.split("/")[-1]) for path in paths_in_floats(model.model)}
    nodes = graph.graph.node  # type: ignore[attr-defined]
    return [node.name for node in nodes if node.name.split("/")[0] in names]
