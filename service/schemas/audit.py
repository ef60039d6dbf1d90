"""The JSON of what admins did."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from mfnet.service.schemas.jobs import Link


class AuditInfo(BaseModel):
    """Something that an admin did."""

    id: int
    at: datetime
    who: str = Field(description="name and id of a key, or `command line`")
    action: str
    subject: str
    detail: dict[str, Any]


class AuditList(BaseModel):
    """A page of the log, the newest first."""

    entries: list[AuditInfo]
    links: list[Link]
