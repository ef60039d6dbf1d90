"""What an orthophoto's sample says of its colours: white, collars and holes, and what is odd."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rasterio.windows import Window

from mfnet.model.raster.files.file_stamp import Stamp
from mfnet.model.raster.files.geotiff import GeoTiff
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.collars import Collar, find_collars
from mfnet.model.raster.values.colour_bands import decide_white, tell_of_no_colours
from mfnet.model.raster.values.dull_colours import tell_of_dull_colours, tell_of_hidden_picture
from mfnet.model.raster.values.reading_options import ReadingOptions

_FILES_KEPT = 4
_FOUND: dict[tuple[Any, ...], tuple[Collar, ...]] = {}
"""Collars by file, its state, and how it is read: to find them the whole file is read."""


class SampledColours:
    """The orthophoto's sample, and what it says.

    Attributes:
        white: The digital number of full reflectance.
        collars: Of the whole raster, holes among them, that hold no data.
        valid: (h, w) of each window, False in collars.
        pixels: The valid ones of all windows, (bands, n).
        remarks: What was decided, and what is odd.
    """

    def __init__(self, ortho: GeoTiff, windows: Sequence[Window], options: ReadingOptions) -> None:
        file = ortho.path.name
        read = [ortho.read(window) for window in windows]
        self.white, self.remarks = decide_white(file, valid_pixels(read), ortho.scale, options)
        self.remarks += tell_of_no_colours(file, [values for values, _ in read], ortho.nodata)
        self.remarks += tell_of_hidden_picture(file, read)
        self.collars: tuple[Collar, ...] = ()
        if options.collar:
            found = _collars(ortho, self.white, read)
            self.collars = tuple(collar for collar in found if collar.certain)
            self.remarks += [_nearly_plain(file, each) for each in found if not each.certain]
        for window, (_, valid) in zip(windows, read, strict=True):
            for collar in self.collars:
                collar.clear(valid, window)
        area = ortho.grid.height * ortho.grid.width
        for collar in self.collars:
            self.remarks.append(_no_data(file, collar, 100 * collar.pixels / area))
        self.valid = [valid for _, valid in read]
        self.pixels = valid_pixels(read)
        self.remarks += tell_of_dull_colours(file, self.pixels, ortho.bands, self.white)


def valid_pixels(windows: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The valid pixels (bands, n) of windows."""
    return np.concatenate([values[:, valid] for values, valid in windows], axis=1)


def _no_data(file: str, collar: Collar, percent: float) -> Remark:
    size = f"{collar.pixels:,} pixels ({percent:.1f} %)"
    if collar.inside:
        message = (
            f"{file}: {size} inside are {collar.colour} throughout, with sharp borders, and hold "
            "no data; --no-collar if they are ground"
        )
        return Remark(code="ortho.hole", message=message)
    message = (
        f"{file}: a {collar.colour} collar of {size} is joined to the rim and holds no data; "
        "--no-collar if it is ground"
    )
    return Remark(code="ortho.collar", message=message)


def _nearly_plain(file: str, collar: Collar) -> Remark:
    message = (
        f"{file}: {collar.pixels:,} pixels joined to the rim are {collar.colour}, or nearly so, "
        "and are mapped as ground; if they are a collar, nearblack -setalpha takes it out (with "
        "-white for a bright one)"
    )
    return Remark(code="ortho.collar_maybe", message=message)


def _collars(
    ortho: GeoTiff, white: float, sample: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[Collar, ...]:
    """Those of a file that was opened before are known: a worker opens it for each part."""
    key = (Stamp.of(ortho.path), ortho.bands, ortho.alpha, white)
    if key not in _FOUND:
        tiled = ortho.layout.block_width < ortho.grid.width
        height, width = ortho.grid.height, ortho.grid.width
        found = find_collars(
            *(ortho.read, height, width, white), columns_are_cheap=tiled, sample=sample
        )
        if len(_FOUND) >= _FILES_KEPT:
            _FOUND.pop(next(iter(_FOUND)))
        _FOUND[key] = tuple(found)
    return _FOUND[key]
