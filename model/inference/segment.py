"""The one path from a raster pair to a class raster; all who need a map call it."""

import hashlib
import json
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from mfnet.model.atomic_files import check_outputs, check_space, write_json
from mfnet.model.classes import NODATA
from mfnet.model.errors import Cancelled, PartOfOtherKind
from mfnet.model.free_memory import check_memory
from mfnet.model.inference.kept_rows import KeptRows, folder_beside, kept_rows
from mfnet.model.inference.prefetch import ahead
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.turned import turned
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.sliding_window import Band, Sweep
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.raster.files import remote
from mfnet.model.raster.files.content_hash import content_sha256
from mfnet.model.raster.georeferencing.grid import Rows
from mfnet.model.raster.pairs.area_of_interest import Area, AreaOfInterest
from mfnet.model.raster.pairs.drift import drift, require_heights
from mfnet.model.raster.pairs.normalize import scalings
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.pairs.report import Drift
from mfnet.model.raster.products.areas.area_estimates import add_estimates
from mfnet.model.raster.products.areas.class_areas import ClassAreas
from mfnet.model.raster.products.cog import CogWriter, disk_bytes
from mfnet.model.raster.products.part_rows import PartWriter, is_whole, part_path, read_part
from mfnet.model.raster.products.sieve import Sieved, sieve
from mfnet.model.raster.values.reading_options import ReadingOptions


@dataclass(frozen=True)
class _Columns:
    """Some columns of a pair as the engine's source."""

    pair: RasterPair
    columns: range

    def read(self, row: int, rows: int) -> Rows:
        return self.pair.read(row, rows, self.columns)


