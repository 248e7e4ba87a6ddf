"""What a mode cannot have is refused before anything is converted: loops, on which the calibrator crashes, and more."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import SqueezeExcite
from keras_se.export import ExportError, export, to_microcontroller, to_onnx, to_tflite
from keras_se.export.modes import calibrated_names

DATA = np.random.default_rng(0).normal(size=(16, 6, 5)).astype("float32")


def recurrent(layer: keras.layers.Layer) -> keras.Model:
    steps = keras.Input((6, 5), name="steps")
    x = layers.GlobalAveragePooling1D()(SqueezeExcite(2, name="se")(layer(steps)))
    return keras.Model(steps, layers.Dense(3)(x), name="recurrent")


LOOPS = {
    "lstm": layers.LSTM(8, return_sequences=True, name="lstm"),
    "gru": layers.GRU(8, return_sequences=True, name="gru"),
    "forward_simple": layers.Bidirectional(layers.SimpleRNN(4, return_sequences=True, name="simple"), name="both"),
    "inner/cells": keras.Sequential(
        [keras.Input((6, 5)), layers.RNN(layers.LSTMCell(8), return_sequences=True, name="cells")], name="inner"
    ),
}


@pytest.mark.parametrize("mode", calibrated_names())
@pytest.mark.parametrize("path", LOOPS)
def test_a_loop_is_refused(path: str, mode: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^quantize='{mode}' .* Received: the layer '[\w/]*{path}', a .*unroll=True"):
        to_tflite(recurrent(LOOPS[path]), tmp_path / "m.tflite", quantize=mode, calibration_data=DATA)
    assert not list(tmp_path.iterdir())


def test_it_is_refused_before_any_file_is_written(tmp_path: Path) -> None:
    model = recurrent(LOOPS["lstm"])
    with pytest.raises(ValueError, match="unroll=True"):
        export(model, tmp_path, ("tflite", "onnx"), quantize=(None, "int8"), calibration_data=DATA)
    with pytest.raises(ValueError, match="unroll=True"):
        to_microcontroller(model, tmp_path / "m", quantize="int8", calibration_data=DATA)
    assert not list(tmp_path.iterdir())


class Loop(layers.Layer):
    """A loop that no Keras layer tells of."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, 0.5 * y), (0, x))[1]

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_a_loop_inside_another_layer_is_refused(mode: str, tmp_path: Path) -> None:
    model = recurrent(Loop(name="loop"))
    with pytest.raises(ExportError, match=rf"^quantize='{mode}' does not support loops.* Unroll .*loop.*/while\."):
        to_tflite(model, tmp_path / "m.tflite", quantize=mode, calibration_data=DATA)
    assert not list(tmp_path.iterdir())


def volumes(layer: keras.layers.Layer) -> keras.Model:
    x = keras.Input((4, 6, 6, 2), name="volume")
    return keras.Model(x, layers.GlobalAveragePooling3D()(layer(x)), name="volumes")


def words(dtype: str) -> keras.Model:
    x = keras.Input((6,), dtype=dtype, name="words")
    return keras.Model(x, layers.GlobalAveragePooling1D()(layers.Embedding(9, 4)(x)), name="words")


WITHOUT_INT16 = {
    "convolution": (lambda: volumes(layers.Conv3D(4, 3, name="conv")), r"the layer 'conv', a Conv3D"),
    "transposed": (lambda: volumes(layers.Conv3DTranspose(4, 3, name="up")), r"the layer 'up', a Conv3DTranspose"),
    "int32": (lambda: words("int32"), r"the input 'words' of int32"),
    "uint8": (lambda: words("uint8"), r"the input 'words' of uint8"),
}


@pytest.mark.parametrize("case", WITHOUT_INT16)
def test_what_has_no_form_in_16_bits(case: str, tmp_path: Path) -> None:
    build, message = WITHOUT_INT16[case]
    data = np.random.default_rng(0).integers(0, 9, (16, *build().inputs[0].shape[1:]))
    with pytest.raises(ValueError, match=rf"^quantize='int16x8' .* Received: {message}\. Use quantize='int8'\.$"):
        to_tflite(build(), tmp_path / "m.tflite", quantize="int16x8", calibration_data=data)
    assert not list(tmp_path.iterdir())
    assert to_tflite(build(), tmp_path / "m.tflite", quantize="int8", calibration_data=data).parity.passed


NEEDLESS = [
    (to_tflite, {"quantize": None}),
    (to_tflite, {"quantize": "dynamic"}),
    (to_onnx, {"quantize": "float16"}),
    (to_microcontroller, {}),
    (export, {"quantize": (None, "dynamic")}),
    (export, {"quantize": ("int16x8", None), "formats": "onnx"}),
]


@pytest.mark.parametrize(("convert", "options"), NEEDLESS)
@pytest.mark.parametrize("data", [DATA, "nothing.npy"], ids=["array", "file"])
def test_calibration_data_that_nothing_uses(convert: Any, options: Any, data: Any, tmp_path: Path) -> None:
    path = tmp_path if convert is export else tmp_path / "m"
    model = recurrent(layers.Dense(8))
    with pytest.raises(ValueError, match=r"^calibration_data requires quantize=.* Received: calibration_data with"):
        convert(model, path, calibration_data=data, **options)
    assert not list(tmp_path.iterdir())


def test_calibration_data_that_one_of_several_files_uses(tmp_path: Path) -> None:
    given = {"quantize": (None, "int8"), "calibration_data": DATA}
    assert len(export(recurrent(layers.Dense(8)), tmp_path, ("saved_model", "tflite"), **given)) == 3


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"formats": "tflite", "layout": "nchw"}, "layout='nchw' requires formats='onnx'"),
    ({"formats": ("tflite", "saved_model"), "opset": 13}, "opset=13 requires formats='onnx'"),
    ({"formats": "onnx", "opset": 17.0}, "opset must be one of"),
    ({"formats": None}, "formats must be a string or a list of strings. Received: formats=None"),
    ({"formats": [["tflite"]]}, "formats must be a string or a list of strings"),
    ({"formats": 5}, "formats must be a string or a list of strings"),
    ({"quantize": 5}, "quantize must be a string or a list of strings. Received: quantize=5"),
    ({"quantize": [["int8"]]}, "quantize must be a string or a list of strings"),
    ({"formats": "tflite", "input_shape": {"typo": (6, 5)}}, r"input_shape must be .*\['steps'\].* with 'typo'"),
    *(
        (
            {"formats": "tflite", "input_shape": shape},
            f"input_shape must give every size .*Received: input_shape={shown}",
        )
        for shape, shown in (((True, 5), r"\(True, 5\)"), (8, "8"), ((6, 5.0), r"\(6, 5.0\)"), ("65", "'65'"))
    ),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_options_that_cannot_be_right(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        export(recurrent(layers.Dense(8)), tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_an_input_is_no_layer_to_keep(tmp_path: Path) -> None:
    given = {"quantize": "selective", "calibration_data": DATA}
    with pytest.raises(ValueError, match=r"^keep must match the whole name of a layer.* Received: 'steps'"):
        to_tflite(recurrent(layers.Dense(8)), tmp_path / "m.tflite", keep="steps", **given)


def test_what_is_unrolled_is_exported(tmp_path: Path) -> None:
    model = recurrent(layers.GRU(8, return_sequences=True, unroll=True, name="gru"))
    artifact = to_tflite(model, tmp_path / "m.tflite", quantize="int8", calibration_data=DATA)
    assert artifact.parity.passed
    assert artifact.parity.conclusive
