"""The JSON of how a retraining goes."""

from pydantic import BaseModel, Field

Point = tuple[int, float]


class TrainingCurves(BaseModel):
    """What a retraining has logged so far."""

    loss: list[Point] = Field(description="step and loss of training")
    miou: list[Point] = Field(description="step and mean IoU on held-out tiles, 0 to 1")
