"""Joins a denoising network and the sampler's step into one model, for export as one file."""

import keras

from keras_se.layers import DDIMStep
from keras_se.models.generative.inputs import NETWORK, NEXT, check_inputs


def step_model(network: keras.Model, *, clip: bool = True, name: str | None = None) -> keras.Model:
    """A network and a step of DDIM as one model. Exported, it makes images on a device by calling one file in a loop.

    Example:

    >>> from keras_se.models.generative import SEDiffusionUNet, step_model
    >>> step = step_model(SEDiffusionUNet((8, 8, 1), classes=10, filters=(4, 8), depths=(1, 1)))
    >>> sorted(step.input), step.output_shape
    (['image', 'label', 'next_time', 'time'], (None, 8, 8, 1))

    Args:
        network: A model made by `SEDiffusionUNet`, or one with the same inputs and output. Weights are shared.
        clip: As in `DDIMStep`.
        name: The model's name; `<the network's>_step` by default.

    Returns:
        A functional `keras.Model`: the network's inputs and `next_time` (batch, 1) → the image at that time.

    Raises:
        ValueError: for a model with other inputs, or with an output that does not have the shape of the image.
    """
    check_inputs("network", network, NETWORK)
    inputs = {key: keras.Input(x.shape[1:], name=key) for key, x in network.input.items()}
    velocity = network(inputs)
    inputs[NEXT] = keras.Input((1,), name=NEXT)
    step = DDIMStep(clip=clip, dtype=velocity.dtype, name="ddim")
    output = step([inputs["image"], velocity, inputs["time"], inputs[NEXT]])
    return keras.Model(inputs, output, name=name or f"{network.name}_step")
