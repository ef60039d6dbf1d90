"""Something to know about a raster that is no reason to refuse it."""

from pydantic import BaseModel, ConfigDict


class Remark(BaseModel):
    """A remark: a decision with its reason, or something odd.

    Attributes:
        code: Stable, for programs.
        message: For people; it names the file, and the option that decides otherwise.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
