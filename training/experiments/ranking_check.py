"""Whether the paper's order is found again: each step paired by seed, and one sentence on all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from mfnet.training.experiments.definitions import Step, Study, Variant

Seeds = Mapping[Variant, Sequence[float]]
"""The mIoU of each variant, 0 to 1, one a seed, in the same order of seeds."""


@dataclass(frozen=True)
class Finding:
    """What became of a step.

    Args:
        step: Of the order.
        differences: One a seed, points of percent: what is claimed to be higher, less the other.
        paper: The same of the paper's figures, where it has them.
    """

    step: Step
    differences: tuple[float, ...]
    paper: float | None

    @property
    def held(self) -> int:
        """In how many seeds."""
        return sum(difference >= 0 for difference in self.differences)

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return fmean(self.differences)

    @property
    def spread(self) -> float | None:
        """Standard deviation of the differences; none of a single seed."""
        return spread(self.differences)


def spread(values: Sequence[float]) -> float | None:
    """The sample's standard deviation; None of a single value."""
    return stdev(values) if len(values) > 1 else None


def compare(study: Study, miou: Seeds) -> list[Finding]:
    """Looks at each step of a study, seed by seed."""
    seeds = range(len(miou[study.variants[0]]))
    of_seeds = [{variant: 100 * values[s] for variant, values in miou.items()} for s in seeds]
    paper = {row.variant: row.paper["miou"] for row in study.rows if "miou" in row.paper}
    return [
        Finding(
            step,
            tuple(_difference(step, percent) for percent in of_seeds),
            _difference(step, paper) if {*step.higher, *step.lower} <= paper.keys() else None,
        )
        for step in study.steps
    ]


def verdict(findings: Sequence[Finding]) -> str:
    """Says in how many seeds which steps held, and what that is worth."""
    seeds = len(findings[0].differences)
    by_outcome: dict[str, list[str]] = {"every": [], "mean": [], "none": []}
    for finding in findings:
        outcome = "none" if finding.mean < 0 else "mean" if finding.held < seeds else "every"
        by_outcome[outcome].append(finding.step.claim)
    often = "the one seed" if seeds == 1 else f"each of the {seeds} seeds"
    worth = f"Where nothing differs but chance, a step holds in {often} once in {2**seeds} times."
    if len(by_outcome["every"]) == len(findings):
        return f"The paper's order is found: all {len(findings)} steps hold in {often}. {worth}"
    parts = [
        f"The paper's order is not found in full: {len(by_outcome['every'])} of {len(findings)} "
        f"steps hold in {often}."
    ]
    if by_outcome["mean"]:
        parts.append(f"On average, but not in each seed: {'; '.join(by_outcome['mean'])}.")
    if by_outcome["none"]:
        parts.append(f"Not even on average: {'; '.join(by_outcome['none'])}.")
    return " ".join([*parts, worth])


def _difference(step: Step, percent: Mapping[Variant, float]) -> float:
    return sum(percent[v] for v in step.higher) - sum(percent[v] for v in step.lower)
