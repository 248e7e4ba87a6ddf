"""What the gates of squeeze-and-excitation blocks do: recorded, summed up, and drawn."""

from keras_se.excitation.record import Gates, Recording, record
from keras_se.excitation.summary import BlockSummary, Summary, summarize

__all__ = ["BlockSummary", "Gates", "Recording", "Summary", "record", "summarize"]
