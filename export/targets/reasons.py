"""Verdicts and their reasons."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Reason:
    """Why a file does not fit a target.

    Attributes:
        problem: The problem, in a sentence.
        where: The name of the operation or the tensor in the file; empty for the file as a whole.
        action: The remedy, in a sentence.
        source: The document or the program that states the rule.
    """

    problem: str
    where: str
    action: str
    source: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem} {self.action}" if self.where else f"{self.problem} {self.action}"


@dataclass(frozen=True)
class Verdict:
    """Whether a file fits a target.

    Attributes:
        target: The name of the target.
        reasons: Why the file does not fit; empty if it fits.
    """

    target: str
    reasons: tuple[Reason, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"target": self.target, "passed": self.passed, "reasons": [asdict(reason) for reason in self.reasons]}
