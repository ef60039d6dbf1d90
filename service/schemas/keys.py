"""The JSON of API keys."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["reader", "user", "admin"]
KeyName = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]

KeyId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class KeyInfo(BaseModel):
    """A key without the key itself, of which only a hash is kept."""

    id: str
    name: str = Field(description="whose it is")
    role: Role
    prefix: str = Field(description="its first characters")
    created: datetime
    revoked: datetime | None
    expires: datetime | None = None
    used: datetime | None = Field(default=None, description="last, to a minute")
    of: str | None = Field(default=None, description="id of the key whose things it sees")


class KeyList(BaseModel):
    """All keys, the oldest first."""

    keys: list[KeyInfo]


class NewKey(BaseModel):
    """What a new key takes."""

    model_config = ConfigDict(extra="forbid")

    name: KeyName = Field(default="", description="whose it is, for the list")
    role: Role = Field(
        default="user",
        description="an admin sees and changes everybody's; a reader sees what another key sees, "
        "and changes nothing; a user sees and changes their own, or another key's",
    )
    of: KeyId | None = Field(
        default=None,
        description="id of that other key: a reader's is your own without it; users of one key, a "
        "group, share what any of them makes, and its quotas",
    )
    days: float | None = Field(
        default=None, gt=0, le=36_500, description="after which it ends by itself; never without"
    )


class MadeKey(KeyInfo):
    """A new key, shown this once."""

    secret: str = Field(description="the key; it cannot be had again")
