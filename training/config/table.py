"""What every table of a recipe has in common."""

from pydantic import BaseModel, ConfigDict


class RecipePart(BaseModel):
    """A table of a recipe: never changed, without unknown keys, of finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
