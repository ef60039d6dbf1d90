"""One run of `mfnet predict`: a pair is checked and mapped, then comes what is made of the map.

What takes seconds to import is imported where it is wanted: a refusal comes before the network.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mfnet.model.cli.console import progress, tell_remarks

if TYPE_CHECKING:
    from mfnet.model.config import ModelConfig
    from mfnet.model.inference.segment_options import SegmentOptions
    from mfnet.model.raster.pairs.area_of_interest import Area
    from mfnet.model.raster.pairs.pair import RasterPair
    from mfnet.model.raster.pairs.report import PairReport
    from mfnet.model.raster.products.areas.zone_areas import Zones
    from mfnet.model.raster.values.reading_options import ReadingOptions


@dataclass(frozen=True)
class MapRun:
    """What a run reads, how, and what it writes.

    Attributes:
        ortho: The orthophoto.
        height: The height raster, if there is one.
        dtm: What is subtracted from it.
        files: What is written, by its role; `classes` and `statistics` always.
        model: Name or file; `models_dir` where names are looked for, `config` what it says.
        reading: What the caller knows better than the files.
        how: How to compute.
        area: What alone is mapped.
        zones: What the classes are summed in.
        min_area_m2: Of polygons, m²; `simplify_m` of their borders, metres.
        resume: Go on from the rows that an interrupted run has left.
        as_json: Events in place of bars.
    """

    ortho: Path
    height: Path | None
    dtm: Path | None
    files: Mapping[str, Path]
    model: str
    models_dir: Path
    config: "ModelConfig"
    reading: "ReadingOptions"
    how: "SegmentOptions"
    area: "Area | None" = None
    zones: "Zones | None" = None
    min_area_m2: float = 0.0
    simplify_m: float = 0.0
    resume: bool = True
    as_json: bool = False

    def check(self) -> "PairReport":
        """Refuses what cannot be mapped or has no room, and tells what is odd.

        Damage in the last block should be found before hours of computing, not after.
        """
        from mfnet.model.atomic_files import check_space
        from mfnet.model.raster.files import remote
        from mfnet.model.raster.pairs.inspection import inspect_pair
        from mfnet.model.raster.products.disk_needs import disk_needs

        rasters = [path for path in (self.ortho, self.height, self.dtm) if path is not None]
        with progress("checking", "bytes", as_json=self.as_json) as advance:
            report = inspect_pair(
                *(self.ortho, self.height),
                dtm=self.dtm,
                model=self.config,
                options=self.reading,
                area=self.area,
                zones=self.zones,
                # What is not mapped is not fetched.
                quick=any(map(remote.known, rasters)),
                progress=advance,
            )
        tell_remarks(report)
        pixels = report.ortho.height * report.ortho.width
        needs = [*disk_needs(self.files, pixels, sieve=self.how.sieve is not None)]
        if self.area is None:  # of which the blocks alone are fetched
            read = (
                (self.ortho, report.ortho),
                (self.height, report.height),
                (self.dtm, report.dtm),
            )
            needs += [
                (path.parent, raster.declared_bytes)
                for path, raster in read
                if path is not None and raster is not None and remote.known(path)
            ]
        check_space(needs)
        return report

    def map(self, gsd_m: float | None) -> dict[str, Any]:
        """The map and its statistics; `gsd_m` is the side of a pixel."""
        from mfnet.model.inference.forecast import Stopwatch
        from mfnet.model.inference.runtimes.choose import open_runtime
        from mfnet.model.inference.segment import segment

        network = open_runtime(self.model, self.models_dir, self.how)
        with (
            _interruptible(self.files["classes"], resume=self.resume),
            progress("segmenting", "windows", as_json=self.as_json) as advance,
        ):
            clock, went_on = Stopwatch(advance), _Told()
            summary = segment(
                *(self.ortho, self.height, network, self.files["classes"]),
                dtm=self.dtm,
                statistics=self.files["statistics"],
                confidence=self.files.get("confidence"),
                reading=self.reading,
                options=self.how,
                area=self.area,
                resume=self.resume,
                tell=went_on.append,
                progress=clock,
            )
        if self.area is None and not went_on:  # else it says nothing of a whole map
            clock.keep(network, gsd_m, self.how)
        return summary

    def write_products(self, summary: dict[str, Any]) -> dict[str, Any] | None:
        """What is made of the map and its pair; returns what the map rests on, if asked for."""
        from mfnet.model.raster.products.areas.zone_areas import write_zone_areas
        from mfnet.model.raster.products.uncertainty_windows import write_least_sure

        rests_on = self._write_quality() if "quality" in self.files else None
        if "polygons" in self.files:
            self._write_polygons()
        if "least_sure" in self.files:
            write_least_sure(self.files["confidence"], self.files["least_sure"])
        if self.zones is not None:
            scheme = self.config.classes
            write_zone_areas(self.files["classes"], self.zones, [self.files["zones"]], scheme)
        if "stac" in self.files:
            self._write_stac(summary)
        return rests_on

    def _write_quality(self) -> dict[str, Any]:
        from mfnet.model.raster.pairs.area_of_interest import AreaOfInterest
        from mfnet.model.raster.pairs.quality import write_quality

        with self._pair() as pair:
            return write_quality(
                *(pair, self.files["quality"]),
                confidence=self.files.get("confidence"),
                wanted=None if self.area is None else AreaOfInterest.open(self.area, pair.grid),
            )

    def _write_polygons(self) -> None:
        from mfnet.model.raster.products.polygons.map_polygons import write_map_polygons

        with self._pair() as pair:
            write_map_polygons(
                *(self.files["classes"], self.files["polygons"], self.config.classes),
                min_area_m2=self.min_area_m2,
                simplify_m=self.simplify_m,
                heights=None if pair.height is None else pair.heights,
            )

    def _write_stac(self, summary: dict[str, Any]) -> None:
        from mfnet.model.raster.files.mosaic import files_of
        from mfnet.model.raster.products.stac_item import ModelAsset, write_stac_item
        from mfnet.model.weights.catalog import find

        where = ModelAsset(str(find(self.model, self.models_dir)))
        files = [file for file in files_of(self.ortho) if file.exists()]  # not over the network
        seen = max((file.stat().st_mtime for file in files), default=time.time())
        write_stac_item(self.files["stac"], summary, self.config, self.files, where, seen)

    def _pair(self) -> "RasterPair":
        from mfnet.model.raster.pairs.pair import RasterPair

        return RasterPair.open(self.ortho, self.height, dtm=self.dtm, options=self.reading)


class _Told(list[str]):
    """Messages, each said as it comes."""

    def append(self, message: str) -> None:
        super().append(message)
        typer.echo(f"Note: {message}", err=True)


@contextmanager
def _interruptible(out: Path, *, resume: bool) -> Iterator[None]:
    """Says how to go on where Ctrl-C ends a run that has kept some of its rows."""
    from mfnet.model.inference.kept_rows import folder_beside

    try:
        yield
    except KeyboardInterrupt:
        if resume and folder_beside(out).is_dir():
            typer.echo(
                "Interrupted; the same command goes on where it was. What is done lies in "
                f"{folder_beside(out)}",
                err=True,
            )
        raise
