"""Data that come in beside the model: calibration, images, labels, evaluation. May import the frontend."""
