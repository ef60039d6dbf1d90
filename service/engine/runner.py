"""The engine process: the only module of the service that computes.

See `service/engine/process.py` for what goes in and out. It is a program to be ended at any moment:
results are written below the folder that the order names, and count only once the supervisor says
so.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from mfnet.service.runtime.parent_death import end_with_parent

Order = dict[str, Any]
Reply = dict[str, Any]
Say = Callable[[Reply], None]


def main() -> None:
    """Take orders from standard input until it ends."""
    # The supervisor may be killed while we compute; nobody would read the result.
    end_with_parent(signal.SIGKILL)
    say = _speaker()
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, orders), daemon=True).start()
    workers: dict[str, Segmenter | Retrainer]
    workers = {"segment": Segmenter(), "retrain": Retrainer()}
    while True:
        order = json.loads(orders.get())
        say(answer(order, workers[order["process"]], say))


class Segmenter:
    """Runs segmentations and keeps the last model that it used, ready to predict."""

    def __init__(self) -> None:
        self._key: tuple[str | int, ...] | None = None
        self._predictor: Any = None

    def run(self, order: Order, say: Say) -> Reply:
        """Carry out one order of `service/engine/job_requests.py`.

        Returns:
            The statistics of a map, the key of parts, or nothing of interest.
        """
        from mfnet.model.inference.segment import Segmentation
        from mfnet.model.inference.segment_options import SegmentOptions
        from mfnet.model.raster.pairs.pair import RasterPair
        from mfnet.model.raster.values.reading_options import ReadingOptions

        predictor = self._load(order)
        dtm = Path(order["dtm"]) if order.get("dtm") else None
        reading = ReadingOptions(**order.get("reading", {}))
        with RasterPair.open(
            Path(order["ortho"]), Path(order["height"]), dtm=dtm, options=reading
        ) as pair:
            pair.report = pair.report.renamed(order.get("names", {}))
            options = {k: v for k, v in order["options"].items() if k != "confidence"}
            job = Segmentation(
                pair,
                predictor,
                SegmentOptions(**options),
                progress=lambda done, total: say({"progress": [done, total]}),
                tags=_tags(order),
                confidence=order["options"].get("confidence", False),
            )
            return _STEPS[order["step"]](job, order)

    def _load(self, order: Order) -> Any:
        """The order's model, where and how it runs; a warm one costs the next order nothing."""
        from mfnet.model.inference.predictor import Predictor
        from mfnet.model.weights.catalog import find
        from mfnet.model.weights.checkpoint import load_model

        models_dir, options = Path(order["models_dir"]), order["options"]
        path = find(order["model"], models_dir)
        how = (options.get("device", "auto"), options.get("precision", "auto"))
        # A file that was replaced under the same name is another model.
        key = (str(path), path.stat().st_mtime_ns, *how)
        if key != self._key:
            self._key = self._predictor = None  # the old one goes before the new one comes
            _check_sha256(path, order.get("model_sha256"))
            self._predictor = Predictor(load_model(path, models_dir), *how)
            self._key = key
        return self._predictor


class Retrainer:
    """Retrains models; keeps nothing."""

    def run(self, order: Order, say: Say) -> Reply:
        """Carry out one order of `service/worker/run_retraining.py`.

        Returns:
            The candidate, and what the gate says of it.
        """
        from mfnet.training.retraining.map_changes import RecentMap
        from mfnet.training.retraining.retrain import retrain
        from mfnet.training.retraining.task import Task

        parent = Path(order["model"])
        _check_sha256(parent, order["model_sha256"])
        task = Task(
            parent=parent,
            parent_ref=order["model_ref"],
            tiles=tuple(map(Path, order["tiles"])),
            scenes=Path(order["scenes"]),
            recipe=order["recipe"],
            changes=tuple(order["changes"]),
            steps=order["steps"],
            minutes=order["minutes"],
            margin=order["margin"],
            recent=tuple(
                RecentMap(
                    each["job"],
                    Path(each["ortho"]),
                    Path(each["height"]),
                    Path(each["dtm"]) if "dtm" in each else None,
                    each["options"],
                    each.get("reading", {}),
                )
                for each in order["recent"]
            ),
        )
        return retrain(
            task,
            run=Path(order["run"]),
            before=Path(order["before"]) if order["before"] else None,
            out=Path(order["out"]),
            models_dir=Path(order["models_dir"]),
            tell=lambda *progress: say({"progress": progress}),
        )


