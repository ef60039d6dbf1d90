"""GDAL's programs, whose commands our messages name; a test without them skips with a word."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio.shutil


def gdal_translate(*arguments: str | Path) -> None:
    """Run gdal_translate; where it is not installed, what it calls where options allow that.

    Args:
        arguments: As on its command line: options, the source, the target.
    """
    *options, source, target = map(str, arguments)
    if shutil.which("gdal_translate"):
        run("gdal_translate", *arguments)
        return
    known = [(options[i], options[i + 1]) for i in range(0, len(options) - 1, 2)]
    if len(options) % 2 or any(name not in ("-co", "-of") for name, _ in known):
        pytest.skip("gdal_translate is not installed")
    creation = dict(value.split("=", 1) for name, value in known if name == "-co")
    driver = next((value for name, value in known if name == "-of"), "GTiff")
    rasterio.shutil.copy(source, target, driver=driver, **creation)


def rio(*arguments: str | Path) -> None:
    """Run rasterio's command line, which is installed with it."""
    program = Path(sys.executable).with_name("rio")
    subprocess.run([program, *map(str, arguments)], check=True, timeout=60, capture_output=True)


def run(program: str, *arguments: str | Path) -> None:
    """Run one of GDAL's programs, or skip the test."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    subprocess.run([program, *map(str, arguments)], check=True, timeout=60, capture_output=True)
