"""Selective quantization: converts a float TFLite file to 8 bits, except for chosen layers."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_se._text import listed
from keras_se._validation import one_of
from keras_se.export.errors import ExportError, require
from keras_se.export.frontend.float_layers import paths_in_floats
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.modes import MODES
from keras_se.export.tflite.graph import FileGraph, FileOperation, read_graph
from keras_se.export.tflite.interpreter import ranges
from keras_se.export.tflite.layer_map import LayerNames, operations_of, within
from keras_se.export.tflite.mode import CONVERSIONS
from keras_se.graph.walk import layers_by_path
from keras_se.layers import EXCITATIONS

SE = "se"  # the default value of `keep`: every squeeze-and-excitation layer
# The values of `keep_as`, and the schema's name of each type.
KEPT = {"float32": "FLOAT32", "int16": "INT16"}
EVERYTHING = ".*"
EVERY_IO = "(?:.*)"  # a key other than `EVERYTHING` to the quantizer, which keeps a list of settings for each key


@dataclass(frozen=True)
class Choice:
    """The paths of the layers that are not quantized to 8 bits, their type, and the patterns that chose them."""

    paths: frozenset[str]
    kept_as: str
    patterns: tuple[str, ...]


def chosen_layers(model: keras.Model, quantize: str | None, keep: Any, keep_as: str | None) -> Choice | None:
    """The layers that `keep` and `keep_as` choose; `None` for other modes, which do not support these arguments.

    Args:
        model: The Keras model.
        quantize: The mode.
        keep: `"se"` or `None` for every SE layer; or a regular expression that matches the whole name of a layer, or
            its whole path (`backbone/stage1_se` for a layer of a nested model); or a list of these.
        keep_as: `"float32"` or `None` for floats; or `"int16"`.

    Raises:
        ValueError: for an invalid argument, such as a pattern that matches no layer.
    """
    if not MODES[quantize].keeps_layers:
        able = " or ".join(f"quantize={name!r}" for name, mode in MODES.items() if mode.keeps_layers)
        for name, value in (("keep", keep), ("keep_as", keep_as)):
            if value is not None:
                raise ValueError(f"{name} requires {able}. Received: {name}={value!r}, quantize={quantize!r}")
        return None
    keep_as = one_of("keep_as", "float32" if keep_as is None else keep_as, KEPT)
    patterns = tuple(keep) if isinstance(keep, list | tuple) else (SE if keep is None else keep,)
    if not patterns:
        raise ValueError(f"keep must name at least one layer. Received: keep={keep!r}")
    if wrong := [pattern for pattern in patterns if not isinstance(pattern, str)]:
        raise ValueError(
            f'keep must be "{SE}", a regular expression on layer names, or a list of these. Received: {wrong[0]!r}'
        )
    layers = {path: one for path, one in layers_by_path(model) if not isinstance(one, keras.layers.InputLayer)}
    return Choice(frozenset(path for pattern in patterns for path in _matching(layers, pattern)), keep_as, patterns)


def _matching(layers: Mapping[str, keras.layers.Layer], pattern: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"keep must be a regular expression. Received: {pattern!r} ({error})") from error
    if pattern == SE:
        found = [path for path, layer in layers.items() if isinstance(layer, EXCITATIONS)]
        missing = "the model has no squeeze-and-excitation layers"
    else:
        found = [path for path in layers if expression.fullmatch(path) or expression.fullmatch(path.split("/")[-1])]
        missing = f"the model has layers like {', '.join(list(layers)[:3])}"
    if not found:
        raise ValueError(f"keep must match the whole name of a layer. Received: {pattern!r} ({missing})")
    return found


def quantized_but(
    content: bytes,
    model: InferenceModel,
    choice: Choice,
    *,
    calibration: Mapping[str, np.ndarray],
    io_dtype: str,
    batch_size: int,
) -> tuple[bytes, list[str]]:
    """Quantizes a float file, which was converted from the model, to 8 bits; returns the new file and notes.

    Weights have a scale for each channel, activations one for each tensor. An operation that was fused from several
    layers is kept if one of them was chosen. With float outputs, a softmax that makes an output stays in floats, too,
    since LiteRT's delegate does not support it in 8 bits; so do the layers of `keras_se.export.frontend.float_layers`.

    Raises:
        ExportError: if no operation of the chosen layers is found, or if one was not kept.
    """
    require("ai_edge_quantizer", "tflite")
    from ai_edge_quantizer import quantizer

    graph = read_graph(content)
    owners = LayerNames(model).of_operations(graph)
    kept = operations_of(graph, owners, choice.paths)
    found = {path for paths in owners for path in paths}
    lost = sorted(path for path in choice.paths if not any(within(other, {path}) for other in found))
    if not kept:
        raise ExportError(f"The file has no operation of the layers to keep: {listed(lost)}.")
    floats = operations_of(graph, owners, paths_in_floats(model.model))
    if io_dtype == "float32":
        floats += [one for one in graph.operations if one.name == "SOFTMAX" and set(one.outputs) <= set(graph.outputs)]
    # If one output is in floats, all are, since the quantizer treats them alike.
    float_outputs = any(index in graph.outputs for operation in floats for index in operation.outputs)
    recipe = _recipe(
        [_scope(graph, operation) for operation in kept if operation not in floats],
        choice.kept_as,
        [_scope(graph, operation) for operation in floats],
        {"INPUT": io_dtype, "OUTPUT": "float32" if float_outputs else io_dtype},
    )
    with warnings.catch_warnings():
        # The quantizer itself reads intermediate tensors like this.
        warnings.filterwarnings("ignore", "(?s).*experimental_preserve_all_tensors", UserWarning)
        rewriter = quantizer.Quantizer(bytearray(content), recipe)
        result = bytes(rewriter.quantize(_ranges(content, calibration, batch_size)).quantized_model)
    types = _result_types(result)
    allowed = (KEPT[choice.kept_as], "FLOAT32", "BOOL", "INT32", "INT64")  # floats if there is no 16-bit form
    if wrong := [_scope(graph, one) for one in kept if types.get(_scope(graph, one)) not in allowed]:
        raise ExportError(f"LiteRT's quantizer did not keep these operations in {choice.kept_as}: {listed(wrong)}.")
    return result, _notes(graph, types, kept, floats, choice, lost)


def _scope(graph: FileGraph, operation: FileOperation) -> str:
    """The quantizer's name of an operation."""
    return ";".join(graph.tensors[index].stored_name for index in operation.outputs)


