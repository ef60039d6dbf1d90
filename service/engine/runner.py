"""The engine process: the only module of the service that computes.

It may be ended at any moment: results are written below the folder that the request names, and
count only once the worker has published them. See `protocol` for what goes in and out.
"""

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from mfnet.service.engine.protocol import (
    REQUEST,
    Done,
    Failed,
    JoinRequest,
    KeyRequest,
    MapRequest,
    PartRequest,
    Progress,
    Reply,
    Request,
    RetrainRequest,
    SegmentRequest,
)
from mfnet.service.runtime.parent_death import end_with_parent

Result = dict[str, Any]
Send = Callable[[Reply], None]


def main() -> None:
    """Carries out requests from standard input until it ends."""
    # The worker may be killed while we compute; nobody would read the result.
    end_with_parent(signal.SIGKILL)
    send = _sender()
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, requests), daemon=True).start()
    segmenter = Segmenter()
    while True:
        send(answer(REQUEST.validate_json(requests.get()), segmenter, send))


class Segmenter:
    """Carries out requests about maps; keeps the last model that it used, ready to predict."""

    def __init__(self) -> None:
        self._key: tuple[str | int, ...] | None = None
        self._runtime: Any = None

    def run(self, request: SegmentRequest, send: Send) -> Result:
        """Carries out one request.

        Returns:
            The statistics of a map, the key of parts, or nothing of interest.
        """
        from mfnet.model.inference.segment import Segmentation
        from mfnet.model.inference.segment_options import SegmentOptions
        from mfnet.model.raster.pairs.pair import RasterPair
        from mfnet.model.raster.values.reading_options import ReadingOptions

        how = {name: value for name, value in request.options.items() if name != "confidence"}
        options = SegmentOptions(**how)
        runtime = self._load(request, options)
        reading = ReadingOptions(**request.reading)
        with RasterPair.open(
            request.ortho, request.height, dtm=request.dtm, options=reading
        ) as pair:
            pair.report = pair.report.renamed(request.names)
            job = Segmentation(
                pair,
                runtime,
                options,
                confidence=_wants_confidence(request),
                progress=lambda done, total: send(Progress(done=done, total=total)),
                tags=_tags(request),
            )
            return _carry_out(request, job)

    def _load(self, request: SegmentRequest, options: Any) -> Any:
        """The model on its device; a model that is loaded costs the next request nothing."""
        from mfnet.model.inference.runtimes.choose import open_runtime
        from mfnet.model.weights.catalog import find

        path = find(request.model, request.models_dir)
        # A file that was replaced under the same name is another model.
        key = (
            str(path),
            path.stat().st_mtime_ns,
            *(options.runtime, options.device, options.precision),
        )
        if key != self._key:
            self._key = self._runtime = None  # the old one goes before the new one comes
            _check_sha256(path, request.model_sha256)
            self._runtime = open_runtime(path, request.models_dir, options)
            self._key = key
        return self._runtime


def retrain(request: RetrainRequest, send: Send) -> Result:
    """Retrains a model.

    Returns:
        The candidate, and the gate's verdict.
    """
    from mfnet.training.retraining import map_changes
    from mfnet.training.retraining.retrain import retrain as train_candidate
    from mfnet.training.retraining.task import Task

    _check_sha256(request.model, request.model_sha256)
    task = Task(
        parent=request.model,
        parent_ref=request.model_ref,
        tiles=request.tiles,
        scenes=request.scenes,
        recipe=request.recipe,
        changes=request.changes,
        steps=request.steps,
        minutes=request.minutes,
        margin=request.margin,
        recent=tuple(map_changes.RecentMap(**dict(each)) for each in request.recent),
    )
    found = train_candidate(
        task,
        run=request.run,
        before=request.before,
        out=request.out,
        models_dir=request.models_dir,
        tell=lambda done, total, what: send(Progress(done=done, total=total, what=what)),
    )
    _export(Path(found["file"]), request.models_dir)
    return found


