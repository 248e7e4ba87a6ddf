"""What a verdict consists of."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Reason:
    """What is wrong with a file for a target.

    Attributes:
        problem: What is wrong, a sentence.
        where: The operation or the tensor, by its name in the file; empty if it is the file as a whole.
        action: What to do, a sentence.
        source: The document, or the program, that says so.
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
        target: Its name.
        reasons: Why it does not: none, if it does.
    """

    target: str
    reasons: tuple[Reason, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"target": self.target, "passed": self.passed, "reasons": [asdict(reason) for reason in self.reasons]}
