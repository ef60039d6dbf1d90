"""Files beside a raster (world file, .prj, .aux.xml, .msk) as uploads of their own.

They are sent first. When their raster comes, what its sender has of them by then is linked beside
it under our own names, so that whoever opens the raster finds them there, and nothing that is sent
later changes it. The program that looks at files knows them by these endings
(`mfnet.model.raster.files.sidecars`).
"""

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path

from mfnet.service.files import tile_folders
from mfnet.service.files.sync import link_or_copy

ENDINGS = {"world": ".tfw", "prj": ".prj", "pam": ".aux.xml", "mask": ".msk"}
"""By kind, as they stand beside an upload."""

_WORLD = (".tfw", ".tifw", ".tfwx", ".wld")


def kind_of(name: str) -> str | None:
    """What kind of sidecar a file of this name is; None if it is none."""
    lower = name.casefold()
    if lower.endswith(_WORLD):
        return "world"
    return next((kind for kind, ending in ENDINGS.items() if lower.endswith(ending)), None)


def names_of(raster: str) -> dict[str, str]:
    """Case-folded names of a raster's sidecars, with their kind."""
    whole = raster.casefold()
    stem = whole.rpartition(".")[0] or whole
    worlds = dict.fromkeys((stem + ending for ending in _WORLD), "world")
    return {
        **worlds,
        f"{stem}.prj": "prj",
        f"{stem}.aux.xml": "pam",
        f"{whole}.aux.xml": "pam",
        f"{whole}.msk": "mask",
    }


def rasters_of(sidecar: str) -> list[str]:
    """Case-folded names of the rasters that a sidecar of this name may belong to."""
    whole = sidecar.casefold()
    ending = next(each for each in (*_WORLD, *ENDINGS.values()) if whole.endswith(each))
    stem = whole.removesuffix(ending)
    return [name for name in (stem, f"{stem}.tif", f"{stem}.tiff") if "." in name]


def beside(raster: Path) -> list[Path]:
    """Where an upload's sidecars are, if it has them."""
    return [raster.with_name(raster.name + ending) for ending in ENDINGS.values()]


def with_sidecars(raster: Path, sha256: str) -> str:
    """What an upload holds, the sidecars beside it included, as one hash.

    Args:
        raster: The upload's file.
        sha256: Of that file alone; the same is returned where nothing stands beside it.
    """
    told = [sha256]
    for path in beside(raster):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            told.append(path.name.removeprefix(raster.name))
            told.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256(" ".join(told).encode()).hexdigest() if told[1:] else sha256


def link(raster: Path, files: Mapping[str, Path]) -> None:
    """Puts sidecars beside an upload.

    Args:
        raster: The upload's file.
        files: Those of its sidecars, by kind.
    """
    for kind, file in files.items():
        target = raster.with_name(raster.name + ENDINGS[kind])
        with contextlib.suppress(FileNotFoundError):  # removed since we looked
            link_or_copy(file, target)


def remove(raster: Path) -> None:
    """Removes an upload's file and what stands beside it, or its folder of tiles."""
    tile_folders.remove(raster)
    for path in (raster, *beside(raster)):
        path.unlink(missing_ok=True)
