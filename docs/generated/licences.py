"""What is installed beside the program, and under which licences, from the packages themselves."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from marks import table

_LOCK = Path(__file__).resolve().parents[2] / "requirements-train.lock"
_PACKAGE = re.compile(r"^([\w.-]+)==(\S+)(?: ; ([^\\]*))?", re.MULTILINE)

NOT_SAID = {
    "cuda-toolkit": "NVIDIA Proprietary Software",  # names NVIDIA's packages alone
    "exactextract": "Apache-2.0; GEOS in it: LGPL-2.1",  # by the files of its wheel
    "segment-anything": "Apache-2.0",  # by its LICENSE
}
"""Licences of packages whose metadata name none, as read in their files."""


class Package(NamedTuple):
    """A package of the lock of all images.

    Attributes:
        name: In the lock.
        version: The locked one.
        licence: As the package says; empty where it is not installed here.
    """

    name: str
    version: str
    licence: str


def packages() -> Iterator[Package]:
    """All packages that an image may hold, by name."""
    for name, version, _marker in sorted(_PACKAGE.findall(_LOCK.read_text())):
        try:
            yield Package(name, version, NOT_SAID.get(name) or _licence(distribution(name)))
        except PackageNotFoundError:  # for another system or another Python
            yield Package(name, version, "")


def licences() -> str:
    """A row a package."""
    rows = ((f"`{p.name}`", p.version, p.licence or "(not installed here)") for p in packages())
    return table(("package", "version", "licence"), rows)


def _licence(package: Distribution) -> str:
    told = package.metadata
    if expression := told.get("License-Expression"):
        return str(expression)
    said = [c for c in told.get_all("Classifier") or () if c.startswith("License ::")]
    classifiers = [c.split(" :: ")[-1] for c in said]
    first_line = (told.get("License") or "").strip().split("\n")[0]
    return "; ".join(classifiers) or first_line.strip()
