"""The sampling loop, which makes images with a Keras model or an exported file."""

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
    check_images,
    check_inputs,
    check_labels,
)

# Arrays by input name → an array: `predict_on_batch` of a Keras model, `predict` of an artifact.
Function = Callable[[Mapping[str, np.ndarray]], Any]
STEPS = 25


def ddim_step(network: Function | keras.Model, *, clip: bool = True, guidance: float = 0.0) -> Function:
    """Makes a step function of a network without the step, such as an exported file. The step is computed in floats.

    Example:

    >>> from keras_se.models.generative import SEDiffusionUNet, ddim_step
    >>> step = ddim_step(SEDiffusionUNet((8, 8, 1), filters=(4, 8), depths=(1, 1)))

    Args:
        network: A model like `SEDiffusionUNet`, or a function that computes the velocity from arrays by name: `image`,
            `time` and, with classes, `label`. For an exported file, `artifact.predict`.
        clip: As in `DDIMStep`.
        guidance: The strength of classifier-free guidance, a number: the velocity is
            (1 + guidance) · v(label) − guidance · v(no label). With a value other than 0, the network runs twice for
            each step, and samples show their class more clearly and vary less.

    Returns:
        A function: arrays by name, the network's inputs and `next_time` → the image at that time.

    Raises:
        ValueError: for a model with other inputs, a network that is not callable, or a guidance that is not a finite
            number. The returned function raises it for guidance without labels, and for arrays that do not fit the
            model.

    Reference:
        [Classifier-Free Diffusion Guidance](https://arxiv.org/abs/2207.12598), Ho and Salimans, equation 6.
    """
    if isinstance(network, keras.Model):
        check_inputs("network", network, NETWORK)
    if not (is_number(guidance) and math.isfinite(guidance)):
        raise ValueError(f"guidance must be a finite number. Received: guidance={guidance!r}")
    # Half precision has too few digits for many steps.
    predict, update = _function("network", network), DDIMStep(clip=clip, dtype=head_dtype())

    def step(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        arrays = {name: value for name, value in inputs.items() if name != NEXT}
        if guidance and "label" not in arrays:
            raise ValueError(f"guidance requires labels. Received: guidance={guidance}, with {sorted(arrays)}")
        velocity = np.asarray(predict(arrays))
        if guidance:
            unlabelled = np.asarray(predict(arrays | {"label": np.zeros_like(arrays["label"])}))
            velocity = (1 + guidance) * velocity - guidance * unlabelled
        images = update([inputs["image"], velocity, inputs["time"], inputs["next_time"]])
        return keras.ops.convert_to_numpy(images)

    return step


def sample(
    step: Function | keras.Model, noise: np.ndarray, label: np.ndarray | None = None, *, steps: int = STEPS
) -> np.ndarray:
    """Makes images from noise, in `steps` steps at even intervals from time 1 to time 0.

    Example:

    >>> import numpy as np
    >>> from keras_se.models.generative import SEDiffusionUNet, sample, step_model
    >>> step = step_model(SEDiffusionUNet((8, 8, 1), classes=10, filters=(4, 8), depths=(1, 1)))
    >>> noise = np.random.default_rng(0).standard_normal((3, 8, 8, 1))
    >>> sample(step, noise, np.eye(10)[:3], steps=2).shape  # images of the classes 0, 1 and 2, after training
    (3, 8, 8, 1)

    Args:
        step: A function from arrays by name, `image`, `time`, `next_time` and, with classes, `label`, to the image at
            the next time: a `step_model`, `predict` of its exported file, or the result of `ddim_step`.
        noise: Array (samples, height, width, channels), drawn from a standard normal distribution.
        label: Array (samples, classes), one-hot, or zeros for images of no class.
        steps: Positive integer, the number of steps.

    Returns:
        Array of the shape of `noise`, with values from −1 to 1 if steps are clipped.

    Raises:
        ValueError: for an argument out of its range, a step that is not callable, and noise or labels that do not fit
            the model.
    """
    if isinstance(step, keras.Model):
        check_inputs("step", step, STEP)
    *_, (_, images) = _trajectory(step, noise, label, steps)
    return images


def calibration_inputs(
    model: keras.Model, noise: np.ndarray, label: np.ndarray | None = None, *, steps: int = STEPS, seed: int = 0
) -> dict[str, np.ndarray]:
    """The inputs of a model during sampling: calibration and verification data for its export.

    Example:

    >>> import numpy as np
    >>> from keras_se.models.generative import SEDiffusionUNet, calibration_inputs
    >>> model = SEDiffusionUNet((8, 8, 1), filters=(4, 8), depths=(1, 1))
    >>> inputs = calibration_inputs(model, np.random.default_rng(0).standard_normal((3, 8, 8, 1)), steps=5)
    >>> {name: array.shape for name, array in inputs.items()}
    {'image': (15, 8, 8, 1), 'time': (15, 1)}

    Args:
        model: A network like `SEDiffusionUNet`, or a `step_model`.
        noise, label, steps: As in `sample`.
        seed: The seed of the order, which is shuffled because exports verify a file on the first inputs.

    Returns:
        Arrays by the model's input names, of samples · steps rows.

    Raises:
        ValueError: for a model with other inputs, and as in `sample`.
    """
    check_inputs("model", model, NETWORK, STEP)
    step = model if NEXT in model.input else ddim_step(model)
    visited = [inputs for inputs, _ in _trajectory(step, noise, label, steps)]
    order = np.random.default_rng(seed).permutation(steps * len(noise))
    return {name: np.concatenate([inputs[name] for inputs in visited])[order] for name in model.input}


def _trajectory(
    step: Function | keras.Model, noise: np.ndarray, label: np.ndarray | None, steps: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Yields the inputs and the result of each step."""
    function, images = _function("step", step), np.asarray(noise, "float32")
    times = np.linspace(1, 0, positive_integer("steps", steps) + 1, dtype="float32")
    labels = {} if label is None else {"label": np.asarray(label, "float32")}
    check_images("noise", images)
    for values in labels.values():
        check_labels("label", values, len(images))
        if not np.all((values >= 0) & (values <= 1)):
            raise ValueError(
                "label must have values from 0 to 1, one-hot or zeros. "
                f"Received: values from {values.min():g} to {values.max():g}"
            )
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
