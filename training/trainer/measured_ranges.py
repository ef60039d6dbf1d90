"""What a training shows to a network, for its users to compare their rasters with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.classes import NODATA
from mfnet.model.config import Modality
from mfnet.model.input_ranges import Range, Seen, range_of, seen_band
from mfnet.model.raster.files.sample_windows import sample_windows
from mfnet.model.weights.catalog import read_config
from mfnet.training.datasets.readers.pair_files import gsd_of_own
from mfnet.training.datasets.tiles.interface import Area, Pool
from mfnet.training.datasets.tiles.samples import Sample
from mfnet.training.trainer.run_state import Run

TILES = 256
"""At most so many are looked at, spread evenly: two minutes where they are large files."""


def seen_by(run: Run, pool: Pool) -> Seen:
    """What a run's model has seen when it is done: the pool, and what its parent had seen."""
    own = seen_in(pool, run.net.config.modalities, run.recipe.data.gsd_m)
    parent = None if run.origin.parent is None else read_config(run.origin.parent).seen
    return own if parent is None else parent.joined(own)


def seen_in(pool: Pool, modalities: Sequence[Modality], gsd_m: float | None) -> Seen:
    """The inputs of a pool, from the sample of each tile that a raster of a user's is judged by.

    Windows are as they lie in the files: augmentation is there to be safe from small differences,
    not to be used up by them.

    Args:
        pool: To learn from.
        modalities: Of the network.
        gsd_m: Of tiles whose files do not say it.
    """
    areas = _spread(pool.areas)
    tiles = [_sampled(area, modalities) for area in areas]
    bands = {}
    for modality in modalities:
        known = [tile[modality.name] for tile in tiles if tile[modality.name].size]
        if known:
            bands[modality.name] = tuple(
                seen_band([values[band] for values in known]) for band in range(modality.bands)
            )
    return Seen(bands=bands, gsd_m=_gsd(areas, gsd_m), tiles=len(areas))


def _spread(areas: Sequence[Area]) -> list[Area]:
    step = max(1, -(-len(areas) // TILES))
    return list(areas[::step])


def _sampled(area: Area, modalities: Sequence[Modality]) -> dict[str, NDArray[np.float32]]:
    """Valid pixels of a tile by modality, (bands, n), in the modality's unit."""
    left, top = area.window.col_off, area.window.row_off
    parts: dict[str, list[NDArray[np.float32]]] = {modality.name: [] for modality in modalities}
    for window in sample_windows(area.window.height, area.window.width):
        place = Window(left + window.col_off, top + window.row_off, window.width, window.height)
        sample = area.tile.read(place)
        for modality in modalities:
            parts[modality.name].append(_valid(sample, modality))
    return {name: np.concatenate(found, axis=1) for name, found in parts.items()}


def _valid(sample: Sample, modality: Modality) -> NDArray[np.float32]:
    """Valid pixels of a window, (bands, n), in the modality's unit."""
    values = np.asarray(sample.rasters[modality.name], np.float32)
    valid = np.isfinite(values).all(axis=0)
    if modality.unit == "metre":
        return np.maximum(values[:, valid], 0)  # as the network sees them
    # Where an orthophoto has no data, it is black and not to be learned.
    valid &= (values != 0).any(axis=0) | (sample.truth != NODATA)
    return values[:, valid] / np.float32(sample.white)


def _gsd(areas: Sequence[Area], told: float | None) -> Range | None:
    known = [gsd for area in areas if (gsd := gsd_of_own(area.tile) or told) is not None]
    return range_of(known) if known else None
