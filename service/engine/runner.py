"""The engine process: the only module of the service that computes.

It may be ended at any moment: results are written below the folder that the request names, and
count only once the worker has published them. See `protocol` for what goes in and out.
"""

import json
import os
import queue
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from mfnet.service.domain import map_outputs
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
from mfnet.service.files.sync import publish_once
from mfnet.service.runtime.parent_death import end_with_parent
from mfnet.service.runtime.processor_name import processor_name

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
            The statistics of a map, the key of parts, or nothing of interest; and the `device`.
        """
        from mfnet.model.inference.segment import Segmentation
        from mfnet.model.inference.segment_options import SegmentOptions
        from mfnet.model.raster.files.remote import reachable
        from mfnet.model.raster.pairs.join_tiles import joined
        from mfnet.model.raster.values.reading_options import ReadingOptions

        how = {name: value for name, value in request.options.items() if name != "confidence"}
        options = SegmentOptions(**how)
        runtime = self._load(request, options)
        reading = ReadingOptions(**request.reading)
        with (
            reachable(_rasters(request), _contents(request)) as there,
            joined(there, reading) as whole,
            _paired(request, whole, reading, send) as pair,
            _preview(request, pair.grid, runtime.config.classes) as show,
        ):
            pair.report = pair.report.renamed(request.names)
            job = Segmentation(
                pair,
                runtime,
                options,
                confidence=_wants_confidence(request),
                wanted=_area(request, pair.grid),
                progress=lambda done, total: send(Progress(done=done, total=total)),
                finished=show,
                tags=_tags(request),
            )
            found = _carry_out(request, job, runtime.config, send)
        return {**found, "device": _device(runtime)}

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
    """Writes the candidate's export beside it, for workers without torch.

    Hours of training are not lost where that fails; workers with torch run the model all the same.
    """
    from mfnet.model.weights.checkpoint import load_model
    from mfnet.model.weights.export_onnx import export_onnx
    from mfnet.model.weights.file_hash import sha256_of

    try:
        net = load_model(model, models_dir)
        sha256, export = sha256_of(model), model.with_suffix(".onnx")
        export_onnx(net, export, source_sha256=sha256, simplify=False)
    except Exception:
        traceback.print_exc()  # for the log


def answer(request: Request, segmenter: Segmenter, send: Send) -> Done | Failed:
    """The last reply to a request, whatever happens."""
    from mfnet.model import errors

    # The API has checked the model and the rasters, and neither where results go nor the room
    # there is the caller's choice: what is wrong now is wrong with this machine.
    ours: tuple[type[Exception], ...] = (
        *(errors.UnknownModel, errors.BadCheckpoint, errors.BaseMissing, errors.ModelAltered),
        errors.MissingExtra,
        *(errors.RasterMissing, errors.InputChanged, errors.OutputNotWritable),
    )
    try:
        if isinstance(request, RetrainRequest):
            return Done(result=retrain(request, send))
        return Done(result=segmenter.run(request, send))
    except errors.MfnetError as error:
        if not isinstance(request, RetrainRequest) and request.links:
            ours = (*ours, errors.RasterUnreadable)  # maybe the store was away for too long
        theirs = isinstance(error, errors.InputError) and not isinstance(error, ours)
        return Failed(**error.to_dict(), input_fault=theirs)
    except Exception as error:
        # Anything may come out of drivers and decoders. What exactly is for the log alone.
        traceback.print_exc()
        return _fault(error)


def _rasters(request: SegmentRequest) -> dict[str, Path]:
    given = {"ortho": request.ortho, "height": request.height, "dtm": request.dtm}
    there = {role: path for role, path in given.items() if path is not None}
    return there | {role: Path(link) for role, link in request.links.items()}


def _contents(request: SegmentRequest) -> dict[str, Any]:
    """What rasters over the network hold."""
    from mfnet.model.raster.files.remote import Content

    return {
        role: Content(request.sums.get(role), request.sizes.get(role, 0)) for role in request.links
    }


def _paired(request: SegmentRequest, whole: dict[str, Path], reading: Any, send: Send) -> Any:
    """The open pair; tiles of a raster are one file in `whole`."""
    from mfnet.model.raster.pairs.pair import RasterPair

    height = whole.get("height")
    dtm = _terrain(request, height, reading, send) or whole.get("dtm")
    return RasterPair.open(whole["ortho"], height, dtm=dtm, options=reading)


def _terrain(request: SegmentRequest, height: Path | None, reading: Any, send: Send) -> Path | None:
    """The terrain model that is to be derived: it is made by whoever comes first."""
    from mfnet.model.raster.pairs.derive_terrain import LARGEST_M, derive_terrain

    if (wanted := request.terrain) is None or height is None:
        return None
    if not wanted.exists():
        send(Progress(done=0, total=0, what="deriving the terrain"))
        wanted.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".terrain-", dir=wanted.parent) as folder:
            made = Path(folder) / wanted.name
            largest_m = request.largest_building or LARGEST_M
            derive_terrain(height, made, options=reading, largest_m=largest_m)
            publish_once(made, wanted)
    if isinstance(request, JoinRequest):
        shutil.copyfile(wanted, request.out / wanted.name)
    return wanted


@contextmanager
def _preview(request: SegmentRequest, grid: Any, scheme: Any) -> Iterator[Callable[[Any], None]]:
    """Shows finished rows while the others are computed; no map fails with its preview."""
    from mfnet.model.raster.products.pictures.row_preview import RowPreview

    if request.preview is None:
        yield lambda band: None
        return
    preview = RowPreview(request.preview, grid.height, grid.width, scheme)

    def show(band: Any) -> None:
        with suppress(OSError):
            preview.add(band.row, band.classes_hW)

    yield show
    with suppress(OSError):
        preview.flush()


def _area(request: SegmentRequest, grid: Any) -> Any:
    """The part of the map that is wanted; its remarks name the file as its sender does."""
    from mfnet.model.raster.pairs.area_of_interest import Area, AreaOfInterest
    from mfnet.model.raster.pairs.report import renamed

    if request.aoi is None:
        return None
    wanted = AreaOfInterest.open(Area(request.aoi, request.aoi_layer), grid)
    wanted.remarks = [
        remark.model_copy(update={"message": renamed(remark.message, request.names)})
        for remark in wanted.remarks
    ]
    return wanted


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


def _device(runtime: Any) -> str:
    """What computes, by its name."""
    if runtime.device == "cpu":
        return processor_name()
    return str(runtime.conditions["processor"])


def _carry_out(request: SegmentRequest, job: Any, config: Any, send: Send) -> Result:
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
    _write_quality(request, job.pair, send)
    heights = None if job.pair.height is None else job.pair.heights
    _write_further(request, config.classes, heights, send)
    if map_outputs.ITEM in request.further:
        _write_item(request, statistics, config)
    return statistics


def _write_least_sure(request: MapRequest | JoinRequest) -> None:
    """Beside a map with confidence, the places where a correction teaches most."""
    from mfnet.model.raster.products.uncertainty_windows import write_least_sure

    if (confidence := _files(request)["confidence"]) is not None:
        write_least_sure(confidence, request.out / "least_sure.gpkg")


def _write_quality(request: MapRequest | JoinRequest, pair: Any, send: Send) -> None:
    """Where the map rests on colour alone, is unsure, or has gaps; and how much of it."""
    from mfnet.model.raster.pairs.quality import write_quality

    raster, figures = (request.out / name for name in map_outputs.QUALITY)
    if not set(map_outputs.QUALITY) & set(request.further):
        return
    reasons = write_quality(
        *(pair, raster),
        confidence=_files(request)["confidence"],
        wanted=_area(request, pair.grid),
        progress=_telling(send, "quality, rows"),
    )
    figures.write_text(json.dumps(reasons, indent=2))


def _telling(send: Send, what: str) -> Callable[[int, int], None]:
    """Tells what is made of the map; the windows are all done, and progress does not fall back."""
    return lambda done, total: send(
        Progress(done=total, total=total, what=f"{what}: {done} of {total}")
    )


def _write_further(
    request: MapRequest | JoinRequest, scheme: Any, heights: Any, send: Send
) -> None:
    """What is made of the finished map: polygons, and areas in zones."""
    from mfnet.model.raster.products.areas.zone_areas import read_zones, write_zone_areas
    from mfnet.model.raster.products.polygons.map_polygons import write_map_polygons

    classes = request.out / "classes.tif"
    for name in (name for name in map_outputs.POLYGONS if name in request.further):
        write_map_polygons(
            *(classes, request.out / name, scheme),
            min_area_m2=request.min_area,
            simplify_m=request.simplify,
            heights=heights,
            progress=_telling(send, "polygons, rows"),
        )
    of_zones = [request.out / name for name in map_outputs.ZONES if name in request.further]
    if of_zones and request.zones is not None:
        zones = read_zones(request.zones, request.zones_layer)
        write_zone_areas(classes, zones, of_zones, scheme, progress=_telling(send, "zones"))


def _write_item(request: MapRequest | JoinRequest, statistics: Result, config: Any) -> None:
    """The map's entry in a catalogue, with what there is beside it."""
    from mfnet.model.raster.products.stac_item import ModelAsset, write_stac_item

    names = {"classes": "classes.tif", "statistics": "statistics.json"}
    names |= {
        "quality": map_outputs.QUALITY[0],
        "terrain": map_outputs.TERRAIN,
    }
    names |= dict(zip(("polygons", "polygons_flatgeobuf"), map_outputs.POLYGONS, strict=True))
    names |= dict(zip(("confidence", "least_sure"), map_outputs.CONFIDENCE, strict=True))
    names |= dict(zip(("zones", "zones_table"), map_outputs.ZONES, strict=True))
    files = {role: request.out / name for role, name in names.items()}
    there = {role: path for role, path in files.items() if path.exists()}
    model = ModelAsset(Path(request.model).name)
    if request.model_ref is not None:  # from jobs/ID/results/item.json
        name, _, version = request.model_ref.partition("@")
        href = f"../../../models/{name}/versions/{version}"
        model = ModelAsset(href, "application/json")
    seen = request.ortho.stat().st_mtime if request.seen is None else request.seen
    write_stac_item(request.out / map_outputs.ITEM, statistics, config, there, model, seen)


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
