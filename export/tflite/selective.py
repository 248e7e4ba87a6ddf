"""Selective quantization: a float TFLite file → one in 8 bits, but for chosen layers."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_se._text import listed
from keras_se._validation import one_of
from keras_se.export.errors import ExportError, require
from keras_se.export.frontend.float_layers import paths_in_floats
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.tflite.graph import FileGraph, FileOperation, read_graph
from keras_se.export.tflite.interpreter import ranges
from keras_se.export.tflite.layer_map import CONVERSIONS, LayerNames, operations_of, within
from keras_se.graph.walk import layers_by_path
from keras_se.layers import EXCITATIONS

MODE = "selective"
# What `keep` says for every squeeze-and-excitation layer, and the default.
SE = "se"
# What chosen layers are kept as, by the schema's name of it.
KEPT = {"float32": "FLOAT32", "int16": "INT16"}
EVERYTHING = ".*"
EVERY_END = "(?:.*)"  # another key than `EVERYTHING` to the quantizer, which keeps one list of settings for each


@dataclass(frozen=True)
class Choice:
    """The layers that are not quantized to 8 bits, by path, what they are kept as, and how they were named."""

    paths: frozenset[str]
    kept_as: str
    patterns: tuple[str, ...]


def chosen_layers(model: keras.Model, quantize: str | None, keep: Any, keep_as: str | None) -> Choice | None:
    """What `keep` and `keep_as` choose of a model; nothing for modes other than selective, which must not have them.

    Args:
        model: The Keras model.
        quantize: The mode.
        keep: `"se"`, or `None` for the same: every SE layer. Or a regular expression that has to match the whole name
            of a layer, or its whole path (`backbone/stage1_se` of a layer in a model in the model); or several.
        keep_as: `"float32"`, or `None` for the same; or `"int16"`.

    Raises:
        ValueError: for what cannot be right, a pattern that no layer matches among it.
    """
    if quantize != MODE:
        refuse_keep(keep, keep_as, (quantize,))
        return None
    keep_as = "float32" if keep_as is None else keep_as
    one_of("keep_as", keep_as, KEPT)
    patterns = (SE,) if keep is None else (keep,) if isinstance(keep, str) else tuple(_patterns(keep))
    if not patterns:
        raise ValueError(f"keep must name a layer at least. Received: keep={keep!r}")
    layers = {path: one for path, one in layers_by_path(model) if not isinstance(one, keras.layers.InputLayer)}
    return Choice(frozenset(path for pattern in patterns for path in _matching(layers, pattern)), keep_as, patterns)


def refuse_keep(keep: Any, keep_as: str | None, modes: Sequence[str | None]) -> None:
    """Refuses `keep` and `keep_as` where no mode has them."""
    for name, value in (("keep", keep), ("keep_as", keep_as)):
        if value is not None and MODE not in modes:
            received = ", ".join(repr(mode) for mode in modes)
            raise ValueError(f"{name} goes with quantize={MODE!r}. Received: {name}={value!r}, quantize={received}")


def _patterns(keep: Any) -> list[str]:
    patterns = list(keep) if isinstance(keep, list | tuple) else [keep]
    wrong = [pattern for pattern in patterns if not isinstance(pattern, str)]
    if wrong:
        raise ValueError(
            f'keep must be "{SE}", a regular expression on names of layers, or a list of such. Received: {wrong[0]!r}'
        )
    return patterns


def _matching(layers: Mapping[str, keras.layers.Layer], pattern: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"keep must be a regular expression. Received: {pattern!r} ({error})") from error
    if pattern == SE:
        found = [path for path, layer in layers.items() if isinstance(layer, EXCITATIONS)]
        missing = "the model has no squeeze-and-excitation layer"
    else:
        found = [path for path in layers if expression.fullmatch(path) or expression.fullmatch(path.split("/")[-1])]
        missing = f"it has layers like {', '.join(list(layers)[:3])}"
    if not found:
        raise ValueError(f"keep must match a layer of the model, its whole name. Received: {pattern!r} ({missing})")
    return found


def is_selective(results: set[str]) -> bool:
    """Whether what operations compute, by type, is what a selective file has: some in 8 bits, some in more."""
    return "int8" in results and bool({"float32", "int16"} & results)


def quantized_but(
    content: bytes,
    model: InferenceModel,
    choice: Choice,
    *,
    calibration: Mapping[str, np.ndarray],
    io_dtype: str,
    batch_size: int,
) -> tuple[bytes, list[str]]:
    """A float file in 8 bits, weights per channel and activations per tensor, but for chosen layers; and notes.

    An operation that was fused of several layers is kept if one of them was chosen. With float outputs, a softmax
    that makes one stays in floats, too: LiteRT's delegate has none in 8 bits. So do `keras_se.export.in_floats`.

    Args:
        content: The float file.
        model: What it was converted from.
        choice: The layers.
        calibration: Calibration data.
        io_dtype: The type of the file's inputs and outputs: `"float32"`, `"int8"` or `"uint8"`.
        batch_size: The file's batch.

    Raises:
        ExportError: if no operation of the chosen layers can be found, or one is not as it was to be.
    """
    require("ai_edge_quantizer", "tflite")
    from ai_edge_quantizer import quantizer

    # The quantizer knows operations by their tensors' own names; layers behind outputs are known by the signature's.
    graph, owners = read_graph(content, signature=False), LayerNames(model).of_operations(read_graph(content))
    kept = operations_of(graph, owners, choice.paths)
    found = {path for paths in owners for path in paths}
    lost = sorted(path for path in choice.paths if not any(within(other, frozenset([path])) for other in found))
    if not kept:
        raise ExportError(f"None of the layers to keep is an operation in the file: {listed(lost)}.")
    floats = operations_of(graph, owners, paths_in_floats(model.model))
    if io_dtype == "float32":
        floats += [operation for operation in graph.operations if _makes_probabilities(graph, operation)]
    recipe = _recipe(
        [_scope(graph, operation) for operation in kept if operation not in floats],
        choice.kept_as,
        [_scope(graph, operation) for operation in floats],
        {"inputs": io_dtype, "outputs": "float32" if _are_made_in_floats(graph, floats) else io_dtype},
    )
    with warnings.catch_warnings():
        # The quantizer itself looks into the file so.
        warnings.filterwarnings("ignore", "(?s).*experimental_preserve_all_tensors", UserWarning)
        rewriter = quantizer.Quantizer(bytearray(content), recipe)
        result = bytes(rewriter.quantize(_ranges(content, calibration, batch_size)).quantized_model)
    types = _result_types(result)
    wrong = [_scope(graph, one) for one in kept if types.get(_scope(graph, one)) not in _allowed(choice.kept_as)]
    if wrong:
        raise ExportError(f"LiteRT's quantizer did not keep in {choice.kept_as}: {listed(wrong)}.")
    return result, _notes(graph, types, kept, floats, choice, lost)


def _scope(graph: FileGraph, operation: FileOperation) -> str:
    return ";".join(graph.tensors[index].name for index in operation.outputs)


def _makes_probabilities(graph: FileGraph, operation: FileOperation) -> bool:
    return operation.name == "SOFTMAX" and set(operation.outputs) <= set(graph.outputs)


def _are_made_in_floats(graph: FileGraph, floats: list[FileOperation]) -> bool:
    """Whether an output is: then all stay floats, as the quantizer treats them alike."""
    return any(index in graph.outputs for operation in floats for index in operation.outputs)


def _recipe(kept: list[str], kept_as: str, floats: list[str], io_dtypes: Mapping[str, str]) -> Any:
    """The quantizer's settings; of those that an operation matches, the last that it has a form for counts."""
    from ai_edge_quantizer import qtyping, recipe_manager

    names = qtyping.TFLOperationName
    manager = recipe_manager.RecipeManager()
    manager.add_static_config(EVERYTHING, names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    # In floats first: what has no form in 16 bits must not fall back to 8.
    _leave_in_floats(manager, _any_of([*kept, *floats]))
    if kept_as == "int16":
        manager.add_static_config(_any_of(kept), names.ALL_SUPPORTED, activation_num_bits=16, weight_num_bits=8)
    for end, dtype in ((names.INPUT, io_dtypes["inputs"]), (names.OUTPUT, io_dtypes["outputs"])):
        if dtype == "float32":
            manager.add_quantization_config(EVERY_END, end, algorithm_key="no_quantize")
        else:
            manager.add_quantization_config(EVERY_END, end, _end_config(dtype))
    return manager.get_quantization_recipe()


def _leave_in_floats(manager: Any, expression: str) -> None:
    from ai_edge_quantizer import qtyping

    # In a group of its own, to be another key than the same operations' in 16 bits.
    manager.add_quantization_config(
        f"(?:{expression})", qtyping.TFLOperationName.ALL_SUPPORTED, algorithm_key="no_quantize"
    )


def _any_of(scopes: list[str]) -> str:
    """Matches these operations and no other. The quantizer ends each scope in a semicolon."""
    return f"^(?:{'|'.join(map(re.escape, scopes))});$"


def _end_config(io_dtype: str) -> Any:
    from ai_edge_quantizer import qtyping

    kind = qtyping.TensorDataType.UINT if io_dtype == "uint8" else qtyping.TensorDataType.INT
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8, symmetric=False, dtype=kind),
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        explicit_dequantize=False,
    )


