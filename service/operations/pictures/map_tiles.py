"""A job's layers as tiles: its map, and what it was made of."""

from typing import Any, NamedTuple

from mfnet.service.db.tables import Job
from mfnet.service.domain.job import SEGMENT
from mfnet.service.domain.map_outputs import CONFIDENCE
from mfnet.service.domain.reading_inputs import reading_of
from mfnet.service.errors import NoSuchResult, ResultNotReady
from mfnet.service.operations.context import Services
from mfnet.service.operations.pictures import job_pictures

MAP = "classes.tif"
OF_RESULTS = {"classes": MAP, "confidence": CONFIDENCE[0]}
"""Layers that are results, and their files."""
OF_UPLOADS = ("ortho", "hillshade")
"""Layers that are drawn of what was uploaded, as long as it is there."""

MOST_ZOOM = 24


class TileExtent(NamedTuple):
    """Where a map lies.

    Attributes:
        bounds: West, south, east, north, in degrees.
        minzoom: At which it fills about a tile.
        maxzoom: Beyond which there is no more to see.
    """

    bounds: tuple[float, float, float, float]
    minzoom: int
    maxzoom: int


def layers(services: Services, job: Job) -> list[str]:
    """The layers that a job has; none before its map."""
    if job.process != SEGMENT or job.result_epoch is None:
        return []
    names = services.storage.result_names(job.id, job.result_epoch)
    found = [layer for layer, name in OF_RESULTS.items() if name in names]
    if MAP in (OF_RESULTS[layer] for layer in found):
        found += OF_UPLOADS if job_pictures.rasters(services, job)[0] else ()
    return found


def extent(services: Services, job: Job, layer: str) -> TileExtent:
    """Where a layer of a job lies.

    Raises:
        Busy: Too many ask at once.
        ResultNotReady: There is no map yet.
        NoSuchResult: No such layer, or nobody knows where the map lies.
    """
    told = services.tiles.ask({"raster": _file(services, job, layer)})["extent"]
    if told is None:
        raise NoSuchResult("nobody knows where this map lies: it has no tiles", job=job.id)
    return TileExtent(tuple(told["bounds"]), told["minzoom"], told["maxzoom"])


def draw(services: Services, job: Job, layer: str, z: int, x: int, y: int) -> bytes:
    """A tile as PNG, transparent where the layer is not.

    Raises:
        Busy, ResultNotReady, NoSuchResult: As `extent`; also for a tile that the zoom does not
            have.
        Refused, InspectionBroken: As `job_pictures.draw`.
    """
    asked: dict[str, Any] = {"raster": _file(services, job, layer)}
    if not (z <= MOST_ZOOM and x < 2**z and y < 2**z):
        raise NoSuchResult(
            f"no tile {z}/{x}/{y}; expected a zoom of 0 to {MOST_ZOOM}, and columns and rows "
            "of 0 to 2^zoom - 1",
        )
    place = {"z": z, "x": x, "y": y}
    if layer in OF_UPLOADS:
        return services.tiles.draw(asked | _pair(services, job, layer) | place, job.id)
    if layer == "confidence":
        look = {"look": "percent"}
    else:
        assert job.result_epoch is not None
        told = services.storage.folder(job.id, job.result_epoch) / "statistics.json"
        look = {"look": "classes", "statistics": str(services.storage.here(told))}
    return services.tiles.draw(asked | look | place)


def _pair(services: Services, job: Job, layer: str) -> dict[str, Any]:
    """What the child needs to know of the rasters."""
    told = job_pictures.draw(services, job)
    paths, _ = job_pictures.rasters(services, job)
    return {
        "look": layer,
        "pair": {role: str(path) for role, path in paths.items()},
        "reading": reading_of(job.inputs),
        "pictures": str(job_pictures.folder(services, job)),
        "step": told["step"],
        "stretch": told["stretch"],
    }


def _file(services: Services, job: Job, layer: str) -> str:
    """The result that says where a layer lies: its own file, or the map."""
    if job.process == SEGMENT and job.result_epoch is None:
        raise ResultNotReady(f"job {job.id} is {job.state}; its tiles come with its map")
    known = layers(services, job)
    if layer not in known:
        raise NoSuchResult(f"no layer {layer!r}; there are: {', '.join(known)}", job=job.id)
    assert job.result_epoch is not None
    folder = services.storage.folder(job.id, job.result_epoch)
    return str(services.storage.here(folder / OF_RESULTS.get(layer, MAP)))
