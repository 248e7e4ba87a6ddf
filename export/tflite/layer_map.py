"""Maps the tensors and operations of a TFLite file to Keras layers, by their names."""

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

import keras

from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.scopes import scope_name
from keras_se.export.tflite.graph import FileGraph, FileOperation
from keras_se.export.tflite.mode import CONVERSIONS
from keras_se.graph.keras_private import output_index, producer
from keras_se.graph.walk import layers_inside

# A scope with the number that TensorFlow appends when it is reopened, as Keras does for each call of a layer.
NUMBERED = re.compile(r"(.+)_\d+")


class LayerNames:
    """Finds the layers of a model in a file that was converted from it.

    The converter names a tensor after its scope, `se_resnet_1/stage1_se_1/Mul`, and the output of a fused operation
    after all scopes: `net_1/relu_1/Relu;net_1/conv_1/BiasAdd`. Inputs and outputs are named after the signature.
    """

    def __init__(self, model: InferenceModel):
        self._model = model.model
        self._outputs = dict(zip((tensor.name for tensor in model.outputs), _output_layers(model.model), strict=True))

    def find(self, name: str) -> tuple[str, ...]:
        """The paths of the layers that a tensor is named after; the first one computes it."""
        paths = [self._path(part.split("/")) for part in name.split(";")]
        return tuple(dict.fromkeys(path for path in paths if path))

    def of_operations(self, graph: FileGraph) -> list[tuple[str, ...]]:
        """The paths of the layers that each operation belongs to; the first one computes its output."""
        outputs = {index: self._outputs.get(graph.tensors[index].name, "") for index in graph.outputs}
        for operation in reversed(graph.operations):
            if operation.name in CONVERSIONS and operation.outputs[0] in outputs:
                outputs[operation.inputs[0]] = outputs[operation.outputs[0]]
        return [self._of_operation(graph, operation, outputs) for operation in graph.operations]

    def _of_operation(self, graph: FileGraph, operation: FileOperation, outputs: Mapping[int, str]) -> tuple[str, ...]:
        paths: list[str] = []
        for index in operation.outputs:
            if index in outputs:
                # An output is not named after its layer. The weights of that layer, and of those fused with it, are.
                constants = [graph.tensors[i].name for i in operation.inputs if i >= 0 and graph.tensors[i].constant]
                paths += [outputs[index], *(path for constant in constants for path in self.find(constant))]
            paths += self.find(graph.tensors[index].name)
        return tuple(dict.fromkeys(path for path in paths if path))

    def _path(self, scopes: list[str]) -> str:
        """The path of the innermost layer in a chain of scopes, or nothing."""
        begin = next(
            (i for i, scope in enumerate(scopes) if scope_name(self._model.name) in _origins(scope, True)), None
        )
        if begin is None:
            return ""
        numbered = scopes[begin] != scope_name(self._model.name)
        layer: Any = self._model
        path: list[str] = []
        for scope in scopes[begin + 1 :]:
            sublayers = {scope_name(sublayer.name): sublayer for sublayer in layers_inside(layer)}
            name = next((origin for origin in _origins(scope, numbered) if origin in sublayers), None)
            if name is None:
                break
            layer = sublayers[name]
            path.append(layer.name)
        return "/".join(path)


def _origins(scope: str, numbered: bool) -> tuple[str, ...]:
    """The scope names of the layers that a scope can belong to, the likelier first: without its number, or with it.

    If scopes are numbered, the layers `conv` and `conv_1` have the scopes `conv_1` and `conv_1_1`.
    """
    match = NUMBERED.fullmatch(scope)
    origins = (scope,) if match is None else (scope, match[1])
    return origins[::-1] if numbered else origins


def _output_layers(model: keras.Model, above: str = "") -> list[str]:
    """The path of the layer that makes each output; empty if no layer makes it."""
    found = []
    for output in model.outputs:
        layer = producer(output)
        if isinstance(layer, keras.Model) and getattr(layer, "outputs", None):
            found.append(_output_layers(layer, f"{above}{layer.name}/")[output_index(output)])
        else:
            found.append(f"{above}{layer.name}" if isinstance(layer, keras.layers.Layer) else "")
    return found


def operations_of(graph: FileGraph, owners: Sequence[tuple[str, ...]], chosen: frozenset[str]) -> list[FileOperation]:
    """The operations that belong to a chosen layer; `owners` is the result of `LayerNames.of_operations`."""
    return [
        operation
        for operation, paths in zip(graph.operations, owners, strict=True)
        if any(within(path, chosen) for path in paths)
    ]


def within(path: str, chosen: Set[str]) -> bool:
    """Whether a layer, or a layer that contains it, is chosen."""
    parts = path.split("/")
    return any("/".join(parts[:count]) in chosen for count in range(1, len(parts) + 1))
