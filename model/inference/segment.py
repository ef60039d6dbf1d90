"""The one path from a raster pair to a class raster; all who need a map call it."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rasterio

from mfnet.model.atomic_files import check_outputs, check_space, write_json
from mfnet.model.errors import PartOfOtherKind
from mfnet.model.inference.prefetch import ahead
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.rescaled import at_its_size
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.sliding_window import Band, Sweep
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.raster.pairs.drift import drift
from mfnet.model.raster.pairs.normalize import scalings
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.pairs.report import Drift
from mfnet.model.raster.products.class_areas import ClassAreas
from mfnet.model.raster.products.cog import CogWriter, disk_bytes
from mfnet.model.raster.products.part_rows import PartWriter, is_whole, part_path, read_part
from mfnet.model.raster.values.reading_options import ReadingOptions


def segment(
    ortho: Path,
    height: Path,
    model: Runtime,
    out: Path,
    *,
    dtm: Path | None = None,
    statistics: Path | None = None,
    confidence: Path | None = None,
    reading: ReadingOptions | None = None,
    options: SegmentOptions | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Maps an orthophoto and a height raster to classes.

    Args:
        ortho: The orthophoto, a GeoTIFF; the map lies on its grid.
        height: Heights above ground in metres, or a surface model if `dtm` is given.
        model: From `open_runtime`.
        out: The class raster, a COG; its `.aux.xml` and `.qml` are written beside it.
        dtm: Terrain model to subtract from `height`.
        statistics: JSON file for what this function returns.
        confidence: COG for the winning class's share, percent.
        reading: What the caller knows better than the files: unit of the heights, white, bands …
        options: How to compute.
        progress: Called with the windows done and their total.
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
        whole = Segmentation(
            pair,
            model,
            options,
            confidence=confidence is not None,
            progress=progress,
            cancelled=cancelled,
        )
        return whole.map(out, statistics, confidence)


class Segmentation:
    """A pair and a network, for one map: made at once, or in parts by any number of processes.

    Every process opens the pair and loads the network for itself; what each part must fit to is
    in `key`. Where the raster is cut, and who computes which part how often, changes no byte.

    Args:
        pair: Open; it stays so.
        model: From `open_runtime`.
        options: How to compute.
        confidence: Also say how sure the network is.
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
        progress: Callable[[int, int], None] = lambda done, total: None,
        cancelled: Callable[[], bool] = lambda: False,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        options = options or SegmentOptions()
        self._runtime = runtime = at_its_size(model.at(pair.grid.gsd_m), pair.grid.gsd_m)
        config = runtime.config
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
            progress=progress,
            cancelled=cancelled,
        )
        self._layers = ("classes", "confidence") if confidence else ("classes",)
        self.tags = {
            "MFNET_VERSION": version("mfnet"),
            "MFNET_MODEL": config.name,
            "MFNET_WINDOW": str(config.window_px),
            "MFNET_STRIDE": str(stride),
            "MFNET_BLEND": options.blend,
            "MFNET_PRECISION": runtime.precision,
            "MFNET_RUNTIME": runtime.name,
            "MFNET_READING": pair.report.reading.model_dump_json(exclude_defaults=True),
            "MFNET_REMARKS": "\n".join(f"{r.code}: {r.message}" for r in pair.report.remarks),
            **(tags or {}),
        }

    @cached_property
    def key(self) -> str:
        """A name for everything that the bytes of a part depend on, its rows aside."""
        told = self.tags | {
            "files": [(stamp.size_bytes, stamp.modified_ns) for stamp in self.pair.stamps],
            "model": self._runtime.fingerprint,
            "layers": self._layers,
            "batch_size": self._sweep.batch_size,
            "device": self._runtime.device,
            "gdal": rasterio.__gdal_version__,  # which warps
            **self._runtime.conditions,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]

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
        self, out: Path, statistics: Path | None = None, confidence: Path | None = None
    ) -> dict[str, Any]:
        """The whole map, and its statistics; see `segment`."""
        return self._write(ahead(self._sweep.run(self.pair)), out, statistics, confidence)

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
        sweep = replace(self._sweep, plan=self._sweep.plan.part(rows))
        with PartWriter(folder, rows, grid.width, self._layers) as part:
            check_space([(folder, len(self._layers) * to_come)])
            for band in ahead(sweep.run(self.pair)):
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
        return self._write(self._finished(parts, folder / self.key), out, statistics, confidence)

    def _finished(self, parts: Sequence[range], folder: Path) -> Iterator[Band]:
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
        grid, scheme = self.pair.grid, self._runtime.config.classes
        with ExitStack() as stack:
            classes = stack.enter_context(
                CogWriter(out, grid, description="land cover", scheme=scheme, tags=self.tags)
            )
            percent = confidence and stack.enter_context(
                CogWriter(confidence, grid, description="confidence, percent", tags=self.tags)
            )
            check_space((path.parent, disk_bytes(grid)) for path in (out, confidence) if path)
            areas = ClassAreas(grid, scheme)
            for band in bands:
                classes.write(band.row, band.classes_hW)
                areas.add(band.row, band.classes_hW)
                if percent and band.confidence_hW is not None:
                    percent.write(band.row, band.confidence_hW)
            summary = areas.summary() | {
                "pair": self.pair.report.model_dump(mode="json"),
                "parameters": self.tags,
                "drift": self._drift().model_dump(mode="json"),
            }
            self.pair.check_unchanged()
            # What may still fail comes first; then everything appears, the class raster last.
            classes.finish(self._still_at_it)
            if percent:
                percent.finish(self._still_at_it)
            if statistics is not None:
                write_json(statistics, summary)
        return summary

    def _drift(self) -> Drift:
        return drift(self.pair, self._runtime.config)

    def _still_at_it(self) -> None:
        total = len(self._sweep.plan)
        self._sweep.progress(total, total)