def _ranges(content: bytes, calibration: Mapping[str, np.ndarray], batch_size: int) -> dict[str, dict[str, np.ndarray]]:
    """The range of each tensor over all calibration data, as the quantizer takes it.

    Its own calibration takes moving averages, which clip what few samples have.
    """
    names = [tensor.name for tensor in read_graph(content, signature=False).tensors]
    return {
        names[index]: {"min": np.array([low], "float32"), "max": np.array([high], "float32")}
        for index, (low, high) in ranges(content, calibration, batch_size).items()
    }


def _result_types(content: bytes) -> dict[str, str]:
    """The type of what each operation computes, by its scope."""
    graph = read_graph(content, signature=False)
    return {
        _scope(graph, operation): graph.tensors[operation.outputs[0]].type
        for operation in graph.operations
        if operation.name not in CONVERSIONS and operation.outputs
    }


def _allowed(kept_as: str) -> tuple[str, ...]:
    return (KEPT[kept_as], "FLOAT32", "BOOL", "INT32", "INT64")  # 16 bits, or floats where there is no such form


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
            f"Not kept in {choice.kept_as}, since the file has no operation of them (they are part of another layer's, "
            f"or compute nothing): {listed(lost)}."
        )
    in_floats = [one for one in graph.operations if types.get(_scope(graph, one)) == "FLOAT32"]
    if choice.kept_as != "float32" and (always := [one for one in kept if one in floats]):
        notes.append(
            f"In floats, not in {choice.kept_as}: {_kinds(always)}, whose numbers are small, or probabilities."
        )
    if choice.kept_as != "float32" and (own := [one for one in kept if one in in_floats and one not in floats]):
        notes.append(f"In floats, since LiteRT's quantizer has no 16-bit form of them: {_kinds(own)}.")
    if others := [one for one in in_floats if one not in kept and one not in floats]:
        notes.append(f"In floats, since LiteRT's quantizer has no 8-bit form of them: {_kinds(others)}.")
    return notes


def _kinds(operations: list[FileOperation]) -> str:
    return ", ".join(sorted({operation.name for operation in operations}))
