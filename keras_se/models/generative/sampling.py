"""The loop that makes images, over a Keras model or an exported file."""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from keras_se._validation import is_number, positive_integer
from keras_se.layers import DDIMStep
from keras_se.models._shared.network import head_dtype
from keras_se.models.generative.inputs import (
    NETWORK,
    NEXT,
    STEP,
    check_arrays,
    check_inputs,
    check_label,
    check_noise,
)

# Arrays by input name → an array: a Keras model's `predict_on_batch`, an artifact's `predict`.
Function = Callable[[Mapping[str, np.ndarray]], Any]
STEPS = 25


def ddim_step(network: Function | keras.Model, *, clip: bool = True, guidance: float = 0.0) -> Function:
    """The step function of a network that is alone in its file; the arithmetic of the step is done here, in floats.

    Example:

    >>> from keras_se.models.generative import SEDiffusionUNet, ddim_step
    >>> step = ddim_step(SEDiffusionUNet((8, 8, 1), filters=(4, 8), depths=(1, 1)))

    Args:
        network: A model like `SEDiffusionUNet`, or anything that computes the velocity of arrays by name: `image`,
            `time` and perhaps `label`. Of an exported file it is `artifact.predict`.
        clip: As in `DDIMStep`.
        guidance: How far to go beyond what the network says of the label, away from what it says of no class:
            (1 + guidance) · v(label) − guidance · v(no label). Other than 0, it asks the network twice for each step,
            and samples are surer of their class, and less varied.

    Returns:
        A function of arrays by name, the network's and `next_time`, → the image at that time.

    Raises:
        ValueError: for a model of other inputs, what is no function, or guidance that is no number; and when the
            function is called for guidance without labels, or with arrays that the model does not take.

    Reference:
        [Classifier-Free Diffusion Guidance](https://arxiv.org/abs/2207.12598), Ho and Salimans, equation 6.
    """
    if isinstance(network, keras.Model):
        check_inputs("network", network, NETWORK)
    if not (is_number(guidance) and math.isfinite(guidance)):
        raise ValueError(f"guidance must be a number. Received: guidance={guidance!r}")
    # Half precision has too few digits for a way of many steps.
    predict, update = _function("network", network), DDIMStep(clip=clip, dtype=head_dtype())

    def step(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        asked = {name: value for name, value in inputs.items() if name != NEXT}
        if guidance and "label" not in asked:
            raise ValueError(f"guidance goes with labels. Received: guidance={guidance}, with {sorted(asked)}")
        velocity = np.asarray(predict(asked))
        if guidance:
            unlabelled = np.asarray(predict(asked | {"label": np.zeros_like(asked["label"])}))
            velocity = (1 + guidance) * velocity - guidance * unlabelled
        images = update([inputs["image"], velocity, inputs["time"], inputs["next_time"]])
        return keras.ops.convert_to_numpy(images)

    return step


def sample(
    step: Function | keras.Model, noise: np.ndarray, label: np.ndarray | None = None, *, steps: int = STEPS
) -> np.ndarray:
    """Makes images of noise: `steps` times a step, at even distances from time 1 to time 0.

    Example:

    >>> import numpy as np
    >>> from keras_se.models.generative import SEDiffusionUNet, sample, step_model
    >>> step = step_model(SEDiffusionUNet((8, 8, 1), classes=10, filters=(4, 8), depths=(1, 1)))
    >>> noise = np.random.default_rng(0).standard_normal((3, 8, 8, 1))
    >>> sample(step, noise, np.eye(10)[:3], steps=2).shape  # a 0, a 1 and a 2, if it were trained
    (3, 8, 8, 1)

    Args:
        step: A step function of arrays by name, `image`, `time`, `next_time` and perhaps `label`, → the image at the
            next time: a `step_model`, the `predict` of its exported file, or what `ddim_step` returned.
        noise: Normal array (samples, height, width, channels).
        label: Array (samples, classes), one-hot; with zeros instead for images of no class.
        steps: Positive integer.

    Returns:
        Array of the shape of `noise`, from −1 to 1 if steps are clipped.

    Raises:
        ValueError: for an argument out of its range, what is no function, and noise or labels that a model does not
            take.
    """
    if isinstance(step, keras.Model):
        check_inputs("step", step, STEP)
    *_, (_, images) = _trajectory(step, noise, label, steps)
    return images


def calibration_inputs(
    model: keras.Model, noise: np.ndarray, label: np.ndarray | None = None, *, steps: int = STEPS, seed: int = 0
) -> dict[str, np.ndarray]:
    """What a model is given while it makes images: calibration and verification data for the export of that model.

    Example:

    >>> import numpy as np
    >>> from keras_se.models.generative import SEDiffusionUNet, calibration_inputs
    >>> model = SEDiffusionUNet((8, 8, 1), filters=(4, 8), depths=(1, 1))
    >>> inputs = calibration_inputs(model, np.random.default_rng(0).standard_normal((3, 8, 8, 1)), steps=5)
    >>> {name: array.shape for name, array in inputs.items()}
    {'image': (15, 8, 8, 1), 'time': (15, 1)}

    Args:
        model: A network like `SEDiffusionUNet`, or a `step_model`.
        noise, label, steps: As in `sample`. The model is given as many inputs for each.
        seed: Of their order, which is mixed: exports verify a file on the first ones.

    Returns:
        Arrays by the model's input names.

    Raises:
        ValueError: for a model of other inputs, and as `sample` does.
    """
    check_inputs("model", model, NETWORK, STEP)
    step = model if NEXT in model.input else ddim_step(model)
    visited = [inputs for inputs, _ in _trajectory(step, noise, label, steps)]
    order = np.random.default_rng(seed).permutation(steps * len(noise))
    return {name: np.concatenate([inputs[name] for inputs in visited])[order] for name in model.input}


def _trajectory(
    step: Function | keras.Model, noise: np.ndarray, label: np.ndarray | None, steps: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Of each step, what the step function is given and what it returns."""
    function, images = _function("step", step), np.asarray(noise, "float32")
    times = np.linspace(1, 0, positive_integer("steps", steps) + 1, dtype="float32")
    labels = {} if label is None else {"label": np.asarray(label, "float32")}
    check_noise(images)
    for values in labels.values():
        check_label(values, len(images))
    for time, next_time in pairwise(times):
        column = np.ones((len(images), 1), "float32")
        inputs = {"image": images, "time": time * column, NEXT: next_time * column, **labels}
        images = np.asarray(function(inputs))
        yield inputs, images


def _function(argument: str, model: Function | keras.Model) -> Function:
    if not callable(model):
        raise ValueError(f"{argument} must be a model or a function of arrays by name. Received: {argument}={model!r}")
    if not isinstance(model, keras.Model):
        return model

    def predict(inputs: Mapping[str, np.ndarray]) -> Any:
        check_arrays(model, inputs)
        return model.predict_on_batch(inputs)

    return predict
