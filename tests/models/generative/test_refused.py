"""What the sampler and what it takes refuse, each in one sentence that ends in what was received."""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.models.generative import SEDiffusionUNet, calibration_inputs, ddim_step, sample, step_model


def network(classes: int | None = 3) -> keras.Model:
    return SEDiffusionUNet((8, 8, 1), classes, filters=(4,), depths=(1,))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def of_inputs(**shapes: tuple) -> keras.Model:
    """A model of inputs by name, whose output is the first of them."""
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    return keras.Model(inputs, keras.layers.Identity()(next(iter(inputs.values()))), name="mine")


def refused(call: Callable[[], object], message: str) -> None:
    """In a sentence that is this from its beginning to its end."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


# Models


UNNAMED = "'mine' with no inputs by name"
MODELS: list[tuple[Callable[[], Any], str]] = [
    (lambda: keras.Sequential([keras.Input((8, 8, 1)), keras.layers.ReLU()], name="mine"), UNNAMED),
    (lambda: keras.Sequential([keras.layers.ReLU()], name="mine"), UNNAMED),
    (lambda: of_inputs(image=(8, 8, 1)), "'mine' with the inputs ['image']"),
    (lambda: of_inputs(picture=(8, 8, 1), time=(1,)), "'mine' with the inputs ['picture', 'time']"),
    (lambda: of_inputs(image=(8, 8, 1), time=(1,), text=(4,)), "'mine' with the inputs ['image', 'text', 'time']"),
    (lambda: "unet", "'unet'"),
    (lambda: None, "None"),
]
EACH_MODEL = pytest.mark.parametrize(("build", "received"), MODELS)
BY_NAME = "by name, and also label if it has classes. Received:"


@EACH_MODEL
def test_a_step_model_is_of_a_network(build: Callable[[], Any], received: str) -> None:
    message = f"network must be a model with the inputs (image, time) {BY_NAME} network={received}"
    refused(lambda: step_model(build()), message)


@EACH_MODEL
def test_calibration_is_of_a_network_or_a_step(build: Callable[[], Any], received: str) -> None:
    message = f"model must be a model with the inputs (image, time) or (image, time, next_time) {BY_NAME} "
    refused(lambda: calibration_inputs(build(), noise(2, 8, 8, 1), steps=1), f"{message}model={received}")


def test_a_network_is_no_step_and_a_step_no_network() -> None:
    names = "'se_diffusion_unet' with the inputs ['image', 'label', 'time']"
    message = f"step must be a model with the inputs (image, time, next_time) {BY_NAME} step={names}"
    refused(lambda: sample(network(), noise(3, 8, 8, 1), np.eye(3)), message)
    names = "'se_diffusion_unet_step' with the inputs ['image', 'label', 'next_time', 'time']"
    message = f"network must be a model with the inputs (image, time) {BY_NAME} network={names}"
    for make in (step_model, ddim_step):
        refused(lambda make=make: make(step_model(network())), message)


@pytest.mark.parametrize("what", ["unet", None, 3])
def test_what_is_neither_a_model_nor_a_function(what: Any) -> None:
    message = f"must be a model or a function of arrays by name. Received: {{}}={what!r}"
    refused(lambda: ddim_step(what), f"network {message.format('network')}")
    refused(lambda: sample(what, noise(2, 8, 8, 1), steps=1), f"step {message.format('step')}")


@pytest.mark.parametrize("guidance", ["1", None, float("nan")])
def test_guidance_is_a_number(guidance: Any) -> None:
    message = f"guidance must be a finite number. Received: guidance={guidance!r}"
    refused(lambda: ddim_step(network(), guidance=guidance), message)


@pytest.mark.parametrize("shape", [8, None, "88"])
def test_an_image_shape_is_a_tuple(shape: Any) -> None:
    refused(lambda: SEDiffusionUNet(shape), f"input_shape must be a tuple. Received: input_shape={shape!r}")


def test_a_networks_output_must_be_a_velocity() -> None:
    """DDIMStep's own sentence: there it is known what it gets."""
    inputs = {"image": keras.Input((8, 8, 1), name="image"), "time": keras.Input((1,), name="time")}
    other = keras.Model(inputs, keras.layers.Conv2D(3, 1)(inputs["image"]))
    with pytest.raises(ValueError, match=r"^DDIMStep requires four inputs, .* Received: input_shape=\[.*\]$"):
        step_model(other)


