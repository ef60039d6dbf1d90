"""Everything that the service refuses on purpose: one root, one class a cause.

The service does not import `model`, so these stand beside `mfnet.model.errors` and carry the same
three
things: a stable `code` that programs may rely on, a message (got, expected, what to do), and the
numbers behind it. `api/problem_details.py` says which HTTP status each one becomes.
"""

from typing import Any


class ServiceError(Exception):
    """Root of the service's errors.

    Args:
        message: What was found, what was expected, what to do.
        params: The numbers and names behind the message, as JSON values.
    """

    code: str = "internal"

    def __init__(self, message: str, **params: Any) -> None:
        super().__init__(message)
        self.message = message
        self.params = params

    def to_dict(self) -> dict[str, Any]:
        """The error as it travels: to a job's record, to problem+json."""
        return {"code": self.code, "message": self.message, "params": self.params}


# ---- who asks -------------------------------------------------------------------------------


class Unauthorized(ServiceError):
    """No key, an unknown key or a revoked key; the answer does not say which."""

    code = "auth.required"


class Forbidden(ServiceError):
    """A valid key whose role is not enough."""

    code = "auth.forbidden"


class SignInAway(ServiceError):
    """The OpenID Connect issuer does not answer, so nobody can be signed in by it."""

    code = "auth.issuer_away"


class NotLocal(ServiceError):
    """A request without a key, to a service that takes such of its own machine alone."""

    code = "auth.not_local"


class NoSuchKey(ServiceError):
    """No key of this id that is not revoked."""

    code = "key.unknown"


class LastAdmin(ServiceError):
    """The last admin's key: without it nobody could make another one from afar."""

    code = "key.last_admin"


# ---- what there is no room for ----------------------------------------------------------------


class TooLittleMemory(ServiceError):
    """A raster too wide for the memory that is free: told before the work."""

    code = "run.too_little_memory"


class TooLittleDisk(ServiceError):
    """Too little room for the result where it was asked for: told before the work, or during it."""

    code = "output.disk_full"


# ---- what is not there, or is another's ------------------------------------------------------


class NoSuchProcess(ServiceError):
    """No process of this name."""

    code = "process.unknown"


class NoSuchJob(ServiceError):
    """No job of this id, or it belongs to another."""

    code = "job.unknown"


class NoSuchUpload(ServiceError):
    """No upload of this id, or it belongs to another."""

    code = "upload.unknown"


class BadInterval(ServiceError):
    """`datetime` is neither an instant nor an interval."""

    code = "job.bad_datetime"


class BadSearch(ServiceError):
    """A search of the catalogue whose box or geometry is none."""

    code = "stac.bad_search"


class NoSuchCollection(ServiceError):
    """The catalogue has no collection of this name."""

    code = "stac.unknown_collection"


class NoSuchResult(ServiceError):
    """The job has no result of this name."""

    code = "result.unknown"


class ResultNotReady(ServiceError):
    """The job has not finished."""

    code = "result.not_ready"


class ResultGone(ServiceError):
    """The job was dismissed: it has no results and never will."""

    code = "result.gone"


class NoCallback(ServiceError):
    """Nobody is to be told of the job: its request named no subscriber."""

    code = "callback.unknown"


class BadCallback(ServiceError):
    """A subscriber's address that may not be called: none of the public internet's."""

    code = "callback.bad_address"


# ---- models ---------------------------------------------------------------------------------


class NoSuchModel(ServiceError):
    """No model of this name, or no such version of it."""

    code = "model.unknown"


class OtherModel(ServiceError):
    """A request names a model's sha256, and the model has another."""

    code = "model.other"


class ModelConflict(ServiceError):
    """The version cannot become active: it is already, or another one became active meanwhile."""

    code = "model.conflict"


class ModelRefused(ServiceError):
    """The gate has refused the version, and nobody said that it is to be promoted all the same."""

    code = "model.refused"


class ModelAltered(ServiceError):
    """A model's file is not the one that was made and measured."""

    code = "model.altered"


# ---- requests -------------------------------------------------------------------------------


class BadOutput(ServiceError):
    """An output that the process does not have, or not in this way."""

    code = "request.bad_output"


class UnknownParameter(ServiceError):
    """A parameter in the address that the route does not have."""

    code = "request.unknown_parameter"


class ForeignReference(ServiceError):
    """An input by an address that is none of this service's uploads: nothing is fetched."""

    code = "request.foreign_reference"


class UploadNotFound(ServiceError):
    """An input names no upload, or another's."""

    code = "upload.unknown"


class BadRange(ServiceError):
    """A `Range` that begins behind the end of the file."""

    code = "request.bad_range"


# ---- uploads --------------------------------------------------------------------------------


class NotImportable(ServiceError):
    """No file of this path in the server's folders that are open to imports, if there are any."""

    code = "upload.not_importable"


class NotATile(ServiceError):
    """Of uploads that are to make one raster, one is none or comes twice, or they are too many."""

    code = "upload.not_a_tile"


class BadName(ServiceError):
    """A file name that is empty, too long, or has characters that are not allowed."""

    code = "upload.bad_name"


class UploadIsForm(ServiceError):
    """A form (`curl -F`, a browser's) in place of the file itself."""

    code = "upload.form"


