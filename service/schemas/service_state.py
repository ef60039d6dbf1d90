"""The JSON of how a service is."""

from pydantic import BaseModel, Field


class QuotaLimits(BaseModel):
    """What a user's key may use; null for any."""

    bytes_stored: int | None
    jobs_waiting: int | None
    requests_a_minute: int | None


class ServiceState(BaseModel):
    """How the service is, for whoever runs it."""

    version: str
    disk_free_bytes: int = Field(description="of the data folder's disk")
    disk_bytes: int = Field(description="of the data folder's disk, in all")
    waiting: int = Field(description="jobs that no worker has taken yet")
    running: int = Field(description="jobs that a worker does")
    workers: list[str] = Field(description="those that do one now")
    quotas: QuotaLimits
    tiles: int = Field(description="corrections to learn from")
