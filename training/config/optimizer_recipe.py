"""What a recipe may say of how weights are changed."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mfnet.model.classes import ClassScheme
from mfnet.model.errors import BadRecipe
from mfnet.training.config.table import RecipePart


class OptimizerRecipe(RecipePart):
    """How the weights are changed, and by which loss."""

    name: Literal["adamw", "sgd"] = Field(default="adamw", description="the optimizer")
    steps: int = Field(gt=0, description="steps in all")
    batch_size: int = Field(default=4, gt=0, description="samples in a step")
    accumulation: int = Field(
        default=1,
        gt=0,
        description="parts that a batch is computed in, one after another or shared among "
        "processes; the gradient is their mean",
    )
    learning_rate: float = Field(
        default=1e-3, gt=0, description="highest rate, reached after `warmup_steps`"
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of `sgd`")
    weight_decay: float = Field(
        default=0.05, ge=0, description="decay of the weights that `decayed` names"
    )
    decayed: Literal["matrices", "all"] = Field(
        default="matrices",
        description="decay matrices and kernels alone, which spares biases, norms, positions, bias "
        "tables, mixing weights and lengths; or, as in the paper, all weights that are trained",
    )
    schedule: Literal["cosine", "steps"] = Field(
        default="cosine", description="half a cosine down to 0; or a fall at each milestone"
    )
    warmup_steps: int = Field(
        default=100, ge=0, description="steps in which the rate rises linearly"
    )
    milestones: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        default=(), description="steps at which the rate falls"
    )
    milestone_factor: float = Field(
        default=0.1, gt=0, lt=1, description="what the rate is multiplied by at each milestone"
    )
    clip_norm: float = Field(
        default=1.0, ge=0, description="largest norm of the gradient; 0 leaves it as it is"
    )
    class_weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None,
        description="weights of the cross entropy, one for each class; left out, equal",
    )
    balanced: bool = Field(
        default=False,
        description="class weights from the training data: the median class's pixels over each "
        "class's, within 0.1 to 10",
    )
    dice: float = Field(
        default=0.0, ge=0, description="weight of the Dice loss beside the cross entropy"
    )
    agreement: float = Field(
        default=0.0,
        ge=0,
        description="weight of the agreement between each window and its twin with gaps, which "
        "then stands beside it in the batch; 0 for no twins",
    )
    averaging: float = Field(
        default=0.998,
        ge=0,
        lt=1,
        description="decay of the running mean of the weights; 0 keeps the last",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="fp32",
        description="precision of the forward pass; `bf16` also keeps the frozen weights so; "
        "`auto` takes it where the device has instructions for it",
    )
    checkpointing: bool = Field(
        default=False,
        description="compute each block again in the backward pass: a fraction of the memory, a "
        "third more time",
    )
    seed: int = Field(
        default=0, ge=0, description="decides the first weights, the windows and dropout"
    )

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
