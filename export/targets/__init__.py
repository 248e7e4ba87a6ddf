"""Checks whether a file fits a target. May import `export.inspect` and probes."""

from keras_se.export.targets.check import verdict, verdicts
from keras_se.export.targets.reasons import Reason, Verdict

__all__ = ["Reason", "Verdict", "verdict", "verdicts"]
