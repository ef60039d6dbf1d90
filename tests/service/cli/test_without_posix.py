"""On a system without POSIX's modules, as Windows: what has to work does, the rest says so."""

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import fcntl, os, signal, stat, sys
fsync = os.fsync
def fsync_as_on_windows(file):
    may_write = fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    assert may_write and not stat.S_ISDIR(os.fstat(file).st_mode)
    fsync(file)
os.fsync = fsync_as_on_windows
del os.O_DIRECTORY
for module in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[module] = None
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM", "alarm", "setitimer"):
    delattr(signal, name)
for name in ("fork", "getuid", "geteuid", "sched_getaffinity", "killpg", "setsid"):
    delattr(os, name)
from mfnet.model.cli.main import main
sys.argv[0] = "mfnet"
main()
"""


def mfnet(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", WITHOUT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=240)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a town's ortho.tif, ndsm.tif and truth.tif."""
    folder = tmp_path_factory.mktemp("pair")
    drawn = mfnet(folder, "town", ".", "--size", "256")
    assert drawn.returncode == 0, drawn.stderr
    return folder


def test_a_pair_is_inspected_and_mapped(pair: Path) -> None:
    seen = mfnet(pair, "inspect", "ortho.tif", "ndsm.tif", "--model", "town-small")
    assert (seen.returncode, seen.stderr) == (0, "")
    mapped = mfnet(pair, "predict", "ortho.tif", "ndsm.tif", "-o", "map.tif", "--confidence")
    assert mapped.returncode == 0, mapped.stderr
    assert (pair / "map.tif").is_file()


def test_the_demo_maps_without_the_service(tmp_path: Path) -> None:
    said = mfnet(tmp_path, "demo", "--size", "256")
    assert said.returncode == 0, said.stderr
    assert "mfnet predict makes the map" in said.stdout
    assert "of the pixels are right" in said.stdout
    assert (tmp_path / "demo" / "panel.png").is_file()


def test_limits_that_the_system_lacks_are_refused_with_a_word(pair: Path) -> None:
    seen = mfnet(pair, "inspect", "ortho.tif", "ndsm.tif", "--max-seconds", "5")
    assert seen.returncode == 2
    assert "leave out --max-memory-mb and --max-seconds" in seen.stderr


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_the_service_says_what_it_needs(pair: Path, command: str) -> None:
    said = mfnet(pair, command)
    assert said.returncode == 2
    assert f"mfnet {command} needs Linux or macOS" in said.stderr
    assert said.stderr.count("\n") == 1
