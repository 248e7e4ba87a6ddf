"""Diffusion models, which make images from noise: a denoising network with SE, its training data, and the sampler."""

from keras_se.models.generative.diffusion_unet import SEDiffusionUNet
from keras_se.models.generative.noisy_images import NoisyImages
from keras_se.models.generative.sampling import calibration_inputs, ddim_step, sample
from keras_se.models.generative.step import step_model

__all__ = ["NoisyImages", "SEDiffusionUNet", "calibration_inputs", "ddim_step", "sample", "step_model"]
