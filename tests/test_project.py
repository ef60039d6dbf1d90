"""What holds for the project as a whole: documents, settings, locks, imports, tracked files."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mfnet.service.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


# ---- documents ------------------------------------------------------------------------------


def code_spans(document: Path) -> Iterator[str]:
    """Each line of a fenced block and each inline span, continued lines joined."""
    text = document.read_text().replace("\\\n", " ")
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for block in fenced:
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", text)


def command_lines(document: Path, program: str) -> Iterator[list[str]]:
    """The words behind `program` where a span runs it, up to a pipe, comment or redirection."""
    prefix = rf"^\s*(?:\$ )?(?:docker compose exec \w+ |[A-Z_]+=\S+ )*(?:\S*bin/)?{program} +(.*)"
    for span in code_spans(document):
        if match := re.match(prefix, span):
            yield re.split(r"[|#>;&(]", match[1])[0].split()


def mfnet_commands() -> dict[str, Any]:
    """The commands of all groups by name; a group has `commands` of its own."""
    groups = (typer.main.get_command(e.load()) for e in entry_points(group="mfnet.commands"))
    return {name: command for group in groups for name, command in group.commands.items()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_exist_with_their_options(document: Path) -> None:
    for words in command_lines(document, "mfnet"):
        line, commands, command = f"mfnet {' '.join(words)}", mfnet_commands(), None
        for word in words:
            if not commands or not re.fullmatch(r"[a-z][a-z-]*", word):
                break
            assert word in commands, f"{line}: no command {word}"
            command = commands[word]
            commands = getattr(command, "commands", {})
        parameters = command.params if command else []
        known = {option for p in parameters for option in (*p.opts, *p.secondary_opts)}
        for word in words:
            if re.match(r"--?[a-z]", word) and word != "--help":
                assert word.split("=")[0] in known, f"{line}: no option {word}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_in_documents_exist(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for words in command_lines(document, "make"):
        named = {word for word in words if re.fullmatch(r"[a-z-]+", word)}
        assert named <= targets, f"make {' '.join(words)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (document.parent / target).exists(), target


# ---- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_example(name: str) -> None:
    assert f"MFNET_{name.upper()}" in (ROOT / "deploy/env.example").read_text()


def test_environment_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "deploy/env.example").read_text()
    lines = re.findall(r"^#?(MFNET_\w+)=(.*)$", text, re.MULTILINE)
    for name, value in lines:
        field = name.removeprefix("MFNET_").lower()
        assert field in Settings.model_fields, name
        if field != "engine_command":  # its interpreter depends on the machine
            monkeypatch.setenv(name, value)
            assert getattr(Settings(), field) == Settings.model_fields[field].default, name


# ---- locks ----------------------------------------------------------------------------------


def locked(lock: str) -> dict[str, set[str]]:
    """Versions by package name; more than one where markers tell them apart."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


def required(extra: str | None = None) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + (project["optional-dependencies"][extra] if extra else [])
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize(
    ("lock", "extra"),
    [
        ("requirements.lock", None),
        ("requirements-service.lock", "terrain"),
        ("requirements-service.lock", "vector"),
        ("requirements-train.lock", "train"),
        ("requirements-dev.lock", "dev"),
    ],
)
def test_lock_satisfies_pyproject(lock: str, extra: str | None) -> None:
    versions = locked(lock)
    for requirement in required(extra):
        if requirement.name == "mfnet":  # an extra made of others
            continue
        found = versions.get(canonicalize_name(requirement.name), set())
        assert found, f"{requirement.name} is not in {lock}: run make lock"
        assert all(map(requirement.specifier.contains, found)), f"{requirement}: run make lock"


def test_each_lock_holds_the_one_before() -> None:
    names = ("", "-service", "-train", "-dev")
    for smaller, larger in pairwise(locked(f"requirements{name}.lock") for name in names):
        for name, versions in smaller.items():
            assert larger.get(name) == versions, f"{name}: run make lock"


def test_lock_builds_the_project_without_further_downloads() -> None:
    (build,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    requirement = Requirement(build)
    assert all(map(requirement.specifier.contains, locked("requirements.lock")[requirement.name]))


@pytest.mark.parametrize(
    "lock",
    [
        "requirements.lock",
        "requirements-service.lock",
        "requirements-train.lock",
        "requirements-dev.lock",
    ],
)
def test_every_locked_file_has_a_hash(lock: str) -> None:
    blocks = re.split(r"^(?=[\w.-]+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert blocks
    for block in blocks:
        assert "--hash=sha256:" in block, block.splitlines()[0]


# ---- imports --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "import model",
        "import mfnet.service.app",
        "import sys; sys.argv = ['mfnet', '--help']; from mfnet.model.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code",
    ],
    ids=["model", "api", "help"],
)
def test_torch_is_not_imported_without_need(statement: str) -> None:
    code = f"{statement}\nimport sys\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- tracked files --------------------------------------------------------------------------


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("no git checkout here")
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_tracked_file_names_a_package_index_or_a_developers_folder() -> None:
    # Written in parts, so that this file passes.
    index = ["py" + "pi.org", "python" + "hosted.org", "download." + "pytorch.org"]
    folder = [rf"(?<![\w.-])/{name}/" for name in ("work", "home")]
    pattern = re.compile("|".join([*map(re.escape, index), *folder]).encode())
    for path in tracked_files():
        found = pattern.search(path.read_bytes())
        assert found is None, f"{path.relative_to(ROOT)}: {found and found[0]!r}"


def test_nothing_tracked_is_larger_than_the_model_may_be() -> None:
    sizes = {path.relative_to(ROOT): path.stat().st_size for path in tracked_files()}
    assert {path: size for path, size in sizes.items() if size > 16_000_000} == {}
