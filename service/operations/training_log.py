"""How far a retraining has learned: what its run has logged so far.

The trainer appends lines of JSON (`mfnet.training.tracking.run_log`); the last may not be whole.
"""

import json
from pathlib import Path
from typing import Any

from mfnet.service.db.tables import Job
from mfnet.service.domain.job import RETRAIN
from mfnet.service.errors import NoSuchResult
from mfnet.service.operations.context import Services

MOST_POINTS = 300
"""Of each curve; of longer ones every so-manyth point is taken."""

_LOG = "log.jsonl"


def curves(services: Services, job: Job) -> dict[str, list[tuple[int, float]]]:
    """Points of the curves: step and value.

    Returns:
        `loss` of training, and `miou` on the tiles that are held out, from 0 to 1; empty where
        nothing is logged yet, or the run is over and tidied away: its report has the curves.

    Raises:
        NoSuchResult: The job is no retraining.
    """
    if job.process != RETRAIN:
        raise NoSuchResult(f"a job of {job.process} does not train", job=job.id)
    newest = services.storage.run(job.id, job.epoch)
    services.storage.here(newest / _LOG)
    if not (newest / _LOG).is_file():  # an attempt goes on where the one before it was
        newest = services.storage.run_before(job.id, job.epoch) or newest
    lines = _read(newest / _LOG)
    return {name: _thinned(_points(lines, name)) for name in ("loss", "miou")}


def _read(log: Path) -> list[dict[str, Any]]:
    lines = log.read_text().splitlines(keepends=True) if log.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _points(lines: list[dict[str, Any]], name: str) -> list[tuple[int, float]]:
    return [(line["step"], line[name]) for line in lines if line.get(name) is not None]


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The last point stays: it is the newest."""
    every = -(-len(points) // MOST_POINTS) or 1
    return points[::-1][::every][::-1]
