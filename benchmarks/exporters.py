"""This package's files beside those of Keras' own exporter, `keras.Model.export`, of the same network.

    python benchmarks/exporters.py --size 224 --rounds 40

Each pair of files runs in turn in one process, in the same runtime; the ratio is ours over Keras'.
"""

import collections
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import keras
import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from timing import medians

from keras_se import SqueezeExcite
from keras_se.export import ExportError, to_onnx, to_tflite
from keras_se.models import SEMobileNet, SEResNet50


def grouped(size: int) -> keras.Model:
    """One block with a grouped convolution, as in ResNeXt."""
    image = keras.Input((size, size, 64), name="image")
    x = layers.Conv2D(128, 3, padding="same", groups=32, name="conv")(image)
    x = SqueezeExcite(name="se")(layers.BatchNormalization(name="bn")(x))
    return keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x), name="grouped")


def litert(path: Path, x: np.ndarray) -> tuple[Callable[[], object], str]:
    """A call of the file, and how many partitions its delegate runs."""
    interpreter = Interpreter(model_path=str(path), num_threads=os.cpu_count())
    details = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(details["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(details["index"], x)
    counts = collections.Counter(operation["op_name"] for operation in interpreter._get_ops_details())
    return interpreter.invoke, f"{counts['DELEGATE']} partitions"


def ort(path: Path, x: np.ndarray) -> tuple[Callable[[], object], str]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x}), "runs"


FORMATS = {"tflite": ("litert", ".tflite", to_tflite, litert), "onnx": ("onnx", ".onnx", to_onnx, ort)}


def opened(opener: Callable, path: Path, x: np.ndarray) -> tuple[Callable[[], object] | None, str]:
    try:
        return opener(path, x)
    except Exception as error:  # a file that its runtime refuses is a result here
        return None, f"refused: {str(error).splitlines()[0][:60]}"


@click.command()
@click.option("--size", type=click.IntRange(32), default=224, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True)
def main(size: int, rounds: int) -> None:
    table = Table(title=f"keras_se beside keras.Model.export, {size}x{size}, batch 1, medians of {rounds}")
    for header in ("network", "file", "ours", "Keras'", "size ours / Keras'", "latency ratio"):
        table.add_column(header, overflow="fold")
    shape = (size, size, 3)
    for model in (SEResNet50(input_shape=shape), SEMobileNet(input_shape=shape), grouped(56)):
        x = np.random.default_rng(0).standard_normal((1, *model.input_shape[1:])).astype("float32")
        model(x)  # Keras' exporter refuses a model that was never called
        for name, (keras_name, suffix, convert, opener) in FORMATS.items():
            with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
                ours, theirs = Path(folder, f"ours{suffix}"), Path(folder, f"theirs{suffix}")
                with contextlib.redirect_stdout(nowhere):
                    convert(model, ours)
                    model.export(theirs, format=keras_name, verbose=False)
                (our_call, our_state), (their_call, their_state) = opened(opener, ours, x), opened(opener, theirs, x)
                if our_call is None:
                    raise ExportError(f"{model.name}: {our_state}")
                ratio = "-"
                if their_call is not None:
                    times = medians({"ours": our_call, "theirs": their_call}, rounds)
                    ratio = f"{times['ours'] / times['theirs']:.3f}"
                sizes = f"{decimal(ours.stat().st_size)} / {decimal(theirs.stat().st_size)}"
                table.add_row(model.name, name, our_state, their_state, sizes, ratio)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
