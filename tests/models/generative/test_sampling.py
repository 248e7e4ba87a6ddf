"""The sampler: against data for which the best network is known, through models, and what it calls."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se.models.generative import SEDiffusionUNet, calibration_inputs, ddim_step, sample, step_model
from tests.support import numpy_diffusion
from tests.support.arrays import error

SHAPE = (4, 4, 2)
Velocity = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, *SHAPE)).astype("float32")


# A way, for data of which the best network is known


def best_velocity(inputs: Mapping[str, np.ndarray], mean: np.ndarray, deviation: float) -> np.ndarray:
    """Of normal data: what image and noise are expected of a noisy image."""
    signal, share = (part[:, None, None] for part in numpy_diffusion.schedule(inputs["time"]))
    distance = np.float64(inputs["image"]) - signal * mean
    variance = (deviation * signal) ** 2 + share**2
    image, epsilon = mean + deviation**2 * signal / variance * distance, share / variance * distance
    return signal * epsilon - share * image


@pytest.mark.parametrize("steps", [1, 2, 25])
@pytest.mark.parametrize("clip", [True, False])
def test_a_single_image_is_found_from_any_noise(steps: int, clip: bool) -> None:
    image = np.random.default_rng(2).uniform(-1, 1, SHAPE)
    step = ddim_step(partial(best_velocity, mean=image, deviation=0.0), clip=clip)
    np.testing.assert_allclose(sample(step, noise(5), steps=steps), np.broadcast_to(image, (5, *SHAPE)), atol=1e-5)


@pytest.mark.parametrize("steps", [1, 4, 25])
def test_of_normal_data_the_map_is_linear_and_known(steps: int) -> None:
    """In each step the distance to signal · mean is multiplied by (a a' d² + b b') / (a² d² + b²)."""
    mean, deviation, factor = np.random.default_rng(3).uniform(-1, 1, SHAPE), 0.3, 1.0
    times = np.linspace(1, 0, steps + 1)
    for time, next_time in pairwise(times):
        (a, b), (c, d) = numpy_diffusion.schedule(time), numpy_diffusion.schedule(next_time)
        factor *= (a * c * deviation**2 + b * d) / (a**2 * deviation**2 + b**2)
    step = ddim_step(partial(best_velocity, mean=mean, deviation=deviation), clip=False)
    found = sample(step, noise(5), steps=steps)
    np.testing.assert_allclose(found, mean + factor * noise(5), atol=1e-5)


def test_with_many_steps_samples_are_distributed_like_the_data() -> None:
    """Without noise in between the map tends to mean + deviation · noise, with an error in proportion to 1 / steps."""
    mean, deviation = 0.2, 0.3
    step = ddim_step(partial(best_velocity, mean=np.full(SHAPE, mean), deviation=deviation), clip=False)
    errors = [error(sample(step, noise(2), steps=n), mean + deviation * noise(2)) for n in (50, 100, 200)]
    assert errors[2] < 0.02
    assert [1.6 < errors[i] / errors[i + 1] < 2.4 for i in (0, 1)] == [True, True]


def test_clipping_holds_images_in_their_range() -> None:
    step = ddim_step(lambda inputs: np.full_like(inputs["image"], 3.0), clip=True)
    assert np.abs(sample(step, noise(4), steps=7)).max() <= 1
    step = ddim_step(lambda inputs: np.full_like(inputs["image"], 3.0), clip=False)
    assert np.abs(sample(step, noise(4), steps=7)).max() > 1


# Guidance


def test_guidance_goes_on_from_no_label_past_the_label() -> None:
    asked = []

    def network(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        asked.append(inputs["label"].copy())
        assert set(inputs) == {"image", "time", "label"}
        return inputs["label"].sum(axis=-1)[:, None, None, None] * np.ones_like(inputs["image"]) + 0.25

    inputs = {"image": noise(2), "time": np.full((2, 1), 0.8), "next_time": np.full((2, 1), 0.4), "label": np.eye(2)}
    guided = ddim_step(network, clip=False, guidance=2.0)(inputs)
    np.testing.assert_allclose(
        guided, numpy_diffusion.step(noise(2), np.float64(3 * 1.25 - 2 * 0.25), 0.8, 0.4, False), atol=1e-5
    )
    np.testing.assert_array_equal(asked, [np.eye(2), np.zeros((2, 2))])
    plain = ddim_step(network, clip=False)(inputs)
    np.testing.assert_allclose(plain, numpy_diffusion.step(noise(2), 1.25, 0.8, 0.4, False), atol=1e-5)
    assert len(asked) == 3


def test_guidance_without_labels_is_refused() -> None:
    step = ddim_step(lambda inputs: inputs["image"], guidance=1.0)
    with pytest.raises(ValueError, match=r"guidance requires labels\. Received: guidance=1\.0"):
        sample(step, noise(2))


# The loop


def test_the_loop_goes_from_one_to_zero() -> None:
    seen = []

    def step(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        seen.append((inputs["time"], inputs["next_time"], inputs["label"]))
        return inputs["image"] + 1

    found = sample(step, noise(3), np.eye(3), steps=4)
    np.testing.assert_allclose(found, noise(3) + 4, atol=1e-6)
    assert [float(time[0, 0]) for time, _, _ in seen] == [1.0, 0.75, 0.5, 0.25]
    assert [float(time[0, 0]) for _, time, _ in seen] == [0.75, 0.5, 0.25, 0.0]
    assert {time.shape for time, _, _ in seen} == {(3, 1)}
    assert all(np.array_equal(label, np.eye(3)) for _, _, label in seen)


@pytest.mark.parametrize("steps", [0, 2.5, None])
def test_steps_must_be_a_positive_integer(steps: object) -> None:
    with pytest.raises(ValueError, match=r"steps must be a positive integer\. Received: steps="):
        sample(lambda inputs: inputs["image"], noise(1), steps=steps)  # type: ignore[arg-type]


# A model that does a step


def network(**options: object) -> keras.Model:
    return SEDiffusionUNet((8, 8, 1), **({"classes": 3, "filters": (4, 8), "depths": (1, 1)} | options))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(4).standard_normal((count, 8, 8, 1)).astype("float32")


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("classes", [3, None])
def test_a_step_model_makes_what_the_network_makes(classes: int | None, clip: bool, tmp_path: Path) -> None:
    model = network(classes=classes)
    label = None if classes is None else np.eye(3)
    step = step_model(model, clip=clip)
    assert step.name == "se_diffusion_unet_step"
    assert set(step.input) == {*model.input, "next_time"}
    expected = sample(ddim_step(model, clip=clip), images(3), label, steps=3)
    np.testing.assert_allclose(sample(step, images(3), label, steps=3), expected, atol=1e-5)
    step.save(tmp_path / "step.keras")
    loaded = keras.saving.load_model(tmp_path / "step.keras")  # in safe mode, which is the default
    np.testing.assert_allclose(sample(loaded, images(3), label, steps=3), expected, atol=1e-5)


@pytest.mark.parametrize("package", ["keras_se", "keras_se.export"])
def test_importing_the_package_is_enough_to_load_one(package: str, tmp_path: Path) -> None:
    step_model(network()).save(tmp_path / "step.keras")
    program = f"import keras, {package}; keras.saving.load_model({str(tmp_path / 'step.keras')!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_step_model_computes_in_float32_whatever_its_network_does() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    step = step_model(network(), name="one")
    assert step.name == "one"
    assert keras.backend.standardize_dtype(step.output.dtype) == "float32"
    assert step.get_layer("ddim").compute_dtype == "float32"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_step_is_in_floats_whatever_the_network_is_in(policy: str) -> None:
    """In half precision 25 roundings of the image would add up to hundredths."""
    keras.config.set_dtype_policy(policy)
    model = network()
    found = sample(ddim_step(model), images(3), np.eye(3))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, sample(step_model(model), images(3), np.eye(3)), atol=1e-3)
    zero = ddim_step(lambda inputs: np.zeros_like(inputs["image"]), clip=False)
    step = zero({"image": images(3), "time": np.full((3, 1), 0.5), "next_time": np.full((3, 1), 0.4)})
    np.testing.assert_allclose(step, numpy_diffusion.step(images(3), 0 * images(3), 0.5, 0.4, False), atol=1e-6)


# What a file is calibrated with


@pytest.mark.parametrize("whole", [True, False])
def test_calibration_inputs_are_those_of_the_way(whole: bool) -> None:
    model = step_model(network()) if whole else network()
    asked: list[Mapping[str, np.ndarray]] = []
    step = model if whole else ddim_step(model)

    def watched(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        asked.append(inputs)
        return step.predict_on_batch(inputs) if whole else step(inputs)

    sample(watched, images(3), np.eye(3), steps=4)
    found = calibration_inputs(model, images(3), np.eye(3), steps=4)
    assert list(found) == list(model.input)
    order = np.lexsort((found["label"] @ [0, 1, 2], -found["time"][:, 0]))
    for name, values in found.items():
        np.testing.assert_allclose(values[order], np.concatenate([inputs[name] for inputs in asked]), atol=1e-6)
    assert len(set(found["time"][:8, 0])) > 2  # exports verify on the first ones
