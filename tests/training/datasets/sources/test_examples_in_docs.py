"""The examples of the pages about labelled tiles work."""

import re
from pathlib import Path

import numpy as np
from standins.folder import CRS, place, squares, write_geopackage, write_tile
from standins.isprs import HEIGHTS_M
from standins.scenes import class_map, write

from mfnet.training.config.data import FolderRecipe
from mfnet.training.datasets.sources.folder_manifest import read_manifest
from mfnet.training.datasets.sources.open_data import open_data
from mfnet.training.datasets.sources.paper_layout import read_split

DOCS = Path(__file__).parents[4] / "docs"
PAGE = (DOCS / "how-to" / "prepare-tiles.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_manifest_can_be_used_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text(next(e for e in EXAMPLES if "[[tiles]]" in e))
    for number, name in enumerate(("north", "south", "west")):
        where = {"crs": CRS, "transform": place(str(number))}
        labels = class_map(number, 64, 80, 5)
        write(tmp_path / name / "ortho.tif", np.stack([labels * 20 + 9] * 3), **where)
        write(tmp_path / name / "labels.tif", labels[None], **where)
        heights = HEIGHTS_M[labels][None]
        write(tmp_path / name / "ndsm.tif", heights, **where)
        write(tmp_path / name / "dsm.tif", heights + 250, **where)
        write(tmp_path / name / "dtm.tif", np.full_like(heights, 250), **where)
    shapes, values = squares(write_tile(tmp_path / "spare", "1"))
    write_geopackage(tmp_path / "labels.gpkg", shapes, values)
    data = open_data(FolderRecipe(kind="folder", folder=tmp_path), 32)
    assert [area.tile.name for area in data.test()] == ["west"]
    assert len(data.train) == len(data.validation) == 1


def test_a_tiles_own_readings_come_first(tmp_path: Path) -> None:
    example = next(e for e in EXAMPLES if "reading = " in e)
    (tmp_path / "manifest.toml").write_text(example)
    manifest = read_manifest(tmp_path)
    options = manifest.options(manifest.tiles[0])
    assert (options.height_unit, options.height_offset, options.collar) == ("m", 0, False)


def test_a_scheme_of_ones_own_is_one(tmp_path: Path) -> None:
    example = next(e for e in EXAMPLES if "[[classes]]" in e)
    tile = '[[tiles]]\nname = "a"\northo = "a.tif"\nheight = "h.tif"\nlabels = "l.tif"\n'
    (tmp_path / "manifest.toml").write_text(example + tile)
    scheme = read_manifest(tmp_path).scheme()
    assert scheme.names == ("road", "other")
    assert [c.foreground for c in scheme.classes] == [True, False]


def test_the_splits_in_the_document_are_those_of_the_package() -> None:
    text = (DOCS / "reference" / "data-sets.md").read_text(encoding="utf-8")
    for name in ("vaihingen", "potsdam"):
        split = read_split(name)
        row = [" ".join(ids) for ids in (split.train, split.validation, split.test)]
        assert f"| {name.capitalize()} | {' | '.join(row)} |" in text
