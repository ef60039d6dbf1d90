"""Whether a retrained model may take its parent's place: no class falls by more than a margin."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Summary = Mapping[str, Any]
"""What `Confusion.summary` returns."""


@dataclass(frozen=True)
class Fall:
    """A class that the retrained model maps worse than its parent, by more than the margin.

    Attributes:
        on: What both were measured on.
        name: Of the class.
        before: IoU of the parent, 0 to 1.
        after: IoU of the retrained model.
    """

    on: str
    name: str
    before: float
    after: float

    def __str__(self) -> str:
        return (
            f"{self.name} falls from {100 * self.before:.1f} to {100 * self.after:.1f} % IoU on "
            f"the {self.on}"
        )


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes:
        falls: What is against it; empty where nothing is.
        margin: IoU that a class may fall by.
        lacking: What nothing was measured on.
    """

    falls: tuple[Fall, ...]
    margin: float
    lacking: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Both sets were measured, and nothing is against it."""
        return not self.falls and not self.lacking

    @property
    def reason(self) -> str:
        """The verdict in words."""
        if self.passed:
            return f"no class falls by more than {100 * self.margin:g} points of IoU"
        found = [str(fall) for fall in self.falls]
        found += [f"there is no pixel of the {what} to measure on" for what in self.lacking]
        return "; ".join(found) + f" (allowed are {100 * self.margin:g} points)"

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON values."""
        return {
            "passed": self.passed,
            "reason": self.reason,
            "margin": self.margin,
            "falls": [asdict(fall) for fall in self.falls],
        }


def judge(before: Mapping[str, Summary], after: Mapping[str, Summary], margin: float) -> Verdict:
    """Compares a retrained model with its parent.

    Args:
        before: What the parent reached, by what both were measured on.
        after: What the retrained model reached on the same.
        margin: IoU that a class may fall by, 0 to 1. Classes that the truth does not hold are left
            out: what is mapped in their place counts against the others.
    """
    falls = []
    for on, parent in before.items():
        for name, found in parent["classes"].items():
            old, new = found["iou"], after[on]["classes"][name]["iou"]
            if found["pixels"] and old - new > margin:
                falls.append(Fall(on, name, old, new))
    lacking = tuple(on for on, parent in before.items() if not parent["pixels"])
    return Verdict(tuple(falls), margin, lacking)