def _export(model: Path, models_dir: Path) -> None:
    """Writes the candidate's export beside it: workers without torch run that."""
    from mfnet.model.weights.checkpoint import load_model
    from mfnet.model.weights.export_onnx import export_onnx
    from mfnet.model.weights.file_hash import sha256_of

    net = load_model(model, models_dir)
    export_onnx(net, model.with_suffix(".onnx"), source_sha256=sha256_of(model))


def answer(request: Request, segmenter: Segmenter, send: Send) -> Done | Failed:
    """The last reply to a request, whatever happens."""
    from mfnet.model import errors

    # The API has checked the model and the rasters, and neither where results go nor the room
    # there is the caller's choice: what is wrong now is wrong with this machine.
    ours = (
        *(errors.UnknownModel, errors.BadCheckpoint, errors.BaseMissing, errors.ModelAltered),
        *(errors.RasterMissing, errors.InputChanged, errors.OutputNotWritable),
    )
    try:
        if isinstance(request, RetrainRequest):
            return Done(result=retrain(request, send))
        return Done(result=segmenter.run(request, send))
    except errors.MfnetError as error:
        theirs = isinstance(error, errors.InputError) and not isinstance(error, ours)
        return Failed(**error.to_dict(), input_fault=theirs)
    except Exception as error:
        # Anything may come out of drivers and decoders. What exactly is for the log alone.
        traceback.print_exc()
        return _fault(error)


def _check_sha256(path: Path, expected: str | None) -> None:
    """Refuse a registered model whose file is not the one that was measured."""
    from mfnet.model.errors import ModelAltered
    from mfnet.model.weights.file_hash import sha256_of

    found = sha256_of(path) if path.is_file() else "of no file"
    if expected not in (None, found):
        raise ModelAltered(
            f"the model's file {path.name} has sha256 {found}; expected {expected}: it was altered "
            "after it was made and measured; restore it, or roll back",
            got=found,
            expected=expected,
        )


def _tags(request: SegmentRequest) -> dict[str, str]:
    """What a map's tags name of the registered model that made it."""
    if request.model_ref is None or request.model_sha256 is None:
        return {}
    return {"MFNET_MODEL": request.model_ref, "MFNET_MODEL_SHA256": request.model_sha256}


def _carry_out(request: SegmentRequest, job: Any) -> Result:
    match request:
        case KeyRequest():
            return {"key": job.key}
        case PartRequest():
            job.check_key(request.key)
            job.map_part(range(*request.rows), request.parts)
            return {}
        case JoinRequest():
            parts = [range(*rows) for rows in request.cuts]
            statistics: Result = job.join(parts, request.parts, **_files(request))
        case MapRequest():
            statistics = job.map(**_files(request))
    _write_least_sure(request)
    return statistics


def _write_least_sure(request: MapRequest | JoinRequest) -> None:
    """Beside a map with confidence, the places where a correction teaches most."""
    from mfnet.model.raster.products.uncertainty_windows import write_least_sure

    if (confidence := _files(request)["confidence"]) is not None:
        write_least_sure(confidence, request.out / "least_sure.gpkg")


def _files(request: MapRequest | JoinRequest) -> dict[str, Path | None]:
    return {
        "out": request.out / "classes.tif",
        "statistics": request.out / "statistics.json",
        "confidence": request.out / "confidence.tif" if _wants_confidence(request) else None,
    }


def _wants_confidence(request: SegmentRequest) -> bool:
    return bool(request.options.get("confidence"))


def _fault(error: Exception) -> Failed:
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    message = (
        "The engine ran out of memory; try a smaller raster or a worker with more memory."
        if memory
        else "The engine failed; the service's log says why."
    )
    code = "engine.out_of_memory" if memory else "internal"
    return Failed(code=code, message=message, params={}, input_fault=False)


def _sender() -> Send:
    """Writes replies to what is standard output now, and sends everybody else's to the log.

    Libraries in C print to file descriptor 1; that must not end up among the replies.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def send(reply: Reply) -> None:
        replies.write(reply.model_dump_json() + "\n")
        replies.flush()

    return send


def _listen(lines: IO[str], into: "queue.SimpleQueue[str]") -> None:
    for line in lines:
        into.put(line)
    # The worker is gone or wants us gone; whatever runs is of no use to anybody.
    os._exit(0)


if __name__ == "__main__":
    main()
