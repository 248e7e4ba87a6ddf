"""Exports from JAX and PyTorch: the model goes to a process of TensorFlow as a `.keras` file."""

import importlib
import inspect
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from keras_se._files import check_path
from keras_se.export.errors import ExportError
from keras_se.export.probes.sandbox import crash

Exporter = TypeVar("Exporter", bound=Callable[..., Any])
# Errors that keep their type between the processes; all others become an `ExportError`.
ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (ValueError, TypeError, FileExistsError, NotADirectoryError, PermissionError, ImportError, OSError)
}


def on_any_backend(function: Exporter) -> Exporter:
    """An exporter, a function of (model, path, …), run in a process of TensorFlow if Keras has another backend."""
    signature = inspect.signature(function)
    place = list(signature.parameters)[1]

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        given = signature.bind(*args, **options).arguments
        model, path = given.pop("model"), given.pop(place)
        check_path(path, place)
        if keras.backend.backend() == "tensorflow" or not isinstance(model, keras.Model):
            return function(model, path, **given)
        given.pop("on_start", None)  # a function cannot be called from the other process
        return _in_other_process(function, model, path, {key: _portable(value) for key, value in given.items()})

    return call  # type: ignore[return-value]


def _in_other_process(function: Callable[..., Any], model: keras.Model, path: Any, options: dict[str, Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        source, job, answer = (Path(folder) / part for part in ("model.keras", "job", "answer"))
        model.save(source)
        # Safe to unpickle: only this package writes and reads them, in a folder of this process.
        given = (str(Path(path).absolute()), options, getattr(model, "preprocessing", None))
        job.write_bytes(pickle.dumps((function.__module__, function.__name__, *given)))
        done = subprocess.run(
            [sys.executable, "-m", "keras_se.export.frontend.backend_process", str(source), str(job), str(answer)],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            check=False,
        )
        if not answer.is_file():
            lines = done.stderr.strip().splitlines() or ["it was ended"]
            reason = f"it {crash(done.returncode)}" if done.returncode < 0 else lines[-1]
            raise ExportError(f"Exporting {model.name} in a process of TensorFlow failed: {reason}")
        kind, result, several = pickle.loads(answer.read_bytes())
    if kind != "artifacts":
        raise ERRORS.get(kind, ExportError)(result)
    structure = model.outputs[0] if isinstance(model, keras.Sequential) else model.output
    artifacts = [
        replace(artifact, _pack=lambda outputs: keras.tree.pack_sequence_as(structure, list(outputs)))
        for artifact in result
    ]
    return artifacts if several else artifacts[0]


def _portable(value: Any) -> Any:
    """A value that can be pickled: arrays of any backend become NumPy's, and generators are read to their end.

    A function is one without arguments that returns data (`read_data`).
    """
    if value is None or isinstance(value, str | int | float | os.PathLike | np.ndarray) or is_dataclass(value):
        return value
    if isinstance(value, Mapping):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_portable(item) for item in value)
    if hasattr(value, "shape"):
        return keras.ops.convert_to_numpy(value)
    if hasattr(value, "__iter__"):
        return Batches(tuple(_portable(item) for item in value))
    return _portable(value()) if callable(value) else value


@dataclass(frozen=True)
class Batches:
    """The batches of a generator. A list would mean several inputs."""

    items: tuple

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


def _main(source: str, job: str, answer: str) -> None:
    """The other process: loads the model, exports it, and writes the artifacts or the error."""
    module, name, path, options, preprocessing = pickle.loads(Path(job).read_bytes())
    try:
        model = keras.saving.load_model(source, compile=False, safe_mode=True)
        if preprocessing is not None:
            model.preprocessing = preprocessing
        made = getattr(importlib.import_module(module), name)(model, path, **options)
        # A function cannot be pickled.
        plain = [replace(artifact, _pack=None) for artifact in (made if isinstance(made, list) else [made])]
        result: tuple[str, Any, bool] = ("artifacts", plain, isinstance(made, list))
    except Exception as error:
        kind = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS), "")
        result = (kind, str(error), False)
    Path(answer).write_bytes(pickle.dumps(result))


if __name__ == "__main__":
    _main(*sys.argv[1:])
