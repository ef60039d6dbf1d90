"""What a recipe may say of how weights are changed."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mfnet.model.classes import ClassScheme
from mfnet.model.errors import BadRecipe
from mfnet.training.config.table import RecipePart


class OptimizerRecipe(RecipePart):
    """How the weights are changed, and by which loss."""

    name: Literal["adamw", "sgd"] = "adamw"
    steps: int = Field(gt=0)
    batch_size: int = Field(default=4, gt=0, description="samples a step")
    accumulation: int = Field(
        default=1,
        gt=0,
        description="parts that a batch is computed in, one after another or shared among "
        "processes; the gradient is their mean",
    )
    learning_rate: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(default=0.05, ge=0)
    decayed: Literal["matrices", "all"] = Field(
        default="matrices",
        description="matrices and kernels alone; or all weights that are trained",
    )
    schedule: Literal["cosine", "steps"] = Field(
        default="cosine", description="half a cosine down to 0; or a fall at each milestone"
    )
    warmup_steps: int = Field(default=100, ge=0, description="of a linear rise before it")
    milestones: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        default=(), description="steps at which the rate falls"
    )
    milestone_factor: float = Field(default=0.1, gt=0, lt=1)
    clip_norm: float = Field(default=1.0, ge=0, description="0 leaves gradients as they are")
    class_weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None, description="of the cross entropy, one a class"
    )
    balanced: bool = Field(
        default=False, description="class weights from the classes' shares of the training data"
    )
    dice: float = Field(default=0.0, ge=0, description="weight of the Dice loss")
    averaging: float = Field(default=0.998, ge=0, lt=1, description="decay of the mean of weights")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="of the forward pass; bf16 also keeps the frozen weights so"
    )
    checkpointing: bool = Field(
        default=False,
        description="compute each block again on the way back: a fraction of the memory, a third "
        "more time",
    )
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _parts_are_equal(self) -> "OptimizerRecipe":
        if self.batch_size % self.accumulation:
            raise ValueError(
                f"batch_size is {self.batch_size}, accumulation {self.accumulation}; expected "
                "parts of equal size"
            )
        return self

    @model_validator(mode="after")
    def _class_weights_come_from_one_place(self) -> "OptimizerRecipe":
        if self.balanced and self.class_weights is not None:
            raise ValueError("balanced is true, and there are class_weights; expected one of both")
        return self

    @model_validator(mode="after")
    def _milestones_suit_the_schedule(self) -> "OptimizerRecipe":
        if (self.schedule == "steps") != bool(self.milestones):
            raise ValueError(
                f"schedule is {self.schedule!r} with {len(self.milestones)} milestones; expected "
                "milestones for 'steps', and none for 'cosine'"
            )
        if list(self.milestones) != sorted({*self.milestones}):
            raise ValueError(f"milestones are {[*self.milestones]}; expected ascending steps")
        return self


def require_one_a_class(weights: Sequence[float], scheme: ClassScheme) -> None:
    """Refuses class weights of another number than the classes'.

    Raises:
        BadRecipe: Names the classes.
    """
    if len(weights) != len(scheme):
        raise BadRecipe(
            f"optimizer.class_weights are {len(weights)}; expected {len(scheme)}, for "
            f"{', '.join(scheme.names)}"
        )
