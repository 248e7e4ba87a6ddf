"""Images from noise: a denoising network with SE, what it learns from, and the sampler that a file can be part of."""

from keras_se.models.generative.ddim import DDIMStep, step_model
from keras_se.models.generative.diffusion_unet import SEDiffusionUNet
from keras_se.models.generative.noisy_images import NoisyImages
from keras_se.models.generative.sampling import calibration_inputs, ddim_step, sample
from keras_se.models.generative.schedule import cosine_schedule
from keras_se.models.generative.time_embedding import SinusoidalEmbedding

__all__ = [
    "DDIMStep",
    "NoisyImages",
    "SEDiffusionUNet",
    "SinusoidalEmbedding",
    "calibration_inputs",
    "cosine_schedule",
    "ddim_step",
    "sample",
    "step_model",
]
