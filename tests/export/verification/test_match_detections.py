"""Detectors in files: what the files find, in their own runtimes, and how files are compared that return sets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.export import Artifact, to_onnx, to_saved_model, to_tflite, verify
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.inspect import inspect
from keras_se.export.verification.match_detections import comparable
from keras_se.export.verification.parity import compare
from keras_se.models import FCOSLoss, detection_targets, with_detections
from keras_se.weights import Preprocessing
from tests.support.arrays import randomise
from tests.support.cases import case
from tests.support.networks.detectors import CLASSES, detector, squares

COUNT = 6
DECODING = {"selective": {"keep": "boxes|detections"}}


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    """A detector that finds squares by their colours."""
    keras.utils.set_random_seed(0)
    images, boxes, labels = squares(256, seed=0)
    model = detector(filters=16)
    model.compile(keras.optimizers.Adam(5e-3), FCOSLoss())
    model.fit(images, detection_targets(boxes, labels, model, reach=2), batch_size=16, epochs=12, verbose=0)
    return with_detections(model, COUNT)


def right(found: dict[str, np.ndarray], boxes: list[np.ndarray], labels: list[np.ndarray]) -> float:
    """The share of objects that one of the two best detections is right about: its class, and an IoU of a half."""
    hits = []
    for image, objects in enumerate(zip(boxes, labels, strict=True)):
        for box, label in zip(*objects, strict=True):
            hits.append(
                any(found["classes"][image, i] == label and iou(found["boxes"][image, i], box) > 0.5 for i in range(2))
            )
    return float(np.mean(hits))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = np.prod(np.maximum(sides, 0))
    return float(shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared))


@pytest.mark.parametrize(
    "mode", [None, "selective", *(case(mode, slow=True) for mode in ("float16", "dynamic", "int8"))]
)
def test_tflite_files_find_what_keras_finds(trained: keras.Model, mode: str | None, tmp_path: Path) -> None:
    images, *_ = squares(64, seed=1)
    options = DECODING.get(str(mode), {}) | ({"calibration_data": images} if mode in ("int8", "selective") else {})
    artifact = to_tflite(trained, tmp_path / "model.tflite", quantize=mode, verification_data=images[:16], **options)
    assert artifact.parity.passed
    check_found(artifact, trained, 1e-3 if mode is None else None)
    # Files of both 8-bit modes have operations in floats, too.
    assert Artifact.open(artifact.path).quantize == inspect(artifact.path).quantize == mode


def test_16_bits_are_refused(trained: keras.Model, tmp_path: Path) -> None:
    """LiteRT has no operation that chooses the best of them."""
    with pytest.raises(ValueError, match=r"^quantize='int16x8' does not support .* Received: the layer 'detections'"):
        to_tflite(trained, tmp_path / "model.tflite", quantize="int16x8", calibration_data=squares(8, seed=1)[0])


@pytest.mark.parametrize("mode", [None, *(case(mode, slow=True) for mode in ("float16", "int8"))])
def test_onnx_files_find_what_keras_finds(trained: keras.Model, mode: str | None, tmp_path: Path) -> None:
    images, *_ = squares(64, seed=1)
    options: dict[str, Any] = {} if mode != "int8" else {"calibration_data": images}
    artifact = to_onnx(trained, tmp_path / "model.onnx", quantize=mode, verification_data=images[:16], **options)
    assert artifact.parity.passed
    check_found(artifact, trained, 1e-3 if mode is None else None)


def test_a_saved_model_finds_what_keras_finds(trained: keras.Model, tmp_path: Path) -> None:
    artifact = to_saved_model(trained, tmp_path / "model", verification_data=squares(16, seed=1)[0])
    check_found(artifact, trained, 1e-3)


def test_signatures_of_a_saved_model_are_compared_so_too(tmp_path: Path) -> None:
    model = with_detections(detector(r=None), COUNT)
    randomise(model)
    model.preprocessing = Preprocessing(size=(64, 64), classes=CLASSES)
    artifact = to_saved_model(model, tmp_path / "model", signatures=("uint8",))
    assert artifact.parity.passed


def check_found(artifact: Artifact, model: keras.Model, tolerance: float | None) -> None:
    images, boxes, labels = squares(50, seed=2)
    found, expected = artifact.predict(images), model.predict(images, verbose=0)
    assert {name: x.shape for name, x in found.items()} == {name: x.shape for name, x in expected.items()}
    assert right(expected, boxes, labels) > 0.9
    assert right(found, boxes, labels) > right(expected, boxes, labels) - 0.03
    if tolerance is not None:
        for name in found:
            np.testing.assert_allclose(found[name], expected[name], atol=tolerance, rtol=tolerance)


# How files are compared


@pytest.fixture(scope="module")
def untrained() -> InferenceModel:
    return InferenceModel(with_detections(detector(), COUNT))


def outputs(images: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 30, (images, COUNT, 2))
    return {
        "boxes": np.concatenate([corners, corners + rng.uniform(5, 30, corners.shape)], axis=-1),
        "scores": np.tile([0.9, 0.899, 0.5, 0.4, 0.01, 0.009], (images, 1)),
        "classes": rng.integers(0, CLASSES, (images, COUNT)),
    }


def exchanged(found: dict[str, np.ndarray], names: tuple[str, ...], order: list[int]) -> dict[str, np.ndarray]:
    return found | {name: found[name][:, order] for name in names}


def parity_error(model: InferenceModel, reference: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> float:
    expected, actual = comparable(model, reference, found)
    return compare(expected, actual, quantize="int8").error


def test_the_order_of_close_scores_does_not_matter(untrained: InferenceModel) -> None:
    reference = outputs()
    found = exchanged(reference, ("boxes", "classes"), [1, 0, 2, 3, 5, 4])
    assert compare(reference, found, quantize="int8").error > 0.3
    assert parity_error(untrained, reference, found) < 0.01
    assert parity_error(untrained, reference, reference) == 0


def test_places_without_an_object_hardly_matter(untrained: InferenceModel) -> None:
    reference, other = outputs(), outputs(seed=1)
    found = {name: np.concatenate([reference[name][:, :4], other[name][:, 4:]], axis=1) for name in reference}
    assert parity_error(untrained, reference, found) < 0.03


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found | {"boxes": found["boxes"] + 8},
        lambda found: found | {"boxes": found["boxes"][..., [1, 0, 3, 2]]},
        lambda found: found | {"classes": (found["classes"] + 1) % CLASSES},
        lambda found: found | {"scores": found["scores"] * 0.5},
        lambda found: {name: x[::-1] for name, x in found.items()},  # another image's
        lambda found: exchanged(found, ("boxes",), [3, 2, 1, 0, 4, 5]),  # boxes of one, classes of another
        lambda found: exchanged(found, ("scores",), [3, 2, 1, 0, 4, 5]),
        lambda found: exchanged(found, ("boxes", "scores", "classes"), [3, 2, 1, 0, 4, 5]),  # not the best first
        lambda found: {name: np.broadcast_to(x[:1], x.shape) for name, x in found.items()},
        lambda found: found | {"scores": np.full_like(found["scores"], np.nan)},
        lambda found: found | {"boxes": np.full_like(found["boxes"], np.nan)},
    ],
)
def test_what_is_wrong_is_seen(untrained: InferenceModel, damage: Callable[[dict], dict]) -> None:
    assert parity_error(untrained, outputs(), damage(outputs())) > 0.2


def test_classes_are_no_quantities(untrained: InferenceModel) -> None:
    """Of 80: neither are neighbours alike, nor is one other class in many, far off by number, all there is."""
    reference = outputs()
    reference["classes"] = np.random.default_rng(0).integers(0, 80, reference["classes"].shape)
    assert parity_error(untrained, reference, reference | {"classes": reference["classes"] ^ 1}) > 0.2
    found = {name: value.copy() for name, value in reference.items()}
    least = np.unravel_index(reference["scores"].argmin(), reference["scores"].shape)
    found["classes"][least] = (found["classes"][least] + 40) % 80
    assert parity_error(untrained, reference, found) < 0.1


def test_the_rounding_of_scores_is_not_all_that_is_judged(untrained: InferenceModel) -> None:
    """A detector that is not sure of anything: scores of a hundredth tell as much."""
    reference = outputs()
    reference["scores"] = reference["scores"] / 100
    found = reference | {"boxes": reference["boxes"] + 8}
    assert parity_error(untrained, reference, found) > 0.2


def test_other_outputs_stay_as_they_are() -> None:
    model = detector()
    decoded = with_detections(model, COUNT)
    both = InferenceModel(keras.Model(model.input, {**decoded.output, "raw": model.output}))
    reference = outputs() | {"raw": np.random.default_rng(0).normal(size=(4, 80, 8))}
    found = exchanged(reference, ("boxes", "classes"), [1, 0, 2, 3, 4, 5])
    _, actual = comparable(both, reference, found)
    np.testing.assert_array_equal(actual["raw"], reference["raw"])
    assert parity_error(both, reference, found) < 0.01
    assert parity_error(both, reference, found | {"raw": -found["raw"]}) > 0.5


def test_a_detector_in_a_model_is_one_too(untrained: InferenceModel) -> None:
    image = keras.Input((64, 64, 3))
    outer = InferenceModel(keras.Model(image, untrained.model(keras.layers.Rescaling(2.0)(image))))
    reference = outputs()
    assert parity_error(outer, reference, exchanged(reference, ("boxes", "classes"), [1, 0, 2, 3, 4, 5])) < 0.01


def test_models_without_detections_are_compared_as_they_are() -> None:
    model = InferenceModel(detector())
    reference = {"predictions": np.zeros((2, 80, 8))}
    assert comparable(model, reference, reference)[1] is reference


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    """One of other weights, on images with random contents."""
    model, other = (with_detections(detector(r=None), COUNT) for _ in range(2))
    for seed, one in enumerate((model, other)):
        randomise(one, seed)
    artifact = to_tflite(model, tmp_path / "model.tflite")
    assert artifact.parity.passed
    assert verify(artifact.path, model).parity.passed
    assert not verify(artifact.path, other).parity.passed
