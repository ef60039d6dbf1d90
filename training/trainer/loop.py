"""The training loop: steps, looks at the validation areas, checkpoints."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mfnet.model.weights.checkpoint import save
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.evaluation.checkpoint_selection import is_kept, is_over
from mfnet.training.evaluation.validation import check
from mfnet.training.optim.losses import build_loss
from mfnet.training.tracking.disk_errors import writing
from mfnet.training.tracking.git_commit import commit
from mfnet.training.tracking.run_log import RunLog, read_log
from mfnet.training.trainer.batch_sampler import batches
from mfnet.training.trainer.measured_ranges import seen_by
from mfnet.training.trainer.resume_checkpoint import save_state
from mfnet.training.trainer.run_state import Run
from mfnet.training.trainer.step import take_step

Report = Callable[[dict[str, Any]], None]
"""Called with what a step or a check found, JSON values; has "step" and "steps"."""

STATE = "state.pt"


def train(
    run: Run,
    pool: Pool,
    validation: Pool,
    out: Path,
    *,
    report: Report = lambda found: None,
) -> Path:
    """Does the steps that are left of a run; looks at the network at each check and at the end.

    Args:
        run: From `start`, and `load_state` if it goes on; is changed.
        pool: To learn from.
        validation: To check on. The recipe's `evaluation.keep` says whether the best check's model
            is kept, or the last's.
        out: Folder for `<name>.safetensors`, `state.pt` (to resume from), `log.jsonl` and
            TensorBoard's files. Of several processes the first writes them.
        report: Hears of the progress.

    Returns:
        Path of the model: the mean of the weights, half precision.

    Raises:
        TrainingDiverged: The loss or its gradient is NaN or Inf; the model of the last check stays.
        DiskFull: No room for a checkpoint; the one before it stays.
        BadRecipe: Class weights that do not suit the data.
    """
    recipe, net = run.recipe, run.shared_net()
    loss_of = build_loss(recipe.optimizer, pool).to(run.processes.device)
    steps = batches(pool, run.net.config, recipe.optimizer, run.processes, run.step)
    model = out / f"{recipe.name}.safetensors"
    if not run.processes.first:
        for parts in steps:
            take_step(run, net, parts, loss_of)
            if _due(run, recipe.check_every) and run.processes.any(False):
                break
        return model
    out.mkdir(parents=True, exist_ok=True)
    kept = run.average.net  # which is what is saved
    told = {"seen": seen_by(run, pool), "provenance": _provenance(run)}
    kept.config = kept.config.model_copy(update=told)
    with _told(out, run, report) as tell:
        for parts in steps:
            found = take_step(run, net, parts, loss_of)
            if _due(run, recipe.log_every):
                tell(found)
            if _due(run, recipe.check_every):
                found = check(run.average.net, validation, recipe.evaluation.windows)
                keep = is_kept(found, read_log(out), recipe.evaluation.keep)
                tell(found)
                _write(run, out / STATE, model if keep else None)
                if run.processes.any(is_over(read_log(out), recipe.evaluation.patience)):
                    break
    return model


def _provenance(run: Run) -> dict[str, Any]:
    """Where a model comes from; also the file of a run that was stopped says so."""
    made_by = {"recipe": run.recipe.model_dump(mode="json"), "commit": commit()}
    return {**run.average.net.config.provenance, **made_by}


def _due(run: Run, every: int) -> bool:
    return run.step % every == 0 or run.step == run.recipe.optimizer.steps


@contextmanager
def _told(out: Path, run: Run, report: Report) -> Iterator[Report]:
    """Adds the step to what is found; writes it into the log, and reports it."""
    with RunLog(out, run.step) as log:

        def tell(found: dict[str, Any]) -> None:
            found = {"step": run.step, "steps": run.recipe.optimizer.steps, **found}
            log.write(found)
            report(found)

        yield tell


def _write(run: Run, state: Path, model: Path | None) -> None:
    """The model, if it is to be kept, then what a later process goes on from."""
    count_bytes = sum(tensor.nbytes for tensor in run.net.state_dict().values())
    if model is not None:
        with writing(model, count_bytes):
            save(run.average.net, model, torch.float16)
    with writing(state, count_bytes):
        save_state(run, state)
