"""TensorBoard's files: there where it is installed, with the numbers; else nothing is missed."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mfnet.training.tracking import tensorboard
from mfnet.training.tracking.run_log import RunLog, read_log


def test_tensorboard_reads_the_curves_of_a_run(tmp_path: Path) -> None:
    with RunLog(tmp_path, after_step=0) as log:
        log.write({"step": 5, "steps": 10, "loss": 1.5})
        log.write({"step": 10, "steps": 10, "miou": 0.25, "iou": {"tree": 0.5}})
    events = EventAccumulator(str(tmp_path)).Reload()
    assert set(events.Tags()["scalars"]) == {
        "training/loss", "validation/miou", "validation/iou/tree",
    }  # fmt: skip
    (loss,) = events.Scalars("training/loss")
    assert (loss.step, loss.value) == (5, 1.5)


def test_without_it_the_log_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with RunLog(tmp_path, after_step=0) as log:
        log.write({"step": 5, "steps": 10, "loss": 1.5})
    assert [line["loss"] for line in read_log(tmp_path)] == [1.5]
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
