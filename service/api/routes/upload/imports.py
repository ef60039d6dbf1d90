"""`/imports`: files that the server has already become uploads."""

from fastapi import APIRouter, Request, Response

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.routes.upload.uploads import upload_info
from mfnet.service.operations.uploads.import_upload import import_file
from mfnet.service.schemas.jobs import NewImport, UploadInfo

router = APIRouter(prefix="/imports", tags=["uploads"])


@router.post("", status_code=201)
def import_upload(
    body: NewImport, request: Request, response: Response, services: ServicesOf, caller: CallerOf
) -> UploadInfo:
    """Make an upload of a file below one of the server's folders that are open to this
    (`MFNET_IMPORT_FOLDERS`), with what stands beside it. It is copied, and looked at before this
    answers, as one that is sent."""
    upload = import_file(services, caller, body.path)
    response.headers["Location"] = str(request.url_for("get_upload", upload_id=upload.id))
    return upload_info(upload)
