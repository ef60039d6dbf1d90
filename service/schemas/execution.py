"""What OGC API - Processes says of an execution beside its inputs, and how inputs may be given."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field, field_validator

_QUALIFIED = {"value", "format", "mediaType", "encoding", "schema"}
_LINK = {"href", "rel", "type", "hreflang", "title"}


Uri = Annotated[str, Field(max_length=2000)]


class Subscriber(BaseModel):
    """Who is told of a job, by POST."""

    successUri: Uri = Field(description="gets the results, once the job is successful")
    inProgressUri: Uri | None = Field(default=None, description="gets the status, once it runs")
    failedUri: Uri | None = Field(default=None, description="gets the status, once it has failed")


class OutputChoice(BaseModel):
    """How an output is wanted."""

    transmissionMode: Literal["value", "reference"] | None = Field(
        default=None, description="value: in the results themselves; reference: by its address"
    )


class Execution(BaseModel):
    """Members that clients add beside these are ignored.

    An input may also be given as `{"value": …}`; one that is an upload as `{"href": ADDRESS}` of
    an upload of this service, too.
    """

    uploads: ClassVar[frozenset[str]] = frozenset()
    """The inputs that are uploads."""

    outputs: dict[str, OutputChoice] | None = Field(
        default=None, description="which outputs the results name; all without it"
    )
    response: Literal["raw", "document"] | None = Field(
        default=None,
        description="raw: the results of a job with one chosen output are that output itself",
    )
    subscriber: Subscriber | None = Field(
        default=None, description="who is told of the job; not of one that is answered at once"
    )

    @field_validator("inputs", mode="before", check_fields=False)
    @classmethod
    def _plain(cls, inputs: Any) -> Any:
        if not isinstance(inputs, dict):
            return inputs
        return {name: plain(value, name in cls.uploads) for name, value in inputs.items()}

    def chosen(self) -> dict[str, Any]:
        """What is kept with a job: `outputs`, each with its mode or None, a raw `response`, and the
        `subscriber`."""
        kept: dict[str, Any] = {}
        if self.outputs is not None:
            kept["outputs"] = {name: each.transmissionMode for name, each in self.outputs.items()}
        if self.response == "raw":
            kept["response"] = self.response
        if self.subscriber is not None:
            kept["subscriber"] = self.subscriber.model_dump(exclude_none=True)
        return kept


def plain(given: Any, is_upload: bool) -> Any:
    """A qualified value as the value; a link to an upload as its address; each of several."""
    if isinstance(given, dict) and "value" in given and set(given) <= _QUALIFIED:
        return given["value"]
    if is_upload and isinstance(given, list):
        return [plain(each, is_upload) for each in given]
    if is_upload and isinstance(given, dict) and "href" in given and set(given) <= _LINK:
        return given["href"]
    return given