# Arrays

ARRAYS: list[tuple[tuple[int, ...], Any, str]] = [
    ((8, 8, 1), np.eye(3), "noise must be an array (samples, height, width, channels) of one sample or more. "
     "Received: shape (8, 8, 1)"),
    ((0, 8, 8, 1), np.zeros((0, 3)), "noise must be an array (samples, height, width, channels) of one sample or more. "
     "Received: shape (0, 8, 8, 1)"),
    ((3, 8, 8, 1), np.eye(3)[:2], "label must be an array (samples, classes) for 3 samples, one-hot. "
     "Received: shape (2, 3)"),
    ((3, 8, 8, 1), [0, 1, 2], "label must be an array (samples, classes) for 3 samples, one-hot. "
     "Received: shape (3,)"),
    ((3, 8, 8, 1), 2 * np.eye(3), "label must have values from 0 to 1, one-hot or zeros. "
     "Received: values from 0 to 2"),
    ((3, 8, 8, 1), np.eye(3) - 0.5, "label must have values from 0 to 1, one-hot or zeros. "
     "Received: values from -0.5 to 0.5"),
    ((3, 8, 8, 1), np.full((3, 3), np.nan), "label must have values from 0 to 1, one-hot or zeros. "
     "Received: values from nan to nan"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "label", "message"), ARRAYS)
def test_arrays_that_no_step_takes(shape: tuple[int, ...], label: Any, message: str) -> None:
    refused(lambda: sample(lambda inputs: inputs["image"], noise(*shape), label), message)
    refused(lambda: calibration_inputs(network(), noise(*shape), label, steps=1), message)


OF_A_MODEL: list[tuple[tuple[int, ...], Any, str]] = [
    ((3, 8, 8, 2), np.eye(3), "image (noise in the first step) must have the shape (samples, 8, 8, 1) for {name!r}. "
     "Received: shape (3, 8, 8, 2)"),
    ((3, 4, 8, 1), np.eye(3), "image (noise in the first step) must have the shape (samples, 8, 8, 1) for {name!r}. "
     "Received: shape (3, 4, 8, 1)"),
    ((3, 8, 8, 1), np.eye(4)[:3], "label must have the shape (samples, 3) for {name!r}. Received: shape (3, 4)"),
    ((3, 8, 8, 1), None, "{name!r} requires the inputs {names}. Received: {others}"),
]  # fmt: skip


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("shape", "label", "message"), OF_A_MODEL)
def test_arrays_that_this_model_does_not_take(shape: tuple[int, ...], label: Any, message: str, whole: bool) -> None:
    model = step_model(network()) if whole else network()
    names = sorted(model.input)
    message = message.format(name=model.name, names=names, others=[name for name in names if name != "label"])
    refused(lambda: sample(model if whole else ddim_step(model), noise(*shape), label), message)
    refused(lambda: calibration_inputs(model, noise(*shape), label, steps=1), message)


def test_labels_for_a_network_without_classes() -> None:
    message = "'se_diffusion_unet' requires the inputs ['image', 'time']. Received: ['image', 'label', 'time']"
    refused(lambda: sample(ddim_step(network(None)), noise(3, 8, 8, 1), np.eye(3)), message)


def test_noise_of_any_size_for_a_network_of_any_size() -> None:
    step = step_model(SEDiffusionUNet((None, None, 1), filters=(4,), depths=(1,)))
    assert sample(step, noise(2, 6, 10, 1), steps=1).shape == (2, 6, 10, 1)
    message = "image (noise in the first step) must have the shape (samples, None, None, 1) for "
    message += "'se_diffusion_unet_step'. Received: shape (2, 6, 10, 3)"
    refused(lambda: sample(step, noise(2, 6, 10, 3), steps=1), message)


def test_labels_of_no_class_and_of_two() -> None:
    """Zeros, and something in between, are no mistake."""
    label = np.array([[0, 0, 0], [0.5, 0.5, 0], [0, 0, 1]])
    assert sample(step_model(network()), noise(3, 8, 8, 1), label, steps=1).shape == (3, 8, 8, 1)
