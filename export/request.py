"""The request for one file: the arguments of an export, checked and resolved once, and not checked again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from keras_se._validation import one_of, positive_integer
from keras_se.export.data.calibration import CalibrationData, read_data
from keras_se.export.data.labels import labels_of
from keras_se.export.data.preprocessing import prepared_model, preprocessing_of
from keras_se.export.frontend.fingerprint import source_sha256
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import Tensor, random_feeds
from keras_se.export.interfaces import Format
from keras_se.export.modes import MODES, Mode, calibrated_names
from keras_se.export.passes.pass_pipeline import optimized
from keras_se.export.verification.parity import SAMPLES
from keras_se.weights import Preprocessing


class Source:
    """A Keras model and its preprocessing, shared by all files of one export.

    Attributes:
        model: The model of the caller.
        preprocessing: The preprocessing that files contain; `None` for files that take the model's inputs.
    """

    def __init__(self, model: Any, preprocessing: Any = False):
        self.model = model
        self.preprocessing = preprocessing_of(model, preprocessing)
        self._inference: dict[str, InferenceModel] = {}

    @property
    def takes_pixels(self) -> bool:
        return self.preprocessing is not None

    @cached_property
    def sha256(self) -> str:
        return source_sha256(self.model)

    def inference(self, pixel_dtype: str = "float32") -> InferenceModel:
        """The model as it is exported: after its preprocessing, with pixels of a type, if files contain that."""
        key = pixel_dtype if self.takes_pixels else ""
        if key not in self._inference:
            self._inference[key] = prepared_model(self.model, self.preprocessing, pixel_dtype)
        return self._inference[key]


@dataclass(frozen=True)
class ExportRequest:
    """One file to write.

    Attributes:
        source: The Keras model.
        format, mode: The format and the mode of the file.
        inference: The model as it is exported, and compared with the file.
        inputs: Its inputs, for which data are read; without unknown sizes if the format's files have fixed sizes.
        labels: Names of the output's channels.
        optimize: Whether the graph is rewritten before conversion.
        batch_size: The file's batch; `None` for any.
        options: The format's own options, as they appear in the metadata.
        plan: An object of the format, made from options that are not plain values.
        preprocessing: The preprocessing of images, by the file (`preprocesses`) or before it.
        calibration: The data that a quantizer learns ranges from.
        samples: The data that the file is verified on; the first of them are used.
        prepare: Prepares samples for the file.
        check: Checks the verified file, an `Artifact`, further, and raises an `ExportError`.
    """

    source: Source
    format: Format
    mode: Mode
    inference: InferenceModel
    inputs: tuple[Tensor, ...]
    labels: tuple[str, ...] | None = None
    optimize: bool = True
    batch_size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    plan: Any = None
    preprocessing: Preprocessing | None = None
    preprocesses: bool = True
    calibration: CalibrationData | None = None
    samples: CalibrationData = field(default_factory=lambda: CalibrationData({}))
    prepare: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    check: Callable[["ExportRequest", Any], None] | None = None

    @property
    def quantize(self) -> str | None:
        return self.mode.name

    @property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of each input, without the batch."""
        return {tensor.name: tensor.shape for tensor in self.inputs}

    @property
    def fixed_batch(self) -> int:
        """The batch of a converter that requires one."""
        return self.batch_size or 1

    @property
    def ranges_from(self) -> CalibrationData:
        """The calibration data of a mode that is calibrated."""
        assert self.calibration is not None
        return self.calibration

    @property
    def verification_samples(self) -> CalibrationData:
        return self.samples.first(SAMPLES)

    def read(self, data: Any, argument: str) -> CalibrationData:
        """Data for the inputs."""
        return read_data(self.inputs, data, argument, pixels=self.source.takes_pixels)

    def optimized(self) -> tuple[InferenceModel, list[str]]:
        """The model as it is converted, after its rewrites, and notes on them."""
        if not self.optimize:
            return self.inference, []
        runtime, bits = self.format.runtime, self.mode.activation_bits
        return optimized(self.inference, self.calibration, runtime=runtime, activation_bits=bits)

    def with_data(self, calibration: CalibrationData | None, verification_data: Any) -> "ExportRequest":
        """The request with its data. Without verification data, calibration data or random samples serve as such."""
        given = calibration if verification_data is None else verification_data
        if given is None:
            samples = CalibrationData(random_feeds(self.inputs, SAMPLES))
        else:
            samples = self.read(given, "verification_data")
        if self.prepare is not None:
            samples = samples.map(self.prepare)
        return replace(self, calibration=calibration and calibration.of(self.inputs), samples=samples)


