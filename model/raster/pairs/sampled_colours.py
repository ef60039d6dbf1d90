"""What an orthophoto's sample says of its colours: white, collars and holes, and what is odd."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rasterio.windows import Window

from mfnet.model.raster.files.file_stamp import Stamp
from mfnet.model.raster.files.geotiff import GeoTiff
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.collars import Collar, find_collars, find_collars_of
from mfnet.model.raster.values.colour_bands import decide_white, tell_of_no_colours
from mfnet.model.raster.values.damage.lines import (
    find_copied_lines,
    tell_of_copied_lines,
    tell_of_copied_parts,
    tell_of_lost_bands,
)
from mfnet.model.raster.values.damage.one_colour import find_one_colour, tell_of_one_colour
from mfnet.model.raster.values.dull_colours import (
    tell_of_drawing,
    tell_of_dull_colours,
    tell_of_hidden_picture,
)
from mfnet.model.raster.values.flat_colours import flat_of, is_painted
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
            found = _collars(ortho, self.white, windows, read)
            self.collars = tuple(collar for collar in found if collar.certain)
            self.remarks += [_nearly_plain(file, each) for each in found if not each.certain]
        _clear(self.collars, windows, read)
        area = ortho.grid.height * ortho.grid.width
        for collar in self.collars:
            self.remarks.append(_no_data(file, collar, 100 * collar.pixels / area))
        self.valid = [valid for _, valid in read]
        self.pixels = valid_pixels(read)
        if not any(each.code == "ortho.collar_maybe" for each in self.remarks):
            self.remarks += tell_of_one_colour(file, find_one_colour(read, self.white))
        copied = find_copied_lines(read)
        self.remarks += tell_of_copied_lines(file, "ortho", copied)
        if copied is None:
            self.remarks += tell_of_copied_parts(file, "ortho", read)
        self.remarks += tell_of_lost_bands(file, read, ortho.bands, self.white)
        self.remarks += tell_of_drawing(file, read)
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


def _clear(
    collars: Sequence[Collar],
    windows: Sequence[Window],
    read: Sequence[tuple[np.ndarray, np.ndarray]],
) -> None:
    """Sets the validity of windows that were read to False within collars."""
    for window, (_, valid) in zip(windows, read, strict=True):
        for collar in collars:
            collar.clear(valid, window)


def _of_one_colour(
    ortho: GeoTiff,
    white: float,
    windows: Sequence[Window],
    sample: Sequence[tuple[np.ndarray, np.ndarray]],
    found: Sequence[Collar],
) -> list[Collar]:
    """Collars and holes of a colour that stands out in what is left of the sample."""
    rest = [(values, valid.copy()) for values, valid in sample]
    _clear(found, windows, rest)
    one = find_one_colour(rest, white)
    if one is None or is_painted(flat_of(one.colour, white), rest):
        return []

    def read(window: Window) -> tuple[np.ndarray, np.ndarray]:
        values, valid = ortho.read(window)
        _clear(found, [window], [(values, valid)])
        return values, valid

    return find_collars_of(read, ortho.grid.height, ortho.grid.width, one.colour, white)


def _collars(
    ortho: GeoTiff,
    white: float,
    windows: Sequence[Window],
    sample: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[Collar, ...]:
    """Those of a file that was opened before are known: a worker opens it for each part."""
    key = (Stamp.of(ortho.path), ortho.bands, ortho.alpha, ortho.premultiplied, white)
    if key not in _FOUND:
        tiled = ortho.layout.block_width < ortho.grid.width
        side = (ortho.grid.height, ortho.grid.width)
        found = find_collars(ortho.read, *side, white, columns_are_cheap=tiled, sample=sample)
        found += _of_one_colour(ortho, white, windows, sample, found)
        if len(_FOUND) >= _FILES_KEPT:
            _FOUND.pop(next(iter(_FOUND)))
        _FOUND[key] = tuple(found)
    return _FOUND[key]
