"""The documentation site builds without a warning, loads nothing from elsewhere, misses nothing."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path

import pytest
import typer
from codes import error_codes
from commands import command_line
from fields import manifest_keys, recipe_keys, service_settings
from licences import packages
from routes import job_inputs, rest_routes

from mfnet.model.errors import MfnetError
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.service.api.answers.problem_details import ANSWERS
from mfnet.service.errors import Refused, ServiceError
from mfnet.service.settings import Settings
from mfnet.training.config.data import KINDS
from mfnet.training.config.optimizer_recipe import OptimizerRecipe
from mfnet.training.config.recipe import NetworkRecipe
from mfnet.training.datasets.sources.folder_manifest import Manifest, TileEntry

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BUILD_S = 240  # seconds on a busy machine; an idle one needs ten


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=BUILD_S
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    loaded = r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]*)"|<link\b[^>]*\bhref="([^"]*)"'
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<!-- generated" not in text, page.name
        for address in chain.from_iterable(re.findall(loaded, text)):
            assert "//" not in address, f"{page.name}: {address}"
        # Material loads the script that draws these from a CDN.
        assert 'class="mermaid"' not in text, page.name


def test_pages_name_no_folder_of_the_machine_that_built_them() -> None:
    for generate in (command_line, service_settings, recipe_keys, manifest_keys, rest_routes):
        text = generate()
        assert str(ROOT) not in text, generate.__name__
        assert str(Path.home()) + "/" not in text, generate.__name__
        assert sys.prefix not in text, generate.__name__


def test_the_readme_is_short_and_shows_one_picture() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= 700
    assert len(re.findall(r"!\[", text)) == 1


# ---- what the code has, the reference names -----------------------------------------------------


def test_every_command_is_in_the_reference() -> None:
    text = command_line()
    for entry in entry_points(group="mfnet.commands"):
        for name, command in typer.main.get_command(entry.load()).commands.items():
            assert f"## mfnet {name}\n" in text
            for inner in getattr(command, "commands", {}):
                assert f"### mfnet {name} {inner}\n" in text


def test_every_setting_is_in_the_reference() -> None:
    text = service_settings()
    for name in Settings.model_fields:
        assert f"`MFNET_{name.upper()}`" in text


def test_every_error_code_is_in_the_reference_and_every_row_has_a_meaning() -> None:
    text = error_codes()
    codes = {error.code for error in subclasses(MfnetError)}
    codes |= {error.code for error in subclasses(ServiceError) if not issubclass(error, Refused)}
    assert codes == set(re.findall(r"^\| `([a-z_.]+)` \|", text, re.MULTILINE))
    assert not re.search(r"\|\s*\|$", text, re.MULTILINE)
    assert all(str(answer.status) in text for answer in ANSWERS.values())


def test_codes_in_the_troubleshooting_page_exist() -> None:
    reference = error_codes() + (DOCS / "reference" / "errors.md").read_text()
    page = (DOCS / "how-to" / "troubleshoot.md").read_text()
    first_cells = re.findall(r"^\| (`[^|]+`) \|", page, re.MULTILINE)
    named = {code for cell in first_cells for code in re.findall(r"`([a-z_.]+)`", cell)}
    assert len(named) > 30
    assert {code for code in named if f"`{code}`" not in reference} == set()


@pytest.mark.parametrize(
    "generate", [command_line, recipe_keys, manifest_keys, service_settings, job_inputs]
)
def test_every_key_has_a_description(generate) -> None:
    bare = [row for row in generate().splitlines() if re.search(r"\|\s*\|$", row)]
    assert bare == []


def test_every_key_of_recipes_and_manifests_is_in_the_reference() -> None:
    for text, parts in (
        (recipe_keys(), (NetworkRecipe, OptimizerRecipe, *KINDS.values())),
        (manifest_keys(), (Manifest, TileEntry, ReadingOptions)),
    ):
        keys = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
        for part in parts:
            assert set(part.model_fields) - {"tiles", "labels", "split"} <= keys, part.__name__


def test_the_routes_are_those_of_the_service() -> None:
    text = rest_routes()
    assert "### `POST /processes/segment/execution`" in text
    assert "### `PUT /uploads/{name}`" in text
    assert "| `confidence` |" in job_inputs()


# ---- decisions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("record", sorted(DOCS.glob("decisions/0*.md")), ids=lambda p: p.stem)
def test_a_decision_is_a_short_record(record: Path) -> None:
    text = record.read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.split()) <= 170  # 150 beside title, date and headings
    assert f"({record.name})" in (DOCS / "decisions" / "index.md").read_text()


def subclasses(root: type) -> set[type]:
    """A class and all below it."""
    return {root}.union(*(subclasses(each) for each in root.__subclasses__()))


# ---- licences -----------------------------------------------------------------------------------

# Any of these may be installed beside the program; another one has to be looked at first.
LOOKED_AT = (
    r"MIT|MIT License|MIT-0|MIT-CMU|BSD|(3-Clause )?BSD License|BSD-[23]-Clause|0BSD|Zlib"
    r"|CC0-1\.0|BSL-1\.0"
    r"|Apache-2\.0|Apache Software License|ISC|ISC License \(ISCL\)|PSF-2\.0"
    r"|Python Software Foundation License|Apache-2\.0 WITH LLVM-exception|MPL-2\.0"
    r"|Mozilla Public License 2\.0 \(MPL 2\.0\)|LGPL-3\.0-only|GEOS in it: LGPL-2\.1"
    r"|LicenseRef-NVIDIA-Proprietary|NVIDIA Proprietary Software"
)


def test_every_licence_was_looked_at() -> None:
    installed = [package for package in packages() if package.licence]
    assert len(installed) > 90
    for package in installed:
        for licence in re.split(r" AND | OR |; ", package.licence):
            assert re.fullmatch(LOOKED_AT, licence), f"{package.name}: {licence!r}"
    assert {p.name for p in installed if "LGPL" in p.licence} == {
        *("exactextract", "psycopg", "psycopg-binary")
    }
