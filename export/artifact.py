"""The result of an export: the file, facts about it, and a way to run it."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_se.export.data.calibration import CalibrationData, read_data
from keras_se.export.data.preprocessing import prepared_model, preprocessing_of
from keras_se.export.formats import FORMATS, format_of
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import feeds_of, random_feeds
from keras_se.export.interfaces import Runner
from keras_se.export.metadata import read_metadata, stored_preprocessing
from keras_se.export.modes import MODES
from keras_se.export.verification.match_detections import comparable
from keras_se.export.verification.parity import SAMPLES, Parity, compare, rounded_kernel


@dataclass(frozen=True)
class Artifact:
    """An exported file.

    Attributes:
        path: The file, or the folder of a SavedModel.
        format: Its format, a name in `FORMATS`.
        quantize: Its mode: `None`, `"float16"`, `"dynamic"`, `"int8"`, `"int16x8"` or `"selective"`.
        parity: Its comparison with the Keras model, or `None` for a file that was opened and not verified.
        calibration: The data that int8, int16x8 and selective were calibrated on: the number of `samples`, the range of
            each of the `inputs`, and the number of samples of each of the `classes`, if images came in a folder for
            each class.
        notes: Findings of the export that its user may want to know, a sentence each.
    """

    path: Path
    format: str
    quantize: str | None
    parity: Parity | None = None
    notes: tuple[str, ...] = ()
    calibration: Mapping[str, Any] | None = None
    _pack: Callable[[list[np.ndarray]], Any] | None = field(default=None, repr=False)
    _input_order: tuple[str, ...] = field(default=(), repr=False)
    _output_order: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def open(cls, path: str | os.PathLike) -> "Artifact":
        """The artifact of an existing file; a `ValueError` for a file of no format, or one that cannot be run."""
        path = Path(path)
        row = format_of(path)
        try:
            runner = row.open(path)
        except (RuntimeError, ValueError, OSError) as error:
            raise ValueError(
                f"The file must be readable by {row.runtime}. Received: {str(path)!r} ({error})"
            ) from error
        artifact = cls(path, row.name, runner.quantize)
        artifact.__dict__["runner"] = runner
        return artifact

    @cached_property
    def metadata(self) -> dict[str, Any] | None:
        """The metadata that the file carries (`read_metadata`), or `None`."""
        return read_metadata(self.path)

    @property
    def size(self) -> int:
        """Bytes; of a folder, of all files in it."""
        files = [file for file in self.path.rglob("*") if file.is_file()] if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files)

    def predict(self, batch: Any) -> Any:
        """Runs the file in its own runtime.

        Args:
            batch: The inputs of the Keras model: an array (samples, …), or a list or mapping of arrays for several
                inputs. Any number of samples, in the Keras layout and types, whatever the file's batch, layout and
                types are.

        Returns:
            The outputs of the Keras model, as float arrays: one array, or several in the model's structure (by name
            if the file was opened without its model).
        """
        inputs = {tensor.name: tensor for tensor in self.runner.inputs}
        ordered = [inputs[name] for name in self._input_order or inputs]
        outputs = self.runner.run(feeds_of(ordered, batch))
        if self._pack is not None:
            return self._pack([outputs[name] for name in self._output_order])
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def verified(self, model: InferenceModel, data: CalibrationData) -> "Artifact":
        """This artifact with its parity: the comparison with the model on the given samples."""
        runner = self.runner
        self.check_same_tensors(model)
        feeds = data.of(runner.inputs)
        expected, outputs, rounded = comparable(
            model,
            model.reference(feeds),
            runner.run(feeds),
            model.reference(feeds, lambda kernel: rounded_kernel(kernel, self.quantize)),
        )
        parity = compare(expected, outputs, quantize=self.quantize, rounded=rounded, steps=runner.steps)
        artifact = replace(
            self,
            parity=parity,
            notes=(*self.notes, *_weak_points(parity, expected)),
            _pack=model.pack_outputs,
            _input_order=tuple(tensor.name for tensor in model.inputs),
            _output_order=tuple(tensor.name for tensor in model.outputs),
        )
        artifact.__dict__["runner"] = runner
        return artifact

    def check_same_tensors(self, model: InferenceModel) -> None:
        """Raises a `ValueError` unless the file and the model have the same inputs and outputs."""
        runner = self.runner
        wanted, found = [tensor.name for tensor in model.inputs], [tensor.name for tensor in runner.inputs]
        if set(wanted) != set(found) or {tensor.name for tensor in model.outputs} != set(runner.outputs):
            raise ValueError(
                f"The file and the model must have the same inputs and outputs. Received: a file with {found} → "
                f"{list(runner.outputs)}, a model with {wanted} → {[tensor.name for tensor in model.outputs]}"
            )
        sizes = {tensor.name: tensor.shape for tensor in runner.inputs}
        for tensor in model.inputs:
            if not _compatible(tensor.shape, sizes[tensor.name]):
                raise ValueError(
                    f"The file and the model must have inputs of the same shape. Received: {sizes[tensor.name]} in the "
                    f"file, {tensor.shape} in the model, for {tensor.name!r}. Build the network for the file's shape "
                    "(--input-shape)."
                )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "path": str(self.path),
            "format": self.format,
            "quantize": self.quantize,
            "size": self.size,
            "parity": self.parity.to_dict() if self.parity else None,
            "notes": list(self.notes),
            "calibration": self.calibration,
        }

    @cached_property
    def runner(self) -> Runner:
        """The file in its own runtime, loaded at the first use."""
        return FORMATS[self.format].open(self.path)


def _compatible(a: Sequence[int | None], b: Sequence[int | None]) -> bool:
    return len(a) == len(b) and all(x == y or None in (x, y) for x, y in zip(a, b, strict=True))


def _weak_points(parity: Parity, expected: Mapping[str, np.ndarray]) -> list[str]:
    """Notes on outputs that show little about the file."""
    if parity.passed and not parity.conclusive:
        return [parity.reason]
    return [
        f"The output {name} was the same for all samples, to a millionth."
        for name, values in expected.items()
        if len(values) > 1 and np.ptp(values, axis=0).max() <= 1e-6 * max(np.abs(values).max(), 1e-30)
    ]


def verify(
    path: str | os.PathLike, model: Any, data: Any = None, samples: int = SAMPLES, *, preprocessing: Any = None
) -> Artifact:
    """Compares a file with a Keras model, in the file's own runtime.

    Args:
        path: The file, or the folder of a SavedModel.
        model: The Keras model that it was exported from.
        data: Inputs to compare on, in the forms of calibration data; random inputs by default. A quantized file is only
            accurate on data like its calibration data.
        samples: The number of random samples.
        preprocessing: For a file that takes pixels, as in `export`. By default as in the file's metadata.

    Returns:
        An `Artifact` whose `parity` is the comparison.

    Raises:
        ValueError: for a file that cannot be run, or whose inputs and outputs are not the model's.
    """
    artifact = Artifact.open(path)
    inference = exported_model(artifact, model, preprocessing)
    # The file can have a fixed size where the model has an unknown one.
    shapes = {tensor.name: tensor.shape for tensor in artifact.runner.inputs}
    inputs = [replace(tensor, shape=shapes.get(tensor.name, tensor.shape)) for tensor in inference.inputs]
    artifact.check_same_tensors(inference)
    feeds = CalibrationData(random_feeds(inputs, samples)) if data is None else read_data(inputs, data, "data")
    verified = artifact.verified(inference, feeds)
    if data is None and MODES[artifact.quantize].calibrated:
        note = (
            f"Compared on random inputs, but {artifact.quantize} files are accurate only on data like their "
            "calibration data. Give some with data= (--data)."
        )
        return replace(verified, notes=(*verified.notes, note))
    return verified


def exported_model(artifact: Artifact, model: Any, preprocessing: Any) -> InferenceModel:
    """The model that a file was exported from: after its preprocessing, if the file contains that."""
    if preprocessing is None:
        preprocessing = stored_preprocessing(artifact.metadata) or False
    dtype = FORMATS[artifact.format].pixel_dtype(MODES[artifact.quantize])
    return prepared_model(model, preprocessing_of(model, preprocessing), dtype)
