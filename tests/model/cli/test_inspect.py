"""`mfnet` as a process: exit status, messages, JSON, and no traceback ever."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command_line import Said, mfnet

Make = Callable[..., Path]
SWEEP_SECONDS = 10
SWEEP_BYTES = 1 << 30


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['mfnet', '--help']\n"
        "from mfnet.model.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = 'torch rasterio numpy pydantic fastapi celery sqlalchemy'.split()\n"
        "    print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    for command in ("inspect", "predict", "models"):
        assert command in done.stdout


def test_a_pair_is_shown_to_people(photo: Make, heights: Make) -> None:
    said = mfnet("inspect", photo(), heights())
    assert (said.status, said.err) == (0, "")
    for word in ("ortho.tif", "ndsm.tif", "48 × 48", "EPSG:25832", "0.5 m", "Nothing to refuse"):
        assert word in said.out


def test_a_pair_is_one_json_document_for_programs(photo: Make, heights: Make) -> None:
    said = mfnet("inspect", photo(), heights(), "--json")
    report = json.loads(said.out)
    assert said.status == 0
    assert report["scanned"] is True
    assert report["overlap_percent"] == 100
    assert mfnet("inspect", photo(), heights(), "--json", "--quick").out.count("\n") == 1


def test_one_raster_says_what_it_could_be(heights: Make) -> None:
    said = mfnet("inspect", heights(), "--json")
    assert json.loads(said.out)["suits"] == ["height raster"]
    assert "Could be used as: height raster" in mfnet("inspect", heights()).out


def test_a_refusal_is_status_2_with_its_code(photo: Make, heights: Make, tmp_path: Path) -> None:
    arguments = ("inspect", photo(), heights(base=500), "--json")
    said = mfnet(*arguments)
    error = json.loads(said.out)["error"]
    assert said.status == 2
    assert error["code"] == "pair.not_above_ground"
    assert error["params"]["p1"] > 490
    assert said.err.startswith("mfnet: ndsm.tif: heights from")
    assert "Traceback" not in said.err
    people = mfnet(*arguments[:-1])
    assert people.out == ""
    assert "--dtm" in people.err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--model", "none"], "model.unknown"),
        (["--dtm", "none.tif"], "raster.missing"),
    ],
)
def test_options_that_name_nothing_are_refused(
    photo: Make, heights: Make, options: list[str], code: str
) -> None:
    said = mfnet("inspect", photo(), heights(), "--json", *options)
    assert said.status == 2
    assert json.loads(said.out)["error"]["code"] == code


def test_a_terrain_model_alone_is_refused(photo: Make, heights: Make) -> None:
    said = mfnet("inspect", photo(), "--dtm", heights(), "--json")
    assert (said.status, json.loads(said.out)["error"]["code"]) == (2, "option.invalid")


def test_bad_usage_is_status_2() -> None:
    assert mfnet("inspect").status == 2
    assert mfnet("nothing").status == 2
    assert mfnet("inspect", "a.tif", "--max-memory-mb", "x").status == 2


def test_our_fault_is_status_1_in_one_line(photo: Make) -> None:
    code = (
        "import sys, mfnet.model.raster.pairs.inspection as i\n"
        "i.inspect_raster = lambda *a, **k: 1 / 0\n"
        "from mfnet.model.cli.main import main\n"
        f"sys.argv = ['mfnet', 'inspect', {str(photo())!r}, *sys.argv[1:]]\n"
        "main()\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1
    assert "ZeroDivisionError" in said.stderr
    debug = [sys.executable, "-c", code, "--debug"]
    said = subprocess.run(debug, capture_output=True, text=True)
    assert "Traceback" in said.stderr


def test_limits_end_the_process(photo: Make) -> None:
    path = photo()
    assert mfnet("inspect", path, "--max-memory-mb", 1024, "--max-seconds", 30).status == 0
    small = mfnet("inspect", path, "--max-memory-mb", 64)
    assert small.status != 0
    code = (
        "import mfnet.model.raster.pairs.inspection as i\n"
        "def spin(*a, **k):\n"
        "    while True: pass\n"
        "i.inspect_raster = spin\n"
        "import sys; from mfnet.model.cli.main import main\n"
        f"sys.argv = ['mfnet', 'inspect', {str(path)!r}, '--max-seconds', '1']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode < 0, "ended by a signal"


def test_models_are_listed_and_shown(tmp_path: Path) -> None:
    from mfnet.model.config import ENCODERS, ModelConfig

    config = ModelConfig(name="mine", encoder=ENCODERS["small"])
    metadata = {"format": "1", "mfnet": config.model_dump_json()}
    header = json.dumps({"__metadata__": metadata}).encode()
    path = tmp_path / "mine.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    listed: list[dict[str, Any]] = json.loads(
        mfnet("models", "list", "--models-dir", tmp_path, "--json").out
    )["models"]
    assert "mine" in [model["name"] for model in listed]
    assert "mine" in mfnet("models", "list", "--models-dir", tmp_path).out
    shown = mfnet("models", "show", "mine", "--models-dir", tmp_path)
    assert ModelConfig.model_validate_json(shown.out) == config
    assert mfnet("models", "show", "theirs").status == 2


@pytest.mark.acceptance
@pytest.mark.parametrize("role", ["orthophoto", "height"])
def test_every_odd_file_as_a_process(shared: Path, role: str) -> None:
    good = shared / "data/pairs/ign"
    files = sorted((shared / "data/odd-geotiffs").glob("*.tif"))
    assert len(files) == 73
    arguments = {
        "orthophoto": lambda path: [path, good / "ndsm.tif"],
        "height": lambda path: [good / "ortho_rgb.tif", path],
    }[role]

    def inspect(path: Path) -> Said:
        return mfnet("inspect", *arguments(path), "--json", "--max-memory-mb", 1024)

    with ThreadPoolExecutor(2) as pool:
        for path, said in zip(files, pool.map(inspect, files), strict=True):
            assert said.status in (0, 2), (path.name, said)
            assert "Traceback" not in said.err, path.name
            document = json.loads(said.out.splitlines()[0])
            if said.status == 2:
                assert document["error"]["code"].split(".")[0] in ("raster", "pair"), path.name
            assert said.seconds < SWEEP_SECONDS, path.name
            assert said.peak_bytes < SWEEP_BYTES, path.name