def answer(order: Order, worker: Segmenter | Retrainer, say: Say) -> Reply:
    """The last word on an order, whatever happens."""
    from mfnet.model import errors

    # The front has checked the model and the rasters, and neither where results go nor the room
    # there is the caller's choice: what is wrong now is wrong with this machine.
    ours = (
        *(errors.UnknownModel, errors.BadCheckpoint, errors.BaseMissing, errors.ModelAltered),
        *(errors.RasterMissing, errors.InputChanged, errors.OutputNotWritable),
    )
    try:
        return {"done": worker.run(order, say)}
    except errors.MfnetError as error:
        theirs = isinstance(error, errors.InputError) and not isinstance(error, ours)
        return {"error": {**error.to_dict(), "input_fault": theirs}}
    except Exception as error:
        # Anything may come out of drivers and decoders. What exactly is for the log alone.
        traceback.print_exc()
        return {"error": _fault(error)}


def _check_sha256(path: Path, expected: str | None) -> None:
    """Refuse a registered model whose file is not the one that was measured."""
    from mfnet.model.errors import ModelAltered
    from mfnet.model.weights.download import sha256_of

    found = sha256_of(path) if path.is_file() else "of no file"
    if expected not in (None, found):
        raise ModelAltered(
            f"the model's file {path.name} has sha256 {found}; expected {expected}: it was altered "
            "after it was made and measured; restore it, or roll back",
            got=found,
            expected=expected,
        )


def _tags(order: Order) -> dict[str, str]:
    """What a map says of the registered model that made it."""
    if "model_ref" not in order:
        return {}
    return {"MFNET_MODEL": order["model_ref"], "MFNET_MODEL_SHA256": order["model_sha256"]}


def _map(job: Any, order: Order) -> Reply:
    statistics: Reply = job.map(**_files(order))
    _offer(order)
    return statistics


def _key(job: Any, _order: Order) -> Reply:
    return {"key": job.key}


def _part(job: Any, order: Order) -> Reply:
    job.check_key(order["key"])
    job.map_part(range(*order["rows"]), Path(order["parts"]))
    return {}


def _join(job: Any, order: Order) -> Reply:
    parts = [range(*rows) for rows in order["cuts"]]
    statistics: Reply = job.join(parts, Path(order["parts"]), **_files(order))
    _offer(order)
    return statistics


_STEPS: dict[str, Callable[[Any, Order], Reply]] = {
    "map": _map,
    "key": _key,
    "part": _part,
    "join": _join,
}


def _offer(order: Order) -> None:
    """Beside a map that says how sure it is, the places where a correction teaches most."""
    from mfnet.model.raster.products.uncertainty_windows import write_least_sure

    if (confidence := _files(order)["confidence"]) is not None:
        write_least_sure(confidence, Path(order["out"]) / "least_sure.gpkg")


def _files(order: Order) -> dict[str, Path | None]:
    out = Path(order["out"])
    confidence = out / "confidence.tif" if order["options"].get("confidence") else None
    return {
        "out": out / "classes.tif",
        "statistics": out / "statistics.json",
        "confidence": confidence,
    }


def _fault(error: Exception) -> dict[str, Any]:
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    message = (
        "The engine ran out of memory; try a smaller raster or a worker with more memory."
        if memory
        else "The engine failed; the service's log says why."
    )
    return {
        "code": "engine.out_of_memory" if memory else "internal",
        "message": message,
        "params": {},
        "input_fault": False,
    }


def _speaker() -> Say:
    """Write replies to what is standard output now, and send everybody else's to the log.

    Libraries in C print to file descriptor 1; that must not end up among the replies.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(reply: Reply) -> None:
        replies.write(json.dumps(reply) + "\n")
        replies.flush()

    return say


def _listen(lines: IO[str], into: "queue.SimpleQueue[str]") -> None:
    for line in lines:
        into.put(line)
    # The supervisor is gone or wants us gone; whatever runs is of no use to anybody.
    os._exit(0)


if __name__ == "__main__":
    main()
