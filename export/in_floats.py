"""What computes in floats in 8-bit files, too: 8 bits would make nothing of its small numbers."""

from collections.abc import Callable
from typing import Any

import keras

from keras_se.export.errors import ExportError, require
from keras_se.export.flatbuffer import read_graph
from keras_se.export.inference import InferenceModel
from keras_se.export.layer_names import LayerNames, operations_of
from keras_se.export.onnx_names import READS
from keras_se.export.scopes import scope_name
from keras_se.graph import layers_by_path
from keras_se.layers import Detections, LocationBoxes

# The areas of small boxes are less than a step of the largest one's. LiteRT fails at a division by 0, and elsewhere
# their overlaps are no numbers.
IN_FLOATS = (Detections, LocationBoxes)


def paths_in_floats(model: keras.Model) -> frozenset[str]:
    """The paths of layers that compute in floats."""
    return frozenset(path for path, layer in layers_by_path(model) if isinstance(layer, IN_FLOATS))


def quantized_file(content: bytes, model: InferenceModel, quantize: Callable[..., bytes]) -> bytes:
    """A calibrated TFLite file in 8 bits by TensorFlow's quantizer, which leaves in floats what has no range.

    Args:
        content: The file.
        model: What it was converted from.
        quantize: The quantizer: of a file, and of the names of `denylisted_nodes`. Sigmoids need these: their results
            have the same steps whatever their range is.

    Raises:
        ExportError: if no operation of such a layer can be found.
    """
    paths = paths_in_floats(model.model)
    if not paths:
        return quantize(content)
    flatbuffers: Any = require("flatbuffers", "tflite")
    schema: Any = require("ai_edge_litert.schema_py_generated", "tflite")
    graph = read_graph(content)
    operations = operations_of(graph, LayerNames(model).of_operations(graph), paths)
    if not operations:
        raise ExportError(f"None of the layers that compute in floats is in the file: {', '.join(sorted(paths))}.")
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    results = [file.subgraphs[0].tensors[index] for operation in operations for index in operation.outputs]
    for tensor in results:
        tensor.quantization = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return quantize(bytes(builder.Output()), denylisted_nodes={tensor.name.decode() for tensor in results})


def nodes_in_floats(graph: Any, model: InferenceModel) -> list[str]:
    """The names of nodes of an ONNX file that belong to such layers; they are named after them already."""
    names = {scope_name(path.split("/")[-1]) for path in paths_in_floats(model.model)}
    # In another model of the graph, a layer can have the same name. What has weights is none of these layers'. The rest
    # of it, an addition or a product, is in floats, too.
    return [node.name for node in graph.graph.node if node.name.split("/")[0] in names and node.op_type not in READS]
