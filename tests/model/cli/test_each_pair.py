"""`--each` around a command: what one pair does to the others, and to the exit status."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from mfnet.model.cli.arguments import _READING
from mfnet.model.cli.each_pair import _run_each
from mfnet.model.errors import BadOption, NoData

Make = Callable[..., Path]


@pytest.fixture
def folders(photo: Make, heights: Make, tmp_path: Path) -> dict[str, Path]:
    for role, make in (("ortho", photo), ("height", heights)):
        (tmp_path / role).mkdir()
        for name in ("a", "b", "c"):
            make().rename(tmp_path / role / f"{name}.tif")
    return {role: tmp_path / role for role in ("ortho", "height")}


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [(NoData("nothing there"), "raster.no_data", 2), (ZeroDivisionError("ours"), "internal", 1)],
)
def test_the_others_are_mapped_whatever_is_wrong_with_one(
    folders: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: str,
    status: int,
) -> None:
    seen = []

    def command(**values: Any) -> None:
        seen.append((values["ortho"].name, values["height"].name, values["out"].name))
        if values["ortho"].stem == "b":
            raise error

    given = {**dict.fromkeys(_READING), **folders, "out": tmp_path / "maps", "as_json": True}
    with pytest.raises(typer.Exit) as left:
        _run_each(command, given)
    assert left.value.exit_code == status
    assert seen == [(name, name, name) for name in ("a.tif", "b.tif", "c.tif")]
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [run.get("error", {}).get("code") for run in last["maps"]] == [None, code, None]


def test_maps_that_would_have_one_name_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    (folders["ortho"] / "a.tif").rename(folders["ortho"] / "b.tiff")
    given = {**dict.fromkeys(_READING), **folders, "out": tmp_path / "maps", "as_json": False}
    with pytest.raises(BadOption, match="two orthophotos are called b"):
        _run_each(lambda **values: pytest.fail("a pair was mapped"), given)