def resolve_request(
    format: Format,
    source: Source,
    quantize: str | None = None,
    *,
    labels: Any = None,
    optimize: bool = True,
    batch_size: int | None = None,
    input_shape: Any = None,
    **options: Any,
) -> ExportRequest:
    """Checks all arguments but data, which take longer to read: a `ValueError` for an invalid one.

    Args:
        format: The file's format.
        source: The model.
        quantize: The name of the mode.
        labels, optimize, batch_size, input_shape: As in the exporters.
        **options: The format's own.
    """
    mode = mode_of(format, quantize)
    if batch_size is not None:
        batch_size = positive_integer("batch_size", batch_size)
    elif format.fixed_sizes:
        batch_size = 1
    inference = source.inference(format.pixel_dtype(mode))
    inputs, stated = inference.inputs, {}
    if format.fixed_sizes:  # the metadata state the sizes that were asked for
        inputs = resolved_inputs(inputs, input_shape)
        stated["input_shape"] = input_shape if input_shape is None else {x.name: list(x.shape) for x in inputs}
    named = labels_of(labels, inference.outputs)
    request = ExportRequest(source, format, mode, inference, inputs, named, optimize, batch_size, stated)
    request = replace(request, preprocessing=source.preprocessing)
    resolved: ExportRequest = format.resolve(request, **options)
    return resolved


def full_request(
    format: Format,
    model: Any,
    quantize: str | None = None,
    *,
    calibration_data: Any = None,
    verification_data: Any = None,
    preprocessing: Any = False,
    **options: Any,
) -> ExportRequest:
    """The request of an exporter, which writes one file. Arguments and errors are those of the exporters."""
    check_calibration(calibration_data, (mode_of(format, quantize),))
    if format.fixed_sizes:
        positive_integer("batch_size", options.get("batch_size"))
    request = resolve_request(format, Source(model, preprocessing), quantize, **options)
    calibration = request.read(calibration_data, "calibration_data") if request.mode.calibrated else None
    return request.with_data(calibration, verification_data)


def mode_of(format: Format, quantize: Any) -> Mode:
    """The mode of a name, if the format supports it."""
    return MODES[one_of("quantize", quantize, format.modes, f" for {format.name}")]


def check_calibration(data: Any, modes: Sequence[Mode]) -> None:
    """Refuses calibration data if no mode uses them."""
    if data is not None and not any(mode.calibrated for mode in modes):
        listed = " or ".join(repr(name) for name in calibrated_names())
        raise ValueError(
            f"calibration_data requires quantize={listed}; verification_data can be given in every mode. "
            f"Received: calibration_data with quantize={', '.join(repr(mode.name) for mode in modes)}"
        )


def resolved_inputs(inputs: Sequence[Tensor], input_shape: Any) -> tuple[Tensor, ...]:
    """The inputs with every size known: that of the model, or that of `input_shape` where the model's is unknown."""
    names = [tensor.name for tensor in inputs]
    shapes: Any = {} if input_shape is None else input_shape
    if not isinstance(shapes, Mapping) and len(names) == 1:
        shapes = {names[0]: input_shape}
    if not isinstance(shapes, Mapping) or not set(shapes) <= set(names):
        raise ValueError(
            "input_shape must be the shape of the only input, or a mapping from input names to shapes. "
            f"Received: input_shape={input_shape!r} for the inputs {names}"
        )
    return tuple(replace(tensor, shape=_known_shape(tensor, shapes.get(tensor.name))) for tensor in inputs)


def _known_shape(tensor: Tensor, given: Sequence[int] | None) -> tuple[int | None, ...]:
    try:
        shape = tuple(positive_integer("a size", size) for size in (tensor.shape if given is None else given))
        fits = len(shape) == len(tensor.shape) and all(
            size == (known or size) for size, known in zip(shape, tensor.shape, strict=True)
        )
    except (TypeError, ValueError):  # no sequence, or not of sizes
        fits = False
    if not fits:
        raise ValueError(
            f"input_shape must give every size of the input {tensor.name!r}, whose shape is {tensor.shape} without the "
            f"batch. Received: input_shape={given!r}"
        )
    return shape
