"""An uploaded orthophoto as a picture, on which an area can be drawn before there is any job."""

from pathlib import Path
from typing import Any

from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Upload
from mfnet.service.errors import NoSuchResult
from mfnet.service.operations.context import Services
from mfnet.service.operations.pictures.kept_pictures import kept, picture_in


def draw(services: Services, upload: Upload) -> dict[str, Any]:
    """What pictures there are: one, `ortho.jpg`.

    Returns:
        `rows`, `columns`, `step`, `top_m` and `files` of `mfnet pictures`.

    Raises:
        NoSuchResult: The upload is no orthophoto.
        Refused, InspectionBroken, Busy: As `Inspector.file`.
    """
    if "orthophoto" not in upload.report.get("suits", []):
        raise NoSuchResult(
            f"{upload.name} is no orthophoto; expected one, which alone is drawn before a job",
            upload=upload.id,
        )
    path = services.storage.upload_here(upload.id)

    def picture(out: Path) -> dict[str, Any]:
        return services.inspector.pictures({"ortho": path}, None, {}, out, {path.name: upload.name})

    told = kept(services.storage, _folder(services, upload.id), picture)
    with services.database.reading() as session:
        if UploadRepository(session).get(upload.id) is None:  # it was removed meanwhile
            services.storage.remove_pictures(upload.id)
    return told


def find(services: Services, upload: Upload, name: str) -> Path:
    """A picture that was drawn.

    Raises:
        NoSuchResult: There is none of this name.
    """
    path = picture_in(services.storage, [_folder(services, upload.id)], name)
    if path is None:
        raise NoSuchResult(
            f"no picture {name!r}; GET /uploads/{upload.id}/pictures first", name=name
        )
    return path


def _folder(services: Services, upload_id: str) -> Path:
    return services.storage.pictures(upload_id) / "ortho"
