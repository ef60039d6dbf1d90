"""A study's results as a table in the paper's layout: Markdown that is also read on a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from mfnet.model.classes import ClassScheme
from mfnet.training.config.recipe import Recipe
from mfnet.training.experiments.definitions import Row, Study
from mfnet.training.experiments.ranking_check import Finding, compare, spread, verdict
from mfnet.training.experiments.study_runs import Measured
from mfnet.training.reporting.published_results import PAPER_TABLES

PAPERS_DATA = "vaihingen"
"""The kind of data that the paper's numbers are of."""

_OVERALL = {"oa": "OA", "mf1": "mF1", "miou": "mIoU"}


def summary(study: Study, found: Measured, recipe: Recipe, scheme: ClassScheme) -> dict[str, Any]:
    """All that was found, JSON values.

    Args:
        study: What was compared.
        found: From `measure`.
        recipe: That all runs start from.
        scheme: The data's classes.
    """
    first = recipe.optimizer.seed
    findings = _findings(study, found)
    rows = [
        {
            **dict(zip(study.heads, row.labels, strict=True)),
            "variant": row.variant.name,
            "runs": list(_figures(found[row.variant], scheme)),
            "paper": {key: percent / 100 for key, percent in row.paper.items()},
        }
        for row in study.rows
    ]
    return {
        "study": study.title,
        "recipe": recipe.model_dump(mode="json"),
        "seeds": [first + number for number in range(len(found[study.variants[0]]))],
        "commits": _commits(study, found),
        "conditions": found[study.variants[0]][0]["conditions"],
        "rows": rows,
        "rule": found[study.variants[0]][0].get("rule"),
        "order": [
            {
                "claim": f.step.claim,
                "points": f.differences,
                "mean": f.mean,
                "spread": f.spread,
                "held": f.held,
                "paper": f.paper,
            }
            for f in findings
        ],
        "verdict": verdict(findings),
    }


def page(study: Study, found: Measured, recipe: Recipe, scheme: ClassScheme) -> str:
    """The same for people: conditions, the table, the order, a sentence. Arguments as above."""
    beside = recipe.data.kind == PAPERS_DATA
    keys = _columns(study, scheme)
    heads = [*study.heads, *keys.values()]
    lines = [[*row.labels, *_cells(row, found, scheme, [*keys], beside)] for row in study.rows]
    lines += _rule_line(study, found, scheme, [*keys])
    findings = _findings(study, found)
    parts = [
        f"# {study.title}",
        " ".join(_conditions(study, found, recipe, beside)),
        _table(heads, lines, left=len(study.heads)),
        "Differences of mIoU in points, paired by seed:",
        _table(["claim", "difference", "seeds", "paper's"], [*map(_outcome, findings)], left=1),
        verdict(findings),
    ]
    return "\n\n".join(parts) + "\n"


def _percent(values: Sequence[float | None]) -> str:
    """Mean and spread of shares, in percent."""
    known = [100 * value for value in values if value is not None]
    return _around(fmean(known), spread(known)) if known else "–"


def _around(mean: float, deviation: float | None, sign: str = "") -> str:
    shown = format(mean, f"{sign}.1f")
    return shown if deviation is None else f"{shown} ± {deviation:.1f}"


def _findings(study: Study, found: Measured) -> list[Finding]:
    return compare(study, {v: [f["miou"] for f in figures] for v, figures in found.items()})


def _figures(
    runs: Sequence[Mapping[str, Any]], scheme: ClassScheme
) -> Iterator[dict[str, float | None]]:
    """Of each run: overall figures, and each class's accuracy by its name."""
    for run in runs:
        classes = {name: run["classes"][name]["accuracy"] for name in scheme.names}
        yield {**{key: run[key] for key in _OVERALL}, **classes}


def _columns(study: Study, scheme: ClassScheme) -> dict[str, str]:
    """Keys of figures and their titles: the foreground classes' accuracy, then overall figures.

    Where the classes are those of a data set of the paper's, order and titles are the paper's.
    """
    if not study.by_class:
        return _OVERALL
    titles = {c.name: c.title for c in scheme.classes if c.foreground}
    papers = (table.columns for table in PAPER_TABLES.values())
    return {**next((c for c in papers if c.keys() == titles.keys()), titles), **_OVERALL}


def _cells(
    row: Row, found: Measured, scheme: ClassScheme, keys: Sequence[str], beside: bool
) -> Iterator[str]:
    runs = list(_figures(found[row.variant], scheme))
    for key in keys:
        ours = _percent([run[key] for run in runs])
        yield f"{ours} ({row.paper[key]:.2f})" if beside and key in row.paper else ours


def _rule_line(
    study: Study, found: Measured, scheme: ClassScheme, keys: Sequence[str]
) -> list[list[str]]:
    """What a rule without weights finds on the same tiles, where it says anything."""
    rule = found[study.variants[0]][0].get("rule")
    if rule is None:
        return []
    figures = next(_figures([rule], scheme))
    labels = ["rule without weights", *[""] * (len(study.heads) - 1)]
    return [[*labels, *(_percent([figures[key]]) for key in keys)]]


def _conditions(study: Study, found: Measured, recipe: Recipe, beside: bool) -> Iterator[str]:
    network, optimizer, first = recipe.network, recipe.optimizer, recipe.optimizer.seed
    seeds = len(found[study.variants[0]])
    on = found[study.variants[0]][0]["conditions"]
    base = f"the base {network.base}" if network.base else "SAM's weights"
    numbers = f"seeds {first} to {first + seeds - 1}" if seeds > 1 else f"seed {first}"
    spoken = "mean ± standard deviation" if seeds > 1 else "one seed, so no spread"
    yield f"Recipe {recipe.name}: {recipe.data.kind}, encoder {network.encoder}, {base};"
    yield f"{optimizer.steps:,} steps of {optimizer.batch_size} windows of {network.window_px} px;"
    yield f"{numbers}. Measured on {len(on['tiles'])} test tiles, stride {on['stride_px']} px."
    yield f"Percent, {spoken}; of classes the accuracy."
    yield f"Commit {', '.join(_commits(study, found))}."
    if beside and any(row.paper for row in study.rows):
        yield "In brackets: the paper's, of one run with ViT-L."


def _commits(study: Study, found: Measured) -> list[str]:
    runs = (run for variant in study.variants for run in found[variant])
    return [*dict.fromkeys((run["commit"] or "unknown")[:7] for run in runs)]


def _outcome(finding: Finding) -> list[str]:
    paper = "–" if finding.paper is None else f"{finding.paper:+.2f}"
    held = f"{finding.held} of {len(finding.differences)}"
    return [finding.step.claim, _around(finding.mean, finding.spread, "+"), held, paper]


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], *, left: int) -> str:
    """Markdown whose columns are as wide as their widest cell; the first ones are words."""
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    marks = [
        "-" * width if number < left else "-" * (width - 1) + ":"
        for number, width in enumerate(widths)
    ]
    padded = [
        [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in (heads, marks, *lines)
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)
