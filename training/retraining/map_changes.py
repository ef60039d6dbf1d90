"""What would change on a user's maps if a retrained model took its parent's place."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mfnet.model.atomic_files import write_json
from mfnet.model.errors import InputError
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import Segmentation
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.map_diff import write_changes
from mfnet.model.raster.products.pictures.row_preview import draw_classes
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.model.weights.checkpoint import load_model

CHANGES = "changes.json"
MOST_PIXELS = 50_000_000
"""Of a raster that is mapped twice for this: a larger one would take longer than the training."""


@dataclass(frozen=True)
class RecentMap:
    """A map that a user had made.

    Attributes:
        job: Its id.
        ortho: The orthophoto.
        height: The heights.
        dtm: To be subtracted from them.
        options: Of `SegmentOptions`: stride, blend, tta.
        reading: Of `ReadingOptions`.
    """

    job: str
    ortho: Path
    height: Path
    dtm: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)
    reading: dict[str, Any] = field(default_factory=dict)


def show_changes(
    maps: Sequence[RecentMap],
    parent: Path,
    candidate: Path,
    out: Path,
    models_dir: Path,
    progress: Callable[[int, int], None],
) -> None:
    """Maps each place by both models; writes `changes-<job>.tif`, `.png` and `changes.json`.

    A map that cannot be made any more is left out, and the JSON says so: its rasters may have been
    removed, or be too large. A retraining of hours is not lost for it.

    Args:
        maps: The places.
        parent: The file of a model.
        candidate: That of another, with the same classes.
        out: Folder of the results.
        models_dir: Of SAM's weights.
        progress: Called with the maps done and their total, and more often than that.
    """
    runtimes = [TorchRuntime(load_model(path, models_dir)) for path in (parent, candidate)]
    found = {}
    for number, place in enumerate(maps):

        def alive(_done: int, _total: int, number: int = number) -> None:
            progress(number, len(maps))

        target = out / f"changes-{place.job}.tif"
        try:
            found[place.job] = _show(place, runtimes, target, alive)
        except InputError as error:
            found[place.job] = {"left_out": error.message}
        except Exception:
            # Anything may come out of drivers and decoders. What exactly is for the log alone.
            traceback.print_exc()
            found[place.job] = {"left_out": "it could not be mapped; the service's log says why"}
    write_json(out / CHANGES, {"jobs": found})


def _show(
    place: RecentMap,
    runtimes: Sequence[TorchRuntime],
    target: Path,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    with TemporaryDirectory(prefix="changes-", dir=target.parent.parent) as folder:
        made = []
        for number, runtime in enumerate(runtimes):
            reading = ReadingOptions(**place.reading)
            with RasterPair.open(place.ortho, place.height, dtm=place.dtm, options=reading) as pair:
                if pair.grid.height * pair.grid.width > MOST_PIXELS:
                    return {"left_out": f"it has more than {MOST_PIXELS:,} pixels"}
                path = Path(folder) / f"{number}.tif"
                options = SegmentOptions(**place.options)
                Segmentation(pair, runtime, options, progress=progress).map(path)
                made.append(path)
        scheme = runtimes[0].config.classes
        changes = write_changes(made[0], made[1], target, scheme)
        draw_classes(target, target.with_suffix(".png"), scheme)
        return changes