class UploadEmpty(ServiceError):
    """The upload has no bytes."""

    code = "upload.empty"


class UploadTooLarge(ServiceError):
    """More bytes than the service takes."""

    code = "upload.too_large"


class UploadIncomplete(ServiceError):
    """The connection ended before the file did."""

    code = "upload.incomplete"


class BadPiece(ServiceError):
    """A request of tus 1.0 that lacks a header, or has one that cannot be."""

    code = "upload.bad_piece"


class OtherTus(ServiceError):
    """A version of tus that is not spoken here."""

    code = "upload.other_tus"


class WrongOffset(ServiceError):
    """A piece that does not go on where the upload is: ask with HEAD, and go on there."""

    code = "upload.wrong_offset"


class BadChecksum(ServiceError):
    """The checksum that was sent is no SHA-256 in hex."""

    code = "upload.bad_checksum"


class ChecksumMismatch(ServiceError):
    """The bytes that arrived do not have the checksum that was sent along."""

    code = "upload.checksum_mismatch"


class PieceMismatch(ServiceError):
    """A piece whose bytes do not have the checksum that was sent along; nothing of it is kept."""

    code = "upload.piece_mismatch"


class UploadExpired(ServiceError):
    """An upload in pieces that nobody has gone on with for too long: begin it again."""

    code = "upload.expired"


class UploadInUse(ServiceError):
    """A job that has not finished needs the upload."""

    code = "upload.in_use"


class StorageFull(ServiceError):
    """No room left on the data folder's disk."""

    code = "storage.full"


class StoreAway(ServiceError):
    """The store that `MFNET_STORAGE` names does not answer, or refuses; ask again later."""

    code = "storage.away"


# ---- quotas ---------------------------------------------------------------------------------


class QuotaBytes(ServiceError):
    """The key's uploads would take more bytes than it may store (`MFNET_QUOTA_BYTES`)."""

    code = "quota.bytes"


class QuotaJobs(ServiceError):
    """As many of the key's jobs wait as may (`MFNET_QUOTA_JOBS`)."""

    code = "quota.jobs"


class QuotaRequests(ServiceError):
    """More requests of the key within a minute than it may send (`MFNET_QUOTA_REQUESTS`)."""

    code = "quota.requests"


# ---- corrections and labelled tiles -----------------------------------------------------------


class NoSuchTile(ServiceError):
    """No labelled tile of this id, or it belongs to another."""

    code = "tile.unknown"


class NotCorrectable(ServiceError):
    """The job has no map that could be corrected: it is not successful, or makes none."""

    code = "job.no_map"


class RastersGone(ServiceError):
    """The uploads of the job were removed: labels without them teach nothing."""

    code = "upload.gone"


class TileInUse(ServiceError):
    """A retraining that has not finished learns from the tile."""

    code = "tile.in_use"


class NoLabelledTiles(ServiceError):
    """A retraining without anything to learn from."""

    code = "training.no_tiles"


class BadTrainingFolder(ServiceError):
    """A folder that retrainings may not read, or that holds no labelled tiles."""

    code = "training.bad_folder"


class TilesDiffer(ServiceError):
    """Labelled tiles of different class schemes, for one retraining."""

    code = "tile.other_classes"


# ---- inspection and execution -----------------------------------------------------------------


class Refused(ServiceError):
    """The inspection refused the file or the pair; the code is one of `mfnet.model.errors`."""

    def __init__(self, code: str, message: str, **params: Any) -> None:
        super().__init__(message, **params)
        self.code = code


class InspectionBroken(ServiceError):
    """The inspection failed by a fault of the service."""

    code = "inspection.failed"


class Busy(ServiceError):
    """Too many inspections at once; send the same request again later."""

    code = "service.busy"


class IdempotencyMismatch(ServiceError):
    """The same `Idempotency-Key` came before, with another request."""

    code = "idempotency.mismatch"


class JobFailed(Refused):
    """The job whose results are asked for failed for a fault of its input."""


class JobBroken(Refused):
    """The job whose results are asked for failed for a fault of ours."""


class BatchFailed(ServiceError):
    """No map of a batch was made; its jobs say why."""

    code = "job.batch_failed"


class NotReady(ServiceError):
    """The database or the broker does not answer."""

    code = "service.not_ready"


# ---- maintenance, on the command line alone ---------------------------------------------------


class MaintenanceError(ServiceError):
    """Root of what `mfnet serve` and `mfnet admin` refuse; no request meets it."""


class KeysNeeded(MaintenanceError):
    """A service without keys was to listen where other machines reach it."""

    code = "auth.keys_needed"


class TablesTooNew(MaintenanceError):
    """A newer program has brought the database up to date; this one cannot work with its tables."""

    code = "database.too_new"


class BackupUnfinished(MaintenanceError):
    """Rows were removed faster than their files could be copied."""

    code = "backup.unfinished"


class BackupDamaged(MaintenanceError):
    """The archive is no backup, or not all of one, or a file in it is not what was put there."""

    code = "backup.damaged"


class BackupTooNew(MaintenanceError):
    """The backup was made by a newer program than this one."""

    code = "backup.too_new"


class NotEmpty(MaintenanceError):
    """A backup is restored into an empty deployment alone."""

    code = "backup.not_empty"
