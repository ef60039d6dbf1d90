"""The JSON of a job's pictures and of a sample pair."""

from pydantic import BaseModel, Field

from mfnet.service.schemas.jobs import UploadInfo


class Pictures(BaseModel):
    """The pictures of a job or an upload, all of one size."""

    rows: int = Field(description="of a picture")
    columns: int = Field(description="of a picture")
    step: int = Field(description="pixels of the orthophoto from one of a picture's to the next")
    top_m: float = Field(description="height of the last colour of `heights`, metres")
    pictures: dict[str, str] = Field(
        description="addresses of `ortho`, `hillshade` and `heights`; of a finished map `classes` "
        "and, where it was asked for, `confidence`; of an upload `ortho`"
    )


class Strip(BaseModel):
    """Finished rows of a map that is still computed."""

    first_row: int = Field(description="in the pictures of the job")
    rows: int = Field(description="of them")
    href: str = Field(description="address of the PNG")


class Preview(BaseModel):
    """What is finished of a map."""

    strips: list[Strip] = Field(description="from the top, with gaps where rows are to come")


class Pixel(BaseModel):
    """What a map says at a place."""

    value: int | None = Field(description="of the class: its place in the statistics, from 0")
    confidence: int | None = Field(description="percent, where it was asked for")
    height_m: float | None = Field(description="above ground, where it is known")


class SamplePair(BaseModel):
    """A drawn town."""

    ortho: UploadInfo
    height: UploadInfo
