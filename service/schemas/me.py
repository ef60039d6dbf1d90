"""The JSON of what a caller is told of themselves."""

from pydantic import BaseModel, Field

from mfnet.service.schemas.keys import KeyInfo


class Quota(BaseModel):
    """How much of something is used."""

    used: int
    limit: int | None = Field(description="null where there is none")


class Quotas(BaseModel):
    """What the key takes of the service."""

    bytes_stored: Quota = Field(description="of uploads, those under way included")
    jobs_waiting: Quota
    requests_a_minute: Quota = Field(description="by the process that answers")


class WebhookSecret(BaseModel):
    """What callbacks of the key's jobs are signed with, shown this once."""

    secret: str


class Me(BaseModel):
    """Whoever asks."""

    key: KeyInfo
    quotas: Quotas
