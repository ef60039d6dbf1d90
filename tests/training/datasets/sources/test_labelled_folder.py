"""A folder of one's own tiles: what is read on which grid, split how, refused with which words."""

import hashlib
import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.warp import transform
from rasterio.windows import Window
from standins.folder import (
    CRS,
    GSD_M,
    OwnTile,
    manifest,
    place,
    squares,
    write_geopackage,
    write_tile,
)
from standins.isprs import COLOURS, HEIGHTS_M
from standins.scenes import coloured, write

from mfnet.model.errors import BadLabels, BadManifest, DataMismatch, DataMissing, InputError
from mfnet.training.config.data import FolderRecipe
from mfnet.training.datasets.sources.open_data import class_scheme, open_data
from mfnet.training.datasets.splitting.spatial_blocks import blocks, draw_ends
from mfnet.training.datasets.tiles.interface import Splits

NAMES = ("0", "1", "2", "3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four tiles and their manifest."""
    for name in NAMES:
        write_tile(tmp_path, name)
    (tmp_path / "manifest.toml").write_text(manifest(NAMES))
    return tmp_path


def open_folder(folder: Path, window_px: int = 32, **keys: object) -> Splits:
    recipe = FolderRecipe(kind="folder", folder=folder, **keys)  # type: ignore[arg-type]
    return open_data(recipe, window_px)


def own(name: str, folder: Path) -> OwnTile:
    return write_tile(folder / "again", name)


def everything(data: Splits) -> dict[str, tuple[str, object]]:
    """What each tile is for, and the tile, by name."""
    ends = {"train": data.train.areas, "validation": data.validation.areas, "test": data.test()}
    return {a.tile.name: (end, a.tile) for end, areas in ends.items() for a in areas}


# ---- what is read ----------------------------------------------------------------------------


def test_each_tile_is_read_on_its_orthophotos_grid(folder: Path) -> None:
    data = open_folder(folder)
    assert data.scheme.name == "isprs"
    for area in (*data.train.areas, *data.validation.areas, *data.test()):
        truth = own(area.tile.name, folder).truth
        part = area.tile.read(Window(9, 5, 50, 40))
        seen = truth[5:45, 9:59]
        assert np.array_equal(part.truth, seen)
        assert np.array_equal(part.rasters["ortho"][0], seen * 40 + 5)
        heights = part.rasters["ndsm"][0]
        # a coarser raster is interpolated: exact inside of the squares, mixed where two meet
        inside = np.isclose(heights, HEIGHTS_M[seen], atol=1e-3)
        assert inside.mean() > 0.7
        assert (part.white, part.metre) == (255, 1)


def test_a_tile_may_have_a_white_point_of_its_own(folder: Path) -> None:
    toml = manifest(NAMES, head='classes = "isprs"\nwhite = 400.0').replace(
        'name = "1"', 'name = "1"\nwhite = 500.0'
    )
    (folder / "manifest.toml").write_text(toml)
    tiles = {name: tile for name, (_, tile) in everything(open_folder(folder)).items()}
    white = {name: tile.read(Window(0, 0, 4, 4)).white for name, tile in tiles.items()}
    assert white == {"0": 400, "1": 500, "2": 400, "3": 400}


def test_a_file_must_have_the_sha256_that_the_manifest_says(folder: Path) -> None:
    labels = folder / "2_labels.tif"
    digest = hashlib.sha256(labels.read_bytes()).hexdigest()
    told = f'name = "2"\nsha256 = {{ labels = "{digest}" }}'
    (folder / "manifest.toml").write_text(manifest(NAMES).replace('name = "2"', told))
    open_folder(folder)
    labels.write_bytes(labels.read_bytes() + b" ")
    with pytest.raises(DataMismatch, match="tile '2': its labels has sha256"):
        open_folder(folder)


def test_a_surface_model_less_the_terrain_is_the_height(folder: Path) -> None:
    for name in NAMES:
        truth = own(name, folder).truth
        where = {"crs": CRS, "transform": place(name)}
        write(folder / f"{name}_height.tif", (HEIGHTS_M[truth] + 300)[None], **where)
        write(folder / f"{name}_dtm.tif", np.full((1, 64, 80), 300, np.float32), **where)
    text = manifest(NAMES)
    for name in NAMES:
        text = text.replace(f'"{name}_height.tif"', f'"{name}_height.tif"\ndtm = "{name}_dtm.tif"')
    (folder / "manifest.toml").write_text(text)
    tile = open_folder(folder).train.areas[0].tile
    heights = tile.read(Window(0, 0, 80, 64)).rasters["ndsm"][0]
    np.testing.assert_allclose(heights, HEIGHTS_M[own(tile.name, folder).truth], atol=1e-3)


def test_where_there_is_no_orthophoto_nothing_is_learned(folder: Path) -> None:
    ortho = np.full((3, 64, 80), 7, np.uint8)
    ortho[:, :, 40:] = 0
    write(folder / "0_ortho.tif", ortho, crs=CRS, transform=place("0"), nodata=0)
    _, tile = everything(open_folder(folder))["0"]
    truth = tile.read(Window(0, 0, 80, 64)).truth  # type: ignore[attr-defined]
    assert (truth[:, 40:] == 255).all()
    assert (truth[:, :40] < 6).all()


def test_labels_of_another_grid_are_brought_onto_the_orthophotos(folder: Path) -> None:
    truth = own("0", folder).truth
    finer = np.kron(truth, np.ones((3, 3), np.uint8)).astype(np.uint8)
    where = {"crs": CRS, "transform": place("0", gsd=GSD_M / 3)}
    write(folder / "0_labels.tif", finer[None], **where)
    _, tile = everything(open_folder(folder))["0"]
    assert np.array_equal(tile.truth(Window(0, 0, 80, 64)), truth)  # type: ignore[attr-defined]
    east = place("0", east=16 * GSD_M)
    write(folder / "0_labels.tif", truth[None], crs=CRS, transform=east)
    _, tile = everything(open_folder(folder))["0"]
    moved = tile.truth(Window(0, 0, 80, 64))  # type: ignore[attr-defined]
    assert (moved[:, :16] == 255).all()
    assert np.array_equal(moved[:, 16:], truth[:, :-16])


def test_labels_may_be_colours_numbers_of_ones_own_or_without_a_place(folder: Path) -> None:
    truth = own("0", folder).truth
    for bands, head in (
        (coloured(truth, COLOURS), 'classes = "isprs"'),
        (truth[None], 'classes = "isprs"'),
        (
            np.where(truth == 5, 0, truth + 1)[None].astype(np.int16),
            'classes = "isprs"\n[labels]\nignore = [0]\n[labels.values]\n1 = "impervious_surface"\n'
            '2 = "building"\n3 = "low_vegetation"\n4 = "tree"\n5 = "car"\n',
        ),
    ):
        for name in NAMES:
            write(folder / f"{name}_labels.tif", bands)
        (folder / "manifest.toml").write_text(manifest(NAMES, head=head))
        _, tile = everything(open_folder(folder))["0"]
        expected = np.where(truth == 5, 255, truth) if "ignore" in head else truth
        assert np.array_equal(tile.truth(Window(0, 0, 80, 64)), expected)  # type: ignore[attr-defined]


def test_the_legend_decides_what_a_declared_nodata_value_is(folder: Path) -> None:
    truth = own("0", folder).truth
    truth[:3] = 9
    where = {"crs": CRS, "transform": place("0")}
    write(folder / "0_labels.tif", truth[None], **where, nodata=9)
    truth[:3] = 255
    data = open_folder(folder)
    assert truth_of("0", data) == truth.tolist()
    assert not [told for told in data.remarks if "nodata" in told]
    write(folder / "0_labels.tif", truth[None], **where, nodata=0)
    data = open_folder(folder)
    assert truth_of("0", data) == truth.tolist()
    pixels = int((truth == 0).sum())
    told = (
        f"0_labels.tif: {pixels:,} pixels have the value 0, which the file declares as nodata and "
        "the legend names 'impervious_surface': they are that class; ignore = [0] under [labels] "
        "of manifest.toml if they are unlabelled"
    )
    assert told in data.remarks
    head = 'classes = "isprs"\n[labels]\nignore = [0]'  # as the remark says
    (folder / "manifest.toml").write_text(manifest(NAMES, head=head))
    data = open_folder(folder)
    assert truth_of("0", data) == np.where(truth == 0, 255, truth).tolist()
    assert not [told for told in data.remarks if "nodata" in told]


def truth_of(name: str, data: Splits) -> object:
    _, tile = everything(data)[name]
    return tile.truth(Window(0, 0, 80, 64)).tolist()  # type: ignore[attr-defined]


def test_polygons_are_drawn_as_a_raster_of_them_would_be(folder: Path) -> None:
    names = class_scheme(FolderRecipe(kind="folder", folder=folder)).names
    drawn = [pair for name in NAMES for pair in zip(*squares(own(name, folder)), strict=True)]
    shapes, values = zip(*drawn, strict=True)
    spelled = (str, str.upper, lambda name: name.replace("_", " ").title())
    classes = [spelled[i % 3](names[value]) for i, value in enumerate(values)]
    write_geopackage(folder / "all.gpkg", shapes, classes)
    rasters = open_folder(folder)
    text = (folder / "manifest.toml").read_text()
    for name in NAMES:
        text = text.replace(f"{name}_labels.tif", "all.gpkg")
    (folder / "manifest.toml").write_text(text)
    polygons = open_folder(folder)
    window = Window(7, 3, 61, 50)
    for one, other in zip(rasters.train.areas, polygons.train.areas, strict=True):
        assert np.array_equal(one.tile.truth(window), other.tile.truth(window))
    assert rasters.train.census is not None
    assert polygons.train.census is not None
    assert np.array_equal(rasters.train.census.pixels, polygons.train.census.pixels)


def test_polygons_of_another_crs_lie_on_background(folder: Path) -> None:
    left, top = place("0") * (20, 10)
    right, bottom = place("0") * (60, 50)
    ring = shapely.box(left, bottom, right, top).segmentize(1.0)
    there = shapely.transform(
        ring, lambda xy: np.array(transform(CRS, "EPSG:4326", xy[:, 0], xy[:, 1])).T
    )
    write_geopackage(folder / "0.gpkg", [there], [1], srs=4326)
    text = manifest(NAMES, head='classes = "isprs"\n[labels]\nbackground = "Low vegetation"')
    (folder / "manifest.toml").write_text(text.replace("0_labels.tif", "0.gpkg"))
    _, tile = everything(open_folder(folder))["0"]
    truth = tile.truth(Window(0, 0, 80, 64))  # type: ignore[attr-defined]
    expected = np.full((64, 80), 2, np.uint8)
    expected[10:50, 20:60] = 1
    assert (truth != expected).sum() <= 4 * 40  # the rim, where centimetres decide
    assert (truth[12:48, 22:58] == 1).all()


def test_outlines_that_cross_themselves_are_told_and_metres_are_no_degrees(folder: Path) -> None:
    left, top = place("0") * (0, 0)
    bow = [[left, top], [left + 9, top - 9], [left + 9, top], [left, top - 9], [left, top]]
    shape = {"type": "Polygon", "coordinates": [bow]}
    feature = {"type": "Feature", "properties": {"class": "Car"}, "geometry": shape}
    whole = {"type": "FeatureCollection", "features": [feature]}
    crs = {"crs": {"type": "name", "properties": {"name": CRS}}}
    (folder / "0.geojson").write_text(json.dumps(whole | crs))
    text = (folder / "manifest.toml").read_text().replace("0_labels.tif", "0.geojson")
    (folder / "manifest.toml").write_text(text)
    told = " ".join(open_folder(folder).remarks)
    assert "0.geojson: 1 polygons are not valid (the first: Self-intersection" in told
    (folder / "0.geojson").write_text(json.dumps(whole))
    with pytest.raises(BadLabels, match=r"EPSG:4326, has degrees .*: ogr2ogr -a_srs"):
        open_folder(folder)


def test_polygons_that_lie_on_no_tile_are_refused_with_both_places(folder: Path) -> None:
    write_geopackage(folder / "0.gpkg", [shapely.box(5, 6, 7, 8)], ["car"])
    text = (folder / "manifest.toml").read_text().replace("0_labels.tif", "0.gpkg")
    (folder / "manifest.toml").write_text(text)
    words = (
        r"0\.gpkg: its polygons lie on none of 1 tiles: they lie between 5, 6, 7, 8 of EPSG:25832"
    )
    with pytest.raises(DataMismatch, match=words):
        open_folder(folder)


def test_a_class_without_a_pixel_in_training_is_told_before(folder: Path) -> None:
    for name in NAMES:
        labels = np.full((1, 64, 80), 2, np.uint8)
        labels[0, :9] = 3
        write(folder / f"{name}_labels.tif", labels, crs=CRS, transform=place(name))
    told = " ".join(open_folder(folder).remarks)
    words = (
        "not one pixel of the training labels is impervious_surface or building or car or clutter"
    )
    assert words in told


# ---- splits ----------------------------------------------------------------------------------


def test_tiles_are_split_by_a_seed_and_each_serves_one_end(folder: Path) -> None:
    ends = {name: end for name, (end, _) in everything(open_folder(folder)).items()}
    assert sorted(ends) == list(NAMES)
    assert sorted(ends.values()) == ["test", "train", "train", "validation"]
    again = {name: end for name, (end, _) in everything(open_folder(folder)).items()}
    assert again == ends
    seen = set()
    for seed in range(8):
        split = f"[split]\nseed = {seed}\n"
        (folder / "manifest.toml").write_text(manifest(NAMES, tail=split))
        drawn = everything(open_folder(folder))
        seen.add(tuple(drawn[name][0] for name in NAMES))
    assert len(seen) > 3


def test_a_manifest_may_say_what_a_tile_is_for_and_list_tiles_in_a_csv(folder: Path) -> None:
    rows = ["name,ortho,height,dtm,labels,split"]
    for name, end in zip(NAMES, ("test", "train", "validation", ""), strict=True):
        files = f"{name}_ortho.tif,{name}_height.tif,,{name}_labels.tif"
        rows.append(f"{name},{files},{end}")
    (folder / "tiles.csv").write_text("\n".join(rows) + "\n")
    (folder / "manifest.toml").write_text('classes = "isprs"\ntiles = "tiles.csv"\n')
    ends = {name: end for name, (end, _) in everything(open_folder(folder)).items()}
    assert ends == {"0": "test", "1": "train", "2": "validation", "3": "train"}


@given(
    height=st.integers(32, 700),
    width=st.integers(32, 700),
    block_px=st.integers(64, 300),
    margin_px=st.integers(0, 31),
)
def test_blocks_lie_apart_and_are_large_enough(
    height: int, width: int, block_px: int, margin_px: int
) -> None:
    cut = blocks(height, width, block_px, margin_px)
    covered = np.zeros((height, width), np.int64)
    for block in cut:
        covered[block.toslices()] += 1
        assert block.height >= min(height, block_px - margin_px)
        assert block.width >= min(width, block_px - margin_px)
    assert covered.max() == 1
    for one, other in combinations(cut, 2):
        apart = max(_gap(one, other, "row_off", "height"), _gap(one, other, "col_off", "width"))
        assert apart >= margin_px


def _gap(one: Window, other: Window, start: str, size: str) -> int:
    """Pixels between two windows along an axis; negative where they overlap."""
    first, second = sorted((one, other), key=lambda w: getattr(w, start))
    return int(getattr(second, start) - getattr(first, start) - getattr(first, size))


@given(count=st.integers(3, 60), seed=st.integers(0, 9))
def test_each_end_gets_its_share(count: int, seed: int) -> None:
    ends = draw_ends(count, [None] * count, (0.2, 0.1), seed)
    assert len(ends) == count
    assert ends.count("validation") == max(1, round(0.2 * count))
    assert ends.count("test") == max(1, round(0.1 * count))


def test_no_window_of_one_end_touches_a_block_of_another(tmp_path: Path) -> None:
    write_tile(tmp_path, "0", 320, 400)
    split = '[split]\nby = "block"\nblock_px = 80\nmargin_px = 16\nvalidation = 0.2\ntest = 0.2\n'
    (tmp_path / "manifest.toml").write_text(manifest(("0",), tail=split))
    data = open_folder(tmp_path)
    seen = np.zeros((3, 320, 400), bool)
    for index, areas in enumerate((data.train.areas, data.validation.areas, data.test())):
        for area in areas:
            seen[index][area.window.toslices()] = True
    assert len(data.train) > 8
    for one, other in combinations(seen, 2):
        near = np.zeros_like(one)
        for row, col in zip(*np.nonzero(one), strict=True):
            near[max(0, row - 15) : row + 16, max(0, col - 15) : col + 16] = True
            if near.all():
                break
        assert not (near & other).any()
    windows = data.train.windows(32, np.random.default_rng(0))
    for _ in range(50):
        assert next(windows).truth.shape == (32, 32)


def test_tiles_that_show_the_same_ground_are_told(folder: Path) -> None:
    truth = own("1", folder).truth
    beside = place("0", east=40 * GSD_M)
    for kind, bands in (("ortho", np.stack([truth] * 3)), ("labels", truth[None])):
        write(folder / f"1_{kind}.tif", bands, crs=CRS, transform=beside)
    heights = HEIGHTS_M[truth][None]
    write(folder / "1_height.tif", heights, crs=CRS, transform=beside)
    text = manifest(NAMES).replace('name = "0"', 'name = "0"\nsplit = "test"')
    text = text.replace('name = "1"', 'name = "1"\nsplit = "train"')
    (folder / "manifest.toml").write_text(text)
    assert [r for r in open_folder(folder).remarks if "overlap" in r] == [
        "tiles 0 (test) and 1 (train) overlap: what is learned from one is known of the other, "
        "and accuracy looks too good"
    ]


# ---- what is refused -------------------------------------------------------------------------


def edit(old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "manifest.toml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return spoil


def rewrite_labels(bands: np.ndarray, name: str = "1", **where: object) -> Callable[[Path], None]:
    return lambda folder: write(folder / f"{name}_labels.tif", bands, **where) and None


def all_buildings(folder: Path) -> None:
    for name in NAMES:
        rewrite_labels(np.ones((1, 64, 80), np.uint8), name)(folder)


def strange_polygons(folder: Path) -> None:
    write_geopackage(folder / "1.gpkg", [shapely.box(0, 0, 1, 1)] * 2, ["house", "house"])
    edit("1_labels.tif", "1.gpkg")(folder)


def no_geopackage(folder: Path) -> None:
    (folder / "1.gpkg").write_text("not at all")
    edit("1_labels.tif", "1.gpkg")(folder)


def absolute_heights(folder: Path) -> None:
    write(folder / "1_height.tif", np.full((1, 64, 80), 300, "f4"), crs=CRS, transform=place("1"))


UNKNOWN = np.zeros((1, 64, 80), np.uint8)
UNKNOWN[0, 0, :9] = 77
FAR = {"crs": CRS, "transform": place("9", east=5000)}


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda f: (f / "manifest.toml").unlink(), BadManifest, r"manifest\.toml cannot be read"),
        (edit("classes", "clases"), BadManifest, r"manifest\.toml: key '(classes|clases)'"),
        (edit('"isprs"', '"isprz"'), BadManifest, "classes is 'isprz'; expected one of isprs"),
        (edit('name = "1"', 'name = "0"'), BadManifest, "tile '0' stands twice"),
        (edit('height = "1_height.tif"', ""), DataMissing, "tile '1' has no height"),
        (edit('labels = "1_labels.tif"', ""), DataMissing, "tile '1' has no labels"),
        (edit("1_ortho.tif", "one.tif"), DataMissing, r"tile '1': its ortho .*one\.tif is no file"),
        (rewrite_labels(UNKNOWN), BadLabels, r"1_labels\.tif: unknown values 77 \(9 pixels\)"),
        (rewrite_labels(UNKNOWN * 0 + 255), BadLabels, r"1_labels\.tif: not one pixel is labelled"),
        (rewrite_labels(UNKNOWN[:, :50]), DataMismatch, r"1_labels\.tif says nowhere.*50 × 80"),
        (rewrite_labels(UNKNOWN, **FAR), DataMismatch, r"label raster 1_labels\.tif covers 0\.0 %"),
        (all_buildings, BadLabels, "all labels are building; expected at least two"),
        (strange_polygons, BadLabels, r"1\.gpkg: unknown values 'house' \(2 polygons\).*'class'"),
        (no_geopackage, BadLabels, r"1\.gpkg: no vector file .*; expected GeoPackage, GeoJSON"),
        (absolute_heights, InputError, r"1_height\.tif: heights from 300\.0 m"),
    ],
)
def test_a_spoilt_folder_is_refused_by_name(
    folder: Path, spoil: Callable[[Path], object], error: type[InputError], words: str
) -> None:
    spoil(folder)
    with pytest.raises(error, match=words):
        open_folder(folder)