def _recipe(kept: list[str], kept_as: str, floats: list[str], io_dtypes: Mapping[str, str]) -> Any:
    """The quantizer's settings; the last one that matches an operation, and that the operation supports, counts."""
    from ai_edge_quantizer import qtyping, recipe_manager

    names = qtyping.TFLOperationName
    manager = recipe_manager.RecipeManager()
    manager.add_static_config(EVERYTHING, names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    # Floats come first: an operation without a 16-bit form must not fall back to 8 bits. The group makes this another
    # key than that of the same operations in 16 bits.
    manager.add_quantization_config(
        f"(?:{_any_of([*kept, *floats])})", names.ALL_SUPPORTED, algorithm_key="no_quantize"
    )
    if kept_as == "int16":
        manager.add_static_config(_any_of(kept), names.ALL_SUPPORTED, activation_num_bits=16, weight_num_bits=8)
    for role, dtype in io_dtypes.items():
        options = {"algorithm_key": "no_quantize"} if dtype == "float32" else {"op_config": _io_config(dtype)}
        manager.add_quantization_config(EVERY_IO, names[role], **options)
    return manager.get_quantization_recipe()


def _any_of(scopes: list[str]) -> str:
    """Matches these operations and no others. The quantizer ends each scope with a semicolon."""
    return f"^(?:{'|'.join(map(re.escape, scopes))});$"


def _io_config(io_dtype: str) -> Any:
    from ai_edge_quantizer import qtyping

    kind = qtyping.TensorDataType.UINT if io_dtype == "uint8" else qtyping.TensorDataType.INT
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8, symmetric=False, dtype=kind),
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )


def _ranges(content: bytes, calibration: Mapping[str, np.ndarray], batch_size: int) -> dict[str, dict[str, np.ndarray]]:
    """The range of each tensor over all calibration data, in the quantizer's form.

    The quantizer's own calibration takes moving averages, which clip rare values.
    """
    names = [tensor.stored_name for tensor in read_graph(content).tensors]
    return {
        names[index]: {"min": np.array([low], "float32"), "max": np.array([high], "float32")}
        for index, (low, high) in ranges(content, calibration, batch_size).items()
    }


def _result_types(content: bytes) -> dict[str, str]:
    """The type of the output of each operation, by its scope."""
    graph = read_graph(content)
    return {
        _scope(graph, operation): graph.tensors[operation.outputs[0]].type
        for operation in graph.operations
        if operation.name not in CONVERSIONS and operation.outputs
    }


def _notes(
    graph: FileGraph,
    types: Mapping[str, str],
    kept: list[FileOperation],
    floats: list[FileOperation],
    choice: Choice,
    lost: list[str],
) -> list[str]:
    notes = []
    if lost:
        notes.append(
            f"Not kept in {choice.kept_as}, since the file has no operation of these layers (they were fused into "
            f"another layer, or compute nothing): {listed(lost)}."
        )
    in_16_bits = [] if choice.kept_as == "float32" else kept
    unsupported = [one for one in graph.operations if types.get(_scope(graph, one)) == "FLOAT32" and one not in floats]
    reasons = {
        f"not in {choice.kept_as}, since their values are small or probabilities": [
            one for one in in_16_bits if one in floats
        ],
        "since LiteRT's quantizer has no 16-bit form of them": [one for one in in_16_bits if one in unsupported],
        "since LiteRT's quantizer has no 8-bit form of them": [one for one in unsupported if one not in kept],
    }
    for reason, operations in reasons.items():
        if operations:
            notes.append(f"In floats, {reason}: {', '.join(sorted({one.name for one in operations}))}.")
    return notes
