"""Pairs of two folders: by what their names share, else by where they lie."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin

from mfnet.model.errors import RasterMissing
from mfnet.model.raster.pairs.match_pairs import match_pairs

MakeTiff = Callable[..., Path]


@pytest.fixture
def folders(tmp_path: Path, make_tiff: MakeTiff) -> Callable[..., dict[str, Path]]:
    """Folders of orthophotos and heights; `name: column`, rasters of 20 m side by side."""

    def make(orthos: dict[str, int], heights: dict[str, int]) -> dict[str, Path]:
        for folder, names, shape in (("o", orthos, (3, 40, 40)), ("h", heights, (40, 40))):
            (tmp_path / folder).mkdir()
            for name, column in names.items():
                dtype = "uint8" if folder == "o" else "float32"
                place = from_origin(500_000 + 20 * column, 5_700_000, 0.5, 0.5)
                made = make_tiff("new.tif", np.full(shape, 7, dtype), transform=place)
                made.rename(tmp_path / folder / name)
        return {"ortho": tmp_path / "o", "height": tmp_path / "h"}

    return make


def pairs(given: dict[str, Path]) -> dict[str, str | None]:
    return {
        match.files["ortho"].name: match.files["height"].name if "height" in match.files else None
        for match in match_pairs(given)
    }


def test_names_that_differ_by_words_that_all_of_a_folder_share(
    folders: Callable[..., dict[str, Path]],
) -> None:
    given = folders(
        {"dop_32_1_RGB.tif": 0, "dop_32_2_RGB.tif": 1, "dop_32_3_RGB.tif": 2},
        {"ndsm_1.tif": 2, "ndsm_2.tif": 1, "NDSM_4.tif": 0},  # elsewhere: the name counts
    )
    assert pairs(given) == {
        "dop_32_1_RGB.tif": "ndsm_1.tif",
        "dop_32_2_RGB.tif": "ndsm_2.tif",
        "dop_32_3_RGB.tif": None,
    }
    (third,) = [match for match in match_pairs(given) if match.lacking]
    assert third.lacking == ("height",)


def test_names_that_say_nothing_leave_it_to_the_place(
    folders: Callable[..., dict[str, Path]],
) -> None:
    given = folders({"a.tif": 0, "b.tif": 1, "far.tif": 9}, {"x.tif": 1, "y.tif": 0})
    assert pairs(given) == {"a.tif": "y.tif", "b.tif": "x.tif", "far.tif": None}


def test_where_one_name_agrees_the_others_are_found_by_place(
    folders: Callable[..., dict[str, Path]],
) -> None:
    given = folders({"site_a.tif": 0, "site_b.tif": 1}, {"a.tif": 0, "north.tif": 1})
    assert pairs(given) == {"site_a.tif": "a.tif", "site_b.tif": "north.tif"}


def test_a_name_of_which_nothing_is_left_agrees_with_none(
    folders: Callable[..., dict[str, Path]],
) -> None:
    given = folders({"tile_1_1.tif": 0, "tile_1_2.tif": 1}, {"dsm_1_2.tif": 1, "dsm_2_2.tif": 5})
    assert pairs(given) == {"tile_1_1.tif": None, "tile_1_2.tif": "dsm_1_2.tif"}


def test_a_single_height_raster_belongs_to_all(folders: Callable[..., dict[str, Path]]) -> None:
    given = folders({"a.tif": 0, "b.tif": 1}, {"whole.tif": 0})
    given["height"] /= "whole.tif"
    assert pairs(given) == {"a.tif": "whole.tif", "b.tif": "whole.tif"}


def test_a_damaged_file_is_matched_by_name_or_not_at_all(
    folders: Callable[..., dict[str, Path]],
) -> None:
    given = folders({"a.tif": 0, "b.tif": 1}, {"x.tif": 0, "y.tif": 1})
    (given["ortho"] / "b.tif").write_bytes(b"no raster")
    assert pairs(given) == {"a.tif": "x.tif", "b.tif": None}


def test_an_empty_folder_is_refused(folders: Callable[..., dict[str, Path]]) -> None:
    with pytest.raises(RasterMissing):
        match_pairs(folders({"a.tif": 0}, {}))