def test_what_is_strange_in_several_blocks_is_counted_by_file(tmp_path: Path) -> None:
    tile = write_tile(tmp_path, "0", 320, 400)
    strange = np.full_like(tile.truth, 9)
    write(tmp_path / "0_labels.tif", strange[None], crs=CRS, transform=tile.transform)
    split = '[split]\nby = "block"\nblock_px = 160\nmargin_px = 0\n'
    (tmp_path / "manifest.toml").write_text(manifest(("0",), tail=split))
    # all four blocks, whatever they are for
    with pytest.raises(BadLabels, match=r"0_labels\.tif: unknown values 9 \(128,000 pixels\)"):
        open_folder(tmp_path)


def test_two_tiles_cannot_be_split_in_three(folder: Path) -> None:
    (folder / "manifest.toml").write_text(manifest(NAMES[:2]))
    with pytest.raises(BadManifest, match="2 tiles or blocks, and none is left for train"):
        open_folder(folder)


def test_tiles_and_blocks_smaller_than_a_window_are_refused(folder: Path) -> None:
    with pytest.raises(DataMismatch, match=r"tile '0' has 64 × 80 pixels; expected at least.*256"):
        open_folder(folder, 256)
    split = '[split]\nby = "block"\nblock_px = 256\nmargin_px = 64\n'
    (folder / "manifest.toml").write_text(manifest(NAMES, tail=split))
    with pytest.raises(BadManifest, match=r"block_px is 256, split.margin_px 64.*256, without"):
        open_folder(folder, 256)


def test_a_scheme_of_ones_own(folder: Path) -> None:
    names = ("street", "house", "grass", "tree", "car", "other")
    entries = "".join(
        f'[[classes]]\nname = "{name}"\ncolor = "#0000{value:02x}"\n'
        for value, name in enumerate(names)
    )
    (folder / "manifest.toml").write_text(manifest(NAMES, head='name = "town"', tail=entries))
    scheme = open_folder(folder).scheme
    assert (scheme.name, scheme.names) == ("town", names)
    assert class_scheme(FolderRecipe(kind="folder", folder=folder)) == scheme