def segment(
    ortho: Path,
    height: Path | None,
    model: Runtime,
    out: Path,
    *,
    dtm: Path | None = None,
    statistics: Path | None = None,
    confidence: Path | None = None,
    reading: ReadingOptions | None = None,
    options: SegmentOptions | None = None,
    area: Area | None = None,
    resume: bool = False,
    tell: Callable[[str], None] = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Maps an orthophoto and a height raster to classes.

    Args:
        ortho: The orthophoto, a GeoTIFF; the map lies on its grid.
        height: Heights above ground in metres, or a surface model if `dtm` is given; None maps by
            colour alone.
        model: From `open_runtime`.
        out: The class raster, a COG; its `.aux.xml` and `.qml` are written beside it.
        dtm: Terrain model to subtract from `height`.
        statistics: JSON file for what this function returns.
        confidence: COG for the winning class's share, percent.
        reading: What the caller knows better than the files: unit of the heights, white, bands …
        options: How to compute.
        area: A layer of polygons; outside of them is nodata, and neither read nor computed but
            for what the inside needs.
        resume: Keep the finished rows of a large map in a hidden folder beside it until it stands,
            and go on from those of an interrupted run with the same inputs, model and options.
        tell: Called with a sentence where that is so.
        progress: Called with the windows done and their total; those of an earlier run aside.
        cancelled: Asked before each batch; true ends the run with `Cancelled`.

    Returns:
        The statistics: pixels, m² and share of each class, the pair's report, the parameters.

    Raises:
        InputError: The rasters, options or outputs are at fault.
        Cancelled: As `cancelled` asked.
        EngineError: The network or the machine is at fault.

    Files appear when all rows are done, each whole, the class raster last: where it is, all are.
    """
    check_outputs((ortho, height, dtm), (out, statistics, confidence))
    with RasterPair.open(ortho, height, dtm=dtm, options=reading) as pair:
        wanted = None if area is None else AreaOfInterest.open(area, pair.grid)
        whole = Segmentation(
            pair,
            model,
            options,
            confidence=confidence is not None,
            wanted=wanted,
            progress=progress,
            cancelled=cancelled,
        )
        whole.check_memory()
        kept = whole.kept_rows(out) if resume else None
        summary = whole.map(out, statistics, confidence, kept, tell)
    shutil.rmtree(folder_beside(out), ignore_errors=True)
    return summary


class Segmentation:
    """A pair and a network, for one map: made at once, or in parts by any number of processes.

    Every process opens the pair and loads the network for itself; what each part must fit to is
    in `key`. Where the raster is cut, and who computes which part how often, changes no byte.

    Args:
        pair: Open; it stays so.
        model: From `open_runtime`.
        options: How to compute.
        confidence: Also say how sure the network is.
        wanted: The part of the map that is wanted; all of it if not given.
        finished: Called with rows as soon as they are computed.
        tags: Of the class raster, beside ours or in their place.

    The other arguments are those of `segment`, and so is what is raised.
    """

    def __init__(
        self,
        pair: RasterPair,
        model: Runtime,
        options: SegmentOptions | None = None,
        *,
        confidence: bool = False,
        wanted: AreaOfInterest | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        cancelled: Callable[[], bool] = lambda: False,
        finished: Callable[[Band], None] = lambda band: None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        options = options or SegmentOptions()
        self._runtime = runtime = turned(model.at(pair.grid.gsd_m), options.tta)
        config = runtime.config
        require_heights(pair, config)
        self.pair = pair
        stride = config.stride_px if options.stride is None else options.stride
        batch_size = options.batch_size
        self._sweep = Sweep(
            plan=WindowPlan(pair.grid.height, pair.grid.width, config.window_px, stride),
            predict=runtime,
            scalings=scalings(config, pair.white),
            classes=len(config.classes),
            blend=options.blend,
            batch_size=runtime.batch_size if batch_size is None else batch_size,
            arrays=runtime.arrays,
            confidence=confidence,
            temperature=config.temperature,
            wanted=wanted,
            progress=progress,
            cancelled=cancelled,
        )
        self._wanted = wanted
        self._finished = finished
        self._sieve_px = options.sieve
        self._layers = ("classes", "confidence") if confidence else ("classes",)
        self.tags = {
            "MFNET_VERSION": version("mfnet"),
            "MFNET_MODEL": config.name,
            "MFNET_MODEL_FINGERPRINT": runtime.fingerprint,
            "MFNET_WINDOW": str(config.window_px),
            "MFNET_STRIDE": str(stride),
            "MFNET_BLEND": options.blend,
            "MFNET_PRECISION": runtime.precision,
            "MFNET_RUNTIME": runtime.name,
            "MFNET_READING": pair.report.reading.model_dump_json(exclude_defaults=True),
            "MFNET_REMARKS": "\n".join(f"{r.code}: {r.message}" for r in pair.report.remarks),
            **({} if wanted is None else {"MFNET_AREA": wanted.key}),
            **({} if options.tta == "none" else {"MFNET_TTA": options.tta}),
            **({} if options.sieve is None else {"MFNET_SIEVE": str(options.sieve)}),
            **(tags or {}),
        }

    @cached_property
    def key(self) -> str:
        """A name for everything that the bytes of a part depend on, its rows aside."""
        files = [(stamp.size_bytes, stamp.modified_ns) for stamp in self.pair.stamps]
        told = self._conditions | {"files": files}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def _conditions(self) -> dict[str, Any]:
        """What the bytes depend on, the contents of the inputs and the rows aside."""
        return self.tags | {
            "layers": self._layers,
            "batch_size": self._sweep.batch_size,
            "device": self._runtime.device,
            "gdal": rasterio.__gdal_version__,  # which warps
            **self._runtime.conditions,
        }

    def check_memory(self) -> None:
        """Refuse a raster whose rows will not fit into memory.

        Raises:
            TooLittleMemory: With the numbers. A device of its own is not looked at.
        """
        if self._runtime.device == "cpu":
            grid = self.pair.grid
            needed = self.pair.estimate_for(self._runtime.config).memory_bytes
            check_memory(needed, f"a raster of {grid.width:,} columns")

    def check_key(self, key: str) -> None:
        """Refuse to compute what would not fit to the parts of others.

        Raises:
            PartOfOtherKind: Theirs have another key.
        """
        if key != self.key:
            raise PartOfOtherKind(
                f"parts computed here ({self._runtime.device}, {self.tags['MFNET_PRECISION']}, "
                f"{self._runtime.name}) do not fit to those there are: they differ in model, "
                "options, device, runtime, or version",
                key=self.key,
                expected=key,
            )

    def map(
        self,
        out: Path,
        statistics: Path | None = None,
        confidence: Path | None = None,
        kept: KeptRows | None = None,
        tell: Callable[[str], None] = lambda message: None,
    ) -> dict[str, Any]:
        """The whole map, and its statistics; see `segment`.

        Args:
            out: As in `segment`, and so are `statistics`, `confidence` and `tell`.
            kept: Where finished rows are kept, from `kept_rows`.
        """
        height = self.pair.grid.height
        if kept is None:
            bands = ahead(self.map_rows(range(height)))
            return self._write(bands, out, statistics, confidence)
        if done := kept.done:
            tell(f"{done:,} of {height:,} rows are there from an earlier run, which goes on")
        to_come = ahead(self.map_rows(range(done, height)))
        rows = chain(kept.read(done), kept.keep(to_come, done))
        return self._write(rows, out, statistics, confidence)

    def kept_rows(self, out: Path) -> KeptRows | None:
        """Where the rows of this map are kept while it is computed; None where they are not.

        Over the network nobody knows whether the inputs are the same as in another run.
        """
        if any(told["sha256"] is None for told in self.inputs.values()):
            return None
        told = json.dumps([self._conditions, self.inputs], sort_keys=True)
        key = hashlib.sha256(told.encode()).hexdigest()[:32]
        return kept_rows(out, key, self.pair.grid, self._layers)

    def map_rows(self, rows: range) -> Generator[Band, None, None]:
        """Some rows as they are in the whole map, from the top, computed where they are wanted."""
        wanted, source = self._wanted, self.pair
        inside = rows if wanted is None else _common(rows, wanted.rows)
        yield from self._nothing(rows.start, inside.start)
        if inside:
            plan = self._sweep.plan.part(inside)
            sweep = replace(self._sweep, plan=plan)
            columns = None if wanted is None else plan.columns_for(wanted.columns)
            for band in sweep.run(source if columns is None else _Columns(source, columns)):
                self._finished(band)
                yield band
        yield from self._nothing(inside.stop, rows.stop)

    def _nothing(self, start: int, stop: int) -> Generator[Band, None, None]:
        """Rows of nodata, a few at a time."""
        rows = self._sweep.plan.window
        for row in range(start, stop, rows):
            empty = np.full((min(rows, stop - row), self.pair.grid.width), NODATA, np.uint8)
            yield Band(row, empty, empty.copy() if self._sweep.confidence else None)

    def map_part(self, rows: range, folder: Path) -> Path:
        """Computes a range of rows into a folder that processes share; at once if it is whole.

        Returns:
            The part's folder. It lies below `key`, so parts of other inputs, models or options
            never meet.
        """
        folder, grid = folder / self.key, self.pair.grid
        path = part_path(folder, rows)
        if is_whole(folder, rows, grid.width, self._layers):
            return path
        # Who starts on the first part wants to know whether there is room for all of them.
        to_come = (grid.height - rows.start) * grid.width + disk_bytes(grid)
        with PartWriter(folder, rows, grid.width, self._layers) as part:
            check_space([(folder, len(self._layers) * to_come)])
            for band in ahead(self.map_rows(rows)):
                layers = (band.classes_hW, band.confidence_hW)
                part.write(band.row, *(layer for layer in layers if layer is not None))
            self.pair.check_unchanged()
        return path

    def join(
        self,
        parts: Sequence[range],
        folder: Path,
        out: Path,
        statistics: Path | None = None,
        confidence: Path | None = None,
    ) -> dict[str, Any]:
        """The map of finished parts: what `map` writes and returns, byte for byte.

        Args:
            parts: Their rows, from the top, without a gap.
            folder: As given to `map_part`.
            out: As in `segment`, and so are the others.

        Raises:
            PartMissing: One is not there under our `key`.
        """
        return self._write(self._read_parts(parts, folder / self.key), out, statistics, confidence)

    def _read_parts(self, parts: Sequence[range], folder: Path) -> Iterator[Band]:
        for rows in parts:
            for row, (classes_hW, *percent_hW) in read_part(
                folder, rows, self.pair.grid.width, self._layers
            ):
                yield Band(row, classes_hW, percent_hW[0] if percent_hW else None)
                self._sweep.progress(row + len(classes_hW), self.pair.grid.height)

    def _write(
        self, bands: Iterable[Band], out: Path, statistics: Path | None, confidence: Path | None
    ) -> dict[str, Any]:
        """Rows from the top, wherever they come from, to the files of a map."""
        grid, config = self.pair.grid, self._runtime.config
        tags = self.tags | {"MFNET_INPUTS": json.dumps(self.inputs)}
        with ExitStack() as stack:
            classes = stack.enter_context(
                CogWriter(out, grid, description="land cover", scheme=config.classes, tags=tags)
            )
            percent = None
            if confidence is not None:
                percent = stack.enter_context(
                    CogWriter(confidence, grid, description="confidence, percent", tags=tags)
                )
            check_space(self._room(out, confidence))
            areas, sieved = ClassAreas(grid, config.classes), Sieved()
            for row, classes_hW in self._sieved(_keep_confidence(bands, percent), out, sieved):
                classes.write(row, classes_hW)
                areas.add(row, classes_hW)
            summary = areas.summary() | {
                "pair": self.pair.report.model_dump(mode="json"),
                "parameters": tags,
                "drift": self._drift().model_dump(mode="json"),
            }
            colour_alone = self.pair.height is None
            add_estimates(summary, config.metrics, config.name, colour_alone=colour_alone)
            if self._sieve_px is not None:
                summary["sieve"] = {"under_pixels": self._sieve_px, **asdict(sieved)}
            if self._wanted is not None:
                summary["area_remarks"] = [each.message for each in self._wanted.remarks]
            self.pair.check_unchanged()
            # What may still fail comes first; then everything appears, the class raster last.
            classes.finish(self._still_at_it)
            if percent:
                percent.finish(self._still_at_it)
            if statistics is not None:
                write_json(statistics, summary)
        return summary

    def _sieved(
        self, rows: Iterator[tuple[int, NDArray[np.uint8]]], out: Path, done: Sieved
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Rows of classes without islands, if that was asked for."""
        if self._sieve_px is None:
            return rows
        width = self.pair.grid.width
        return sieve(rows, width, self._sieve_px, out, working=self._sieving, done=done)

    def _room(self, out: Path, confidence: Path | None) -> Iterator[tuple[Path, int]]:
        """Folders, and the bytes that come into them."""
        grid = self.pair.grid
        yield from ((path.parent, disk_bytes(grid)) for path in (out, confidence) if path)
        if self._sieve_px is not None:
            yield out.parent, grid.height * grid.width

    def _sieving(self) -> None:
        if self._sweep.cancelled():
            raise Cancelled("cancelled by the caller")
        self._still_at_it()

    @cached_property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """Name and sha256 of each input by its role, and the sha256 of what is read beside it."""
        pair, report = self.pair, self.pair.report
        files = {"ortho": (pair.ortho, report.ortho)}
        if pair.height is not None and report.height is not None:
            files["height"] = pair.height.source, report.height
        if pair.dtm is not None and report.dtm is not None:
            files["dtm"] = (pair.dtm.source, report.dtm)
        return {
            role: {
                "file": told.file,
                "sha256": self._sha256(source.path),
                "beside": sorted(content_sha256(file) for file in source.sidecars.files),
            }
            for role, (source, told) in files.items()
        }

    def _sha256(self, path: Path) -> str | None:
        """Of an input; over the network, where more would be fetched for it than is mapped, as
        far as it is known."""
        behind = remote.known(path)
        return content_sha256(path, self._begin) if behind is None else behind.content.sha256

    def _begin(self) -> None:
        self._sweep.progress(0, len(self._sweep.plan))

    def _drift(self) -> Drift:
        return drift(self.pair, self._runtime.config)

    def _still_at_it(self) -> None:
        total = len(self._sweep.plan)
        self._sweep.progress(total, total)


def _keep_confidence(
    bands: Iterable[Band], percent: CogWriter | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Rows of classes; those of the confidence go into their file on the way."""
    for band in bands:
        if percent is not None and band.confidence_hW is not None:
            percent.write(band.row, band.confidence_hW)
        yield band.row, band.classes_hW


def _common(rows: range, wanted: range) -> range:
    """The rows of both; where there is none, an empty range at the end of the first."""
    start, stop = max(rows.start, wanted.start), min(rows.stop, wanted.stop)
    return range(start, stop) if start < stop else range(rows.stop, rows.stop)
