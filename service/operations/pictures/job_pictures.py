"""A job's rasters and map as pictures: drawn once by a child process, then kept beside the results.

Of a job that still runs, or failed, there are the rasters alone; its map comes with its end.
"""

import struct
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import SEGMENT
from mfnet.service.domain.job_uploads import RASTERS, derives_terrain, uploads_of
from mfnet.service.domain.map_outputs import TERRAIN
from mfnet.service.domain.reading_inputs import reading_of
from mfnet.service.errors import NoSuchResult, RastersGone
from mfnet.service.files import tile_folders
from mfnet.service.operations.context import Services
from mfnet.service.operations.pictures.kept_pictures import VALUES, kept, picture_in

_PIXEL = struct.Struct("<BBh")  # class, confidence, height in decimetres
_NO_BYTE, _NO_HEIGHT = 255, -32768


class PixelValues(NamedTuple):
    """What a map says at a place.

    Attributes:
        value: The class's number; None where there is none.
        confidence: Percent; None where it was not asked for.
        height_m: Above ground; None where it is not known.
    """

    value: int | None
    confidence: int | None
    height_m: float | None


def draw(services: Services, job: Job) -> dict[str, Any]:
    """What pictures there are, drawn now where nobody has asked for them before.

    Returns:
        `rows`, `columns`, `step`, `top_m` and `files` of `mfnet pictures`.

    Raises:
        NoSuchResult: The job is no segmentation.
        RastersGone: There is no map, and an upload that it was to be made of was removed.
        Refused, InspectionBroken, Busy: As `Inspector.file`.
    """
    if job.process != SEGMENT:
        raise NoSuchResult(f"a job of {job.process} has no pictures", job=job.id)
    told = kept(services.storage, folder(services, job), partial(_make, services, job))
    with services.database.reading() as session:
        if JobRepository(session).get(job.id) is None:  # it was removed meanwhile
            services.storage.remove_pictures(job.id)
    return told


def find(services: Services, job: Job, name: str) -> Path:
    """A picture that was drawn.

    Raises:
        NoSuchResult: There is none of this name.
    """
    # Those of the pair may be asked for just after the job has come to its end.
    folders = [services.storage.pictures(job.id) / kind for kind in ("pair", "map")]
    path = picture_in(services.storage, folders, name)
    if path is None:
        raise NoSuchResult(f"no picture {name!r}; GET /jobs/{job.id}/pictures first", name=name)
    return path


def at(services: Services, job: Job, row: int, column: int) -> PixelValues:
    """What the map says at a pixel of its pictures.

    Raises:
        NoSuchResult: There is no map, or it has no such pixel.
    """
    told = draw(services, job)
    values = folder(services, job) / VALUES
    if not values.is_file() or row >= told["rows"] or column >= told["columns"]:
        raise NoSuchResult(
            f"no pixel {row}, {column}; expected a row below {told['rows']} and a column below "
            f"{told['columns']} of a map that is finished",
            rows=told["rows"],
            columns=told["columns"],
        )
    with values.open("rb") as file:
        file.seek((row * told["columns"] + column) * _PIXEL.size)
        value, confidence, height_dm = _PIXEL.unpack(file.read(_PIXEL.size))
    return PixelValues(
        None if value == _NO_BYTE else value,
        None if confidence == _NO_BYTE else confidence,
        None if height_dm == _NO_HEIGHT else height_dm / 10,
    )


def folder(services: Services, job: Job) -> Path:
    """Where `draw` puts the pictures that there are now."""
    return services.storage.pictures(job.id) / ("pair" if job.result_epoch is None else "map")


def _make(services: Services, job: Job, out: Path) -> dict[str, Any]:
    the_map = None
    if job.result_epoch is not None:
        the_map = services.storage.results_here(job.id, job.result_epoch)
    paths, names = rasters(services, job)
    return services.inspector.pictures(paths, the_map, reading_of(job.inputs), out, names)


def rasters(services: Services, job: Job) -> tuple[dict[str, Path], dict[str, str]]:
    """What the job was made of, by role, and the files' names; nothing where a map alone is left.

    Raises:
        NoSuchResult: The terrain is still to be derived, and there is no map yet.
        RastersGone: An upload was removed, and there is no map.
    """
    the_map = None
    if job.result_epoch is not None:
        the_map = services.storage.results_here(job.id, job.result_epoch)
    with services.database.reading() as session:
        uploads = UploadRepository(session)
        # Tiles that a batch's pair was refused with were not joined: of several there is no upload.
        found = {
            role: None if isinstance(each, list) else uploads.get(each)
            for role, each in uploads_of(job.inputs, RASTERS).items()
        }
    gone = [role for role, upload in found.items() if upload is None]
    if gone and the_map is None:
        raise RastersGone(
            f"the {gone[0]} of job {job.id} was removed; without it nothing can be drawn",
            job=job.id,
            role=gone[0],
        )
    known = {role: upload for role, upload in found.items() if upload is not None}
    paths = {role: services.storage.upload_here(upload.id) for role, upload in known.items()}
    if derives_terrain(job.inputs):
        if the_map is None:
            raise NoSuchResult(
                f"the terrain of job {job.id} is still to be derived; its pictures come with its "
                "map",
                job=job.id,
            )
        paths["dtm"] = the_map / TERRAIN
    if gone or not all(path.exists() for path in paths.values()):
        return {}, {}
    names: dict[str, str] = {}
    for upload in known.values():
        names |= tile_folders.names_of(upload.id, upload.name, upload.report)
    return paths, {path.name: path.name for path in paths.values()} | names
