"""Recurrent layers: with modes that calibrate they are refused if they loop, before the calibrator could crash."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import SqueezeExcite
from keras_se.export import ExportError, export, to_microcontroller, to_tflite
from keras_se.export.formats import CALIBRATED

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


@pytest.mark.parametrize("mode", CALIBRATED)
@pytest.mark.parametrize("path", LOOPS)
def test_a_loop_is_refused(path: str, mode: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^quantize='{mode}' .*unroll=True.* Received: the layer '[\w/]*{path}', a "):
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
    with pytest.raises(ExportError, match=rf"^quantize='{mode}' cannot be calibrated .*loop.*/while must be unrolled"):
        to_tflite(model, tmp_path / "m.tflite", quantize=mode, calibration_data=DATA)
    assert not list(tmp_path.iterdir())


def test_what_is_unrolled_is_exported(tmp_path: Path) -> None:
    model = recurrent(layers.GRU(8, return_sequences=True, unroll=True, name="gru"))
    artifact = to_tflite(model, tmp_path / "m.tflite", quantize="int8", calibration_data=DATA)
    assert artifact.parity.passed
    assert artifact.parity.conclusive
