"""The JSON of a request for many maps."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from mfnet.service.domain.batch import MOST_PAIRS
from mfnet.service.domain.job_uploads import UPLOADS
from mfnet.service.schemas.execution import Execution, plain
from mfnet.service.schemas.jobs import SegmentInputs

_OBJECTS = {"type": "array", "minItems": 1, "maxItems": MOST_PAIRS, "items": {"type": "object"}}
Pairs = Annotated[
    list[SegmentInputs], Field(min_length=1, max_length=MOST_PAIRS), WithJsonSchema(_OBJECTS)
]


class BatchInputs(BaseModel):
    """What many maps take."""

    model_config = ConfigDict(extra="forbid")

    pairs: Pairs = Field(
        title="Pairs",
        description="of each map what `segment` takes as its inputs: `ortho`, `height`, …",
    )
    options: dict[str, Any] = Field(
        default={},
        title="Options",
        description="inputs of `segment` that hold for all pairs, but for one that says otherwise",
    )
    map_outputs: list[str] | None = Field(
        default=None,
        max_length=100,
        title="Outputs of the maps",
        description="of `segment` that each map is to have; all that its inputs ask for without",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, sent: Any) -> Any:
        """Each pair with the options that hold for all."""
        pairs, options = (
            (sent.get(name) for name in ("pairs", "options"))
            if isinstance(sent, dict)
            else (None, None)
        )
        if not isinstance(pairs, list) or not isinstance(options or {}, dict):
            return sent
        complete = [
            {
                name: plain(value, name in UPLOADS)
                for name, value in {**(options or {}), **pair}.items()
            }
            if isinstance(pair, dict)
            else pair
            for pair in pairs
        ]
        return sent | {"pairs": complete, "options": {}}


class ExecuteBatch(Execution):
    """A request for many maps; a job for each pair, and one that stands for all."""

    uploads = frozenset(UPLOADS)

    inputs: BatchInputs
    reuse: bool = Field(
        default=True,
        description="take over results of earlier jobs of yours, as `segment` does; false: compute "
        "anew",
    )
