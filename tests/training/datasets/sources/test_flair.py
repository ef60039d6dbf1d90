"""FLAIR as its owners hand it out: bands, heights, classes and domains; and how it is fetched."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window
from standins.flair import write_flair
from typer.testing import CliRunner

from mfnet.model.errors import BadLabels, BadOption, DataMismatch, DataMissing, DiskFull
from mfnet.training.cli.main import app
from mfnet.training.config.data import FlairRecipe
from mfnet.training.config.recipe import read_recipe
from mfnet.training.config.recipe_files import recipe_files
from mfnet.training.datasets.sources import published_archives
from mfnet.training.datasets.sources.open_data import class_scheme, open_data
from mfnet.training.datasets.sources.published_archives import Archive, PublishedData, fetch

Labels = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def flair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Labels]:
    folder = tmp_path_factory.mktemp("flair")
    return folder, write_flair(folder)


def recipe(folder: Path, **keys: object) -> FlairRecipe:
    return FlairRecipe(kind="flair", folder=folder, **keys)  # type: ignore[arg-type]


def test_domains_are_split_as_ign_does(flair: tuple[Path, Labels]) -> None:
    data = open_data(recipe(flair[0]), 32)
    names = {
        "train": [area.tile.name for area in data.train.areas],
        "validation": [area.tile.name for area in data.validation.areas],
        "test": [area.tile.name for area in data.test()],
    }
    assert [name[-9:] for name in names["train"]] == ["D006_2020"] * 2 + ["D007_2020"] * 2
    assert names["validation"] == ["patch 000005 of D004_2021", "patch 000006 of D004_2021"]
    assert names["test"] == ["patch 000007 of D012_2019", "patch 000008 of D012_2019"]


@pytest.mark.parametrize(("bands", "stored"), [("rgb", [0, 1, 2]), ("irrg", [3, 0, 1])])
def test_bands_heights_and_classes_are_what_the_files_say(
    flair: tuple[Path, Labels], bands: str, stored: list[int]
) -> None:
    import rasterio

    folder, labels = flair
    tile = open_data(recipe(folder, bands=bands), 32).train.areas[0].tile
    sample = tile.read(Window(0, 0, 64, 64))
    label = labels["000001"]
    with rasterio.open(folder / "flair_aerial_train/D006_2020/Z1_UA/img/IMG_000001.tif") as raster:
        assert np.array_equal(sample.rasters["ortho"], raster.read()[stored])
    assert np.allclose(sample.rasters["ndsm"][0], label)  # stored as five times as many steps
    assert np.array_equal(sample.truth, np.minimum(label, 13) - 1)
    scheme = class_scheme(recipe(folder))
    assert scheme.names[:3] == ("building", "pervious_surface", "impervious_surface")
    assert [each.name for each in scheme.classes if not each.foreground] == ["other"]


def test_a_number_that_no_class_has_is_refused(flair: tuple[Path, Labels], tmp_path: Path) -> None:
    from standins.scenes import write

    copy = Path(shutil.copytree(flair[0], tmp_path / "flair"))
    mask = next(copy.rglob("MSK_000002.tif"))
    write(mask, np.full((1, 64, 64), 20, np.uint8))
    with pytest.raises(BadLabels, match=r"MSK_000002\.tif: unknown values 20 \(4,096 pixels\)"):
        open_data(recipe(copy), 32)


def test_a_part_of_the_data_that_lacks_an_end_is_refused(
    flair: tuple[Path, Labels], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(flair[0], tmp_path / "flair"))
    shutil.rmtree(copy / "flair_1_aerial_test")
    with pytest.raises(DataMissing, match=r"no patch for test; .*mfnet data fetch flair"):
        open_data(recipe(copy), 32)


def test_the_recipe_reads_it(flair: tuple[Path, Labels]) -> None:
    found = read_recipe(recipe_files()["flair"], [f"data.folder={flair[0]}"])
    assert len(open_data(found.data, 64).train) == 4


# ---- fetching ----------------------------------------------------------------------------------


@pytest.fixture
def served(flair: tuple[Path, Labels], tmp_path: Path) -> Iterator[PublishedData]:
    """The stand-in in two archives of a server on loopback; only one has a published checksum."""
    home = tmp_path / "served"
    for name in ("flair_aerial_train", "flair_labels_train"):
        shutil.make_archive(str(home / name), "zip", flair[0], name)

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(home))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        digest = hashlib.sha256((home / "flair_aerial_train.zip").read_bytes()).hexdigest()
        yield PublishedData(
            "a stand-in", "http://home", "some licence", "http://licence",
            (
                Archive(f"{url}/flair_aerial_train.zip", 0.001, digest),
                Archive(f"{url}/flair_labels_train.zip", 0.001),
            ),
        )  # fmt: skip
        server.shutdown()
        thread.join()


def test_archives_are_fetched_unpacked_and_not_fetched_again(
    flair: tuple[Path, Labels], served: PublishedData, tmp_path: Path
) -> None:
    told: list[str] = []
    folder = tmp_path / "data"
    options = {"accepted": True, "published": served}
    first = fetch("flair", folder, progress=lambda what, *_: told.append(what), **options)  # type: ignore[arg-type]
    assert first == ["flair_aerial_train.zip", "flair_labels_train.zip"]
    assert "flair_aerial_train.zip, unpacked" in told
    for part in ("flair_aerial_train", "flair_labels_train"):
        there = {p.relative_to(folder) for p in (folder / part).rglob("*.tif")}
        assert there == {p.relative_to(flair[0]) for p in (flair[0] / part).rglob("*.tif")}
    assert not list(folder.glob("*.zip"))
    assert fetch("flair", folder, **options) == []  # type: ignore[arg-type]


def test_what_was_unpacked_before_a_stop_is_not_written_again(
    served: PublishedData, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    fetch("flair", folder, accepted=True, keep=True, published=served)
    (folder / ".flair_labels_train.zip.unpacked").unlink()
    lost, kept = sorted((folder / "flair_labels_train").rglob("*.tif"))[:2]
    lost.unlink()
    before = kept.stat().st_mtime_ns
    done = fetch("flair", folder, accepted=True, keep=True, published=served)
    assert done == ["flair_labels_train.zip"]
    assert lost.is_file()
    assert kept.stat().st_mtime_ns == before


def test_an_archive_that_is_another_is_removed(served: PublishedData, tmp_path: Path) -> None:
    wrong = Archive(served.archives[0].url, 0.001, "0" * 64)
    data = PublishedData("t", "h", "l", archives=(wrong,))
    with pytest.raises(DataMismatch, match=r"has sha256 .*; expected 0000"):
        fetch("flair", tmp_path / "d", accepted=True, published=data)
    assert not list((tmp_path / "d").glob("*.zip*"))
    cut = tmp_path / "served" / "flair_labels_train.zip"
    cut.write_bytes(cut.read_bytes()[:-100])
    data = PublishedData("t", "h", "l", archives=(served.archives[1],))
    with pytest.raises(DataMismatch, match="no whole ZIP archive"):
        fetch("flair", tmp_path / "d", accepted=True, published=data)
    assert not list((tmp_path / "d").glob("*.zip*"))


def test_nothing_is_fetched_without_room_or_a_licence(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"Etalab.*: --accept-licence downloads it"):
        fetch("flair", tmp_path, accepted=False)
    with pytest.raises(BadOption, match=r"no data set 'flairs'"):
        fetch("flairs", tmp_path, accepted=True)
    with pytest.raises(BadOption, match=r"geonrw .* cannot be fetched: .*ieee-dataport"):
        fetch("geonrw", tmp_path, accepted=True)
    huge = PublishedData("t", "h", "l", archives=(Archive("http://127.0.0.1:9/a.zip", 1e9),))
    with pytest.raises(DiskFull, match="choose another --folder"):
        fetch("flair", tmp_path, accepted=True, published=huge)


def test_the_commands_list_and_fetch(
    served: PublishedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = CliRunner().invoke(app, ["data", "list"])
    assert "flair       64.7 GB  FLAIR #1" in ran.output
    monkeypatch.setitem(published_archives.PUBLISHED, "flair", served)
    target = tmp_path / "data"
    options = ["data", "fetch", "flair", "--folder", str(target), "--accept-licence"]
    ran = CliRunner().invoke(app, options)
    assert ran.exit_code == 0, ran.output
    assert f"{target}: flair_aerial_train.zip, flair_labels_train.zip" in ran.output
