"""Records, summarizes and plots the gates of squeeze-and-excitation blocks. Imports complexity, graph and layers."""

from keras_se.excitation.overlay import plot_overlay
from keras_se.excitation.plots import plot_classes, plot_means, plot_saturation, plot_spread
from keras_se.excitation.record import Gates, Recording, record
from keras_se.excitation.summary import BlockSummary, Summary, summarize

__all__ = [
    "BlockSummary",
    "Gates",
    "Recording",
    "Summary",
    "plot_classes",
    "plot_means",
    "plot_overlay",
    "plot_saturation",
    "plot_spread",
    "record",
    "summarize",
]
