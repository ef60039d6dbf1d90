"""What the standard lets a client say of an execution, made ready for the operations."""

from typing import Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Request, Response
from pydantic import BaseModel
from starlette.datastructures import URL

from mfnet.service.api.documents import process_descriptions
from mfnet.service.domain import map_outputs
from mfnet.service.domain.job import SEGMENT
from mfnet.service.domain.job_uploads import AUTO
from mfnet.service.errors import BadCallback, BadOutput, ForeignReference
from mfnet.service.runtime.outbound import NotReached, check_uri
from mfnet.service.schemas.execution import Execution
from mfnet.service.schemas.jobs import SegmentInputs

_NOBODY = "x"

Inputs = TypeVar("Inputs", bound=BaseModel)


def with_uploads(inputs: Inputs, body: Execution, request: Request) -> Inputs:
    """The inputs with ids in place of the addresses of our uploads.

    Raises:
        ForeignReference: An address is of anything else. Nothing is ever fetched.
    """
    given = {name: getattr(inputs, name) for name in body.uploads}
    return inputs.model_copy(
        update={
            name: [_named(name, each, request) for each in value]
            if isinstance(value, list)
            else _named(name, value, request)
            for name, value in given.items()
            if value is not None
        }
    )


def chosen(process_id: str, body: Execution, request: Request) -> dict[str, Any]:
    """`outputs`, `response` and `subscriber`, checked.

    Raises:
        BadOutput: The process has no such output, or does not give it by value.
        BadCallback: An address of the subscriber may not be called.
    """
    known = process_descriptions.outputs(process_id)
    for name, choice in (body.outputs or {}).items():
        if name not in known:
            raise BadOutput(
                f"outputs: got {name!r}, expected some of: {', '.join(known)}", output=name
            )
        if choice.transmissionMode == "value" and not process_descriptions.is_inline(name):
            raise BadOutput(
                f"outputs.{name}: got transmissionMode value, expected reference: "
                "no file but JSON stands in the results themselves",
                output=name,
            )
    kept = body.chosen()
    if subscriber := kept.get("subscriber"):
        _check_callable(subscriber, private=request.app.state.services.settings.callbacks_private)
        kept["subscriber"] = subscriber | {"base": str(request.base_url)}
    return kept


def _check_callable(subscriber: dict[str, str], *, private: bool) -> None:
    for name, uri in subscriber.items():
        try:
            check_uri(uri, private=private)
        except NotReached as error:
            raise BadCallback(f"subscriber.{name}: got {uri!r}: {error}", name=name) from None


def asked_by_outputs(inputs: SegmentInputs, wanted: dict[str, Any]) -> SegmentInputs:
    """The inputs, where outputs were chosen that take another: whoever asks for one, asks for both.

    Raises:
        BadOutput: An output of an input that was not given.
    """
    names = set(wanted.get("outputs", ()))
    lacking = {name: "zones" for name in map_outputs.ZONES if inputs.zones is None}
    lacking |= {} if inputs.dtm == AUTO else {map_outputs.TERRAIN: "dtm: auto"}
    for name in sorted(names & set(lacking)):
        raise BadOutput(
            f"outputs.{name}: expected inputs.{lacking[name]}, from which it is made", output=name
        )
    return inputs.model_copy(
        update={
            "confidence": inputs.confidence or bool(names & set(map_outputs.CONFIDENCE)),
            "quality": inputs.quality or bool(names & set(map_outputs.QUALITY)),
            "polygons": inputs.polygons or bool(names & set(map_outputs.POLYGONS)),
            "stac": inputs.stac or map_outputs.ITEM in names,
        }
    )


def map_outputs_of(names: list[str] | None) -> dict[str, Any]:
    """The outputs that the maps of a batch are to have, as `chosen` tells those of one.

    Raises:
        BadOutput: A map has no such output.
    """
    known = process_descriptions.outputs(SEGMENT)
    for name in names or ():
        if name not in known:
            raise BadOutput(
                f"inputs.map_outputs: got {name!r}, expected some of: {', '.join(known)}",
                output=name,
            )
    return {} if names is None else {"outputs": dict.fromkeys(names)}


def prefers(request: Request, preference: str) -> bool:
    """Whether `Prefer` (RFC 7240) holds this preference."""
    given = ",".join(request.headers.getlist("prefer"))
    return preference in [each.split(";")[0].strip().lower() for each in given.split(",")]


def tell_async(request: Request, response: Response) -> None:
    """Tell a client that asked for it that its job runs on without it."""
    if prefers(request, "respond-async"):
        response.headers["Preference-Applied"] = "respond-async"


def _named(name: str, value: str, request: Request) -> str:
    return _upload_of(name, value, request) if "/" in value else value  # which no name has


def _upload_of(name: str, address: str, request: Request) -> str:
    own = URL(str(request.url_for("get_upload", upload_id=_NOBODY)))
    folder = own.path.removesuffix(_NOBODY)
    try:
        given = urlsplit(address)
    except ValueError:  # no address at all
        given = urlsplit("")
    upload_id = given.path.removeprefix(folder)
    here = given.netloc in ("", own.netloc) and given.path.startswith(folder)
    if not here or "/" in upload_id or not upload_id:
        raise ForeignReference(
            f"inputs.{name}: got {address!r}, expected the address of an upload of this service, "
            f"such as {own.replace(path=folder)}ID; nothing is fetched from elsewhere: "
            "send the file first, PUT /uploads/NAME",
            input=name,
        )
    return upload_id
