"""The Dockerfile's own lines, carried out in a fresh folder from a clean checkout, without Docker.

What Debian's packages and the base image bring is this machine's; everything else is as in a build:
only what git and .dockerignore let through is there, and only what the locks name is installed.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployment.compose import ROOT

# Minutes, and gigabytes for the second stage.
pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(1800)]

INSTALLED = "/opt/mfnet"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Docker is sent of a clean checkout: what git knows and .dockerignore lets through."""
    folder = tmp_path_factory.mktemp("checkout")
    known = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    let_through = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for name in filter(None, known.stdout.decode().split("\0")):
        if Path(name).parts[0] in let_through:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of what is built."""
    return tmp_path_factory.mktemp("image")


def steps(stage: str) -> Iterator[tuple[str, str]]:
    """The COPY and RUN lines of a stage of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    (lines,) = re.findall(rf"^FROM \S+ AS {stage}\n(.*?)(?=^FROM |\Z)", text, re.M | re.S)
    yield from re.findall(r"^(COPY|RUN) +(.+)$", lines, re.MULTILINE)


def build(stage: str, checkout: Path, image: Path) -> None:
    source = image / "src"
    source.mkdir(exist_ok=True)
    # A shell of its own: nothing of the environment that runs the tests is found.
    path = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin"])
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    for kind, line in steps(stage):
        if kind == "COPY":
            *names, target = line.split()
            for name in names:
                end = source / target if target != "./" else source / name
                copy = shutil.copytree if (checkout / name).is_dir() else shutil.copy
                copy(
                    checkout / name, end, **({"symlinks": True} if copy is not shutil.copy else {})
                )
            continue
        command = re.sub(r"--mount=\S+", "", line).replace(INSTALLED, str(image / "mfnet"))
        command = re.sub(r"\bpython -m venv\b", f"{sys.executable} -m venv", command)
        done = subprocess.run(
            command,
            shell=True,
            cwd=source,
            env={**pip, "PATH": path, "HOME": str(image)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_the_images_without_torch_are_built(checkout: Path, image: Path) -> None:
    build("build", checkout, image)
    shutil.rmtree(image / "src")  # an image has what was installed alone
    shown = subprocess.run(
        [image / "mfnet/bin/mfnet", "inspect", "--help"], capture_output=True, text=True, cwd=image
    )
    assert shown.returncode == 0, shown.stderr
    checked = subprocess.run(
        [image / "mfnet/bin/pip", "check"], capture_output=True, text=True, cwd=image
    )
    assert checked.returncode == 0, checked.stdout
    assert not list((image / "mfnet").glob("lib/*/site-packages/torch"))
