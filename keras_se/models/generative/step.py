"""A network and the step of the sampler in one model."""

import keras

from keras_se.layers import DDIMStep


def step_model(network: keras.Model, *, clip: bool = True, name: str | None = None) -> keras.Model:
    """A network and a step of DDIM as one model: a device makes images by calling one file in a loop.

    Example:

    >>> from keras_se.models.generative import SEDiffusionUNet, step_model
    >>> step = step_model(SEDiffusionUNet((8, 8, 1), classes=10, filters=(4, 8), depths=(1, 1)))
    >>> sorted(step.input), step.output_shape
    (['image', 'label', 'next_time', 'time'], (None, 8, 8, 1))

    Args:
        network: What `SEDiffusionUNet` returned, or a model with the same inputs and output. Its weights are shared.
        clip: As in `DDIMStep`.
        name: The model's name; `<the network's>_step` by default.

    Returns:
        A functional `keras.Model`: the network's inputs and `next_time` (batch, 1) → the image at that time.
    """
    inputs = {key: keras.Input(x.shape[1:], name=key) for key, x in network.input.items()}
    velocity = network(inputs)
    inputs["next_time"] = keras.Input((1,), name="next_time")
    step = DDIMStep(clip=clip, dtype=velocity.dtype, name="ddim")
    output = step([inputs["image"], velocity, inputs["time"], inputs["next_time"]])
    return keras.Model(inputs, output, name=name or f"{network.name}_step")
