"""Which Keras layers the tensors of a TFLite file belong to, by their names."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.scopes import scope_name
from keras_se.export.tflite.graph import FileGraph, FileOperation
from keras_se.graph.keras_private import output_index, producer
from keras_se.graph.walk import layers_inside

# Operations that convert between types, and compute nothing.
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
# What TensorFlow appends to a scope that is opened again, as Keras does for each call of a layer.
AGAIN = re.compile(r"(.+)_\d+")


class LayerNames:
    """Finds the layers of a model in a file that was converted from it.

    The converter names a tensor after the scope that it was computed in, `se_resnet_1/stage1_se_1/Mul`, and what it has
    fused after all of them: `net_1/relu_1/Relu;net_1/conv_1/BiasAdd`. Inputs and outputs are named after the signature.
    """

    def __init__(self, model: InferenceModel):
        self._model = model.model
        self._ends = dict(zip((tensor.name for tensor in model.outputs), _output_layers(model.model), strict=True))

    def find(self, name: str) -> tuple[str, ...]:
        """The paths of layers that a tensor is named after; the first is the one whose result it is."""
        paths = [self._path(part.split("/")) for part in name.split(";")]
        return tuple(dict.fromkeys(path for path in paths if path))

    def of_operations(self, graph: FileGraph) -> list[tuple[str, ...]]:
        """The paths of the layers that each operation belongs to, the one whose result it is first."""
        ends = {index: self._ends.get(graph.tensors[index].name, "") for index in graph.outputs}
        for operation in reversed(graph.operations):
            if operation.name in CONVERSIONS and operation.outputs[0] in ends:
                ends[operation.inputs[0]] = ends[operation.outputs[0]]
        return [self._of_operation(graph, operation, ends) for operation in graph.operations]

    def _of_operation(self, graph: FileGraph, operation: FileOperation, ends: Mapping[int, str]) -> tuple[str, ...]:
        paths: list[str] = []
        for index in operation.outputs:
            if index in ends:
                # The name of the layer is lost: its weights still have it, and those of what was fused with it.
                constants = [graph.tensors[i].name for i in operation.inputs if i >= 0 and graph.tensors[i].constant]
                paths += [ends[index], *(path for constant in constants for path in self.find(constant))]
            paths += self.find(graph.tensors[index].name)
        return tuple(dict.fromkeys(path for path in paths if path))

    def _path(self, scopes: list[str]) -> str:
        """The innermost layer of a chain of scopes, or nothing."""
        begin = next(
            (i for i, scope in enumerate(scopes) if scope_name(self._model.name) in _origins(scope, True)), None
        )
        if begin is None:
            return ""
        again = scopes[begin] != scope_name(self._model.name)
        layer: Any = self._model
        path: list[str] = []
        for scope in scopes[begin + 1 :]:
            inside = {scope_name(inner.name): inner for inner in layers_inside(layer)}
            name = next((origin for origin in _origins(scope, again) if origin in inside), None)
            if name is None:
                break
            layer = inside[name]
            path.append(layer.name)
        return "/".join(path)


def _origins(scope: str, again: bool) -> tuple[str, ...]:
    """The names of layers that a scope can be of, the likelier first: with a number appended, or as it is.

    Of layers `conv` and `conv_1` the scopes are `conv_1` and `conv_1_1`, if scopes are opened again at all.
    """
    appended = AGAIN.fullmatch(scope)
    origins = (scope,) if appended is None else (scope, appended[1])
    return origins[::-1] if again else origins


def _output_layers(model: keras.Model, above: str = "") -> list[str]:
    """The path of the layer behind each output; nothing where it is no layer."""
    found = []
    for output in model.outputs:
        layer = producer(output)
        if isinstance(layer, keras.Model) and getattr(layer, "outputs", None):
            found.append(_output_layers(layer, f"{above}{layer.name}/")[output_index(output)])
        else:
            found.append(f"{above}{layer.name}" if isinstance(layer, keras.layers.Layer) else "")
    return found


def operations_of(graph: FileGraph, owners: Sequence[tuple[str, ...]], chosen: frozenset[str]) -> list[FileOperation]:
    """The operations that belong to a layer that is chosen, by what `LayerNames.of_operations` has found."""
    return [
        operation
        for operation, paths in zip(graph.operations, owners, strict=True)
        if any(within(path, chosen) for path in paths)
    ]


def within(path: str, chosen: Mapping[str, Any] | frozenset[str]) -> bool:
    """Whether a layer, or one that it is inside of, is among the chosen."""
    parts = path.split("/")
    return any("/".join(parts[:count]) in chosen for count in range(1, len(parts) + 1))
