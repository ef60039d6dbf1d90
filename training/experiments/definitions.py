"""What the paper compares: its networks, its numbers, and the order that it puts them in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from mfnet.training.config.recipe import Recipe

ORTHO = ("ortho",)
BOTH = ("ortho", "ndsm")
STANDARD = {"mmadapter": "adapter", "mmlora": "lora"}
"""Each multimodal mechanism's counterpart without an exchange between modalities."""

TITLES = {
    "adapter": "Standard Adapter",
    "lora": "Standard LoRA",
    "mmadapter": "MFNet with MMAdapter",
    "mmlora": "MFNet with MMLoRA",
}


@dataclass(frozen=True)
class Variant:
    """A network, and what it is trained on.

    Args:
        tuning: A key of `TUNINGS`.
        modalities: Names of modalities.
        fusion: A key of `FUSIONS`.
        share: Of the tiles that the recipe trains on.
    """

    tuning: str
    modalities: tuple[str, ...] = BOTH
    fusion: str = "dfm"
    share: float = 1.0

    @property
    def name(self) -> str:
        """For files: the same variant has the same in every study, so runs are shared."""
        parts = [*self.modalities, self.tuning, self.fusion]
        return "-".join(parts if self.share == 1 else [*parts, f"{self.share:.0%}".rstrip("%")])

    def changes(self, recipe: Recipe, seed: int) -> list[str]:
        """What makes a run of this variant out of a recipe, as `read_recipe` takes it."""
        return [
            f"name={self.name}",
            f"network.tuning={self.tuning}",
            f"network.modalities={json.dumps(self.modalities)}",
            f"network.fusion={self.fusion}",
            f"data.share={recipe.data.share * self.share}",
            f"data.share_seed={seed}",
            f"optimizer.seed={seed}",
        ]


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Args:
        labels: One a column of `Study.heads`.
        variant: Who it is about.
        paper: The paper's figures in percent: `oa`, `mf1`, `miou`, and by class's name.
    """

    labels: tuple[str, ...]
    variant: Variant
    paper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A step of the order: the mIoU of some variants is at least that of others.

    Args:
        claim: In words.
        higher: Variants whose mIoU is added up.
        lower: As many others.
    """

    claim: str
    higher: tuple[Variant, ...]
    lower: tuple[Variant, ...]


@dataclass(frozen=True)
class Study:
    """A comparison.

    Args:
        title: For people.
        heads: Of the columns that tell the rows apart.
        rows: In the paper's order.
        steps: What the paper says of them.
        by_class: The table has a column a class, too.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    steps: tuple[Step, ...]
    by_class: bool = False

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Those of the rows."""
        return tuple(row.variant for row in self.rows)


_FROZEN = Variant("none", ORTHO)
_FOREGROUND = ("building", "tree", "low_vegetation", "car", "impervious_surface")
_OVERALL = ("oa", "mf1", "miou")


def _row_4(variant: Variant, *percent: float) -> Row:
    modality = " + ".join({"ortho": "orthophoto", "ndsm": "heights"}[m] for m in variant.modalities)
    title = TITLES.get(variant.tuning, "frozen, without tuning")
    figures = dict(zip((*_FOREGROUND, *_OVERALL), percent, strict=True))
    return Row((modality, title), variant, figures)


def _row_5(variant: Variant, *percent: float) -> Row:
    exchanged, deep = variant.tuning in STANDARD, variant.fusion == "dfm"
    family = next(mm for mm, plain in STANDARD.items() if variant.tuning in (mm, plain))
    kind = TITLES[family].removeprefix("MFNet with ")
    labels = (kind, *("✓" if part else "" for part in (exchanged, deep)))
    return Row(labels, variant, dict(zip(_OVERALL, percent, strict=True)))


def _steps_4(multimodal: str) -> tuple[Step, ...]:
    """Multimodal fine-tuning ≥ standard ≥ single modality ≥ frozen."""
    standard = STANDARD[multimodal]
    plain = TITLES[standard]
    falling = [Variant(multimodal), Variant(standard), Variant(standard, ORTHO), _FROZEN]
    claims = (
        f"{TITLES[multimodal]} ≥ {plain}, both on both modalities",
        f"{plain} on both modalities ≥ on the orthophoto alone",
        f"{plain} ≥ the frozen encoder, both on the orthophoto alone",
    )
    pairs = zip(claims, pairwise(falling), strict=True)
    return tuple(Step(claim, (better,), (worse,)) for claim, (better, worse) in pairs)


def _steps_5(multimodal: str) -> tuple[Step, ...]:
    standard = STANDARD[multimodal]
    whole, title = (Variant(multimodal),), TITLES[multimodal]
    return (
        Step(f"{title} ≥ the same without DFM", whole, (Variant(multimodal, fusion="sum"),)),
        Step(f"{title} ≥ {TITLES[standard]}", whole, (Variant(standard),)),
    )


_SHARES = tuple(Variant("mmadapter", share=share) for share in (0.25, 0.5, 0.75, 1.0))

STUDIES: dict[str, Study] = {
    "table4": Study(
        "Table IV: modalities and fine-tuning mechanisms",
        ("modality", "fine-tuning"),
        (
            _row_4(_FROZEN, 94.64, 89.47, 71.71, 76.83, 89.51, 88.01, 85.34, 75.11),
            _row_4(Variant("lora", ORTHO), 96.50, 93.62, 80.35, 86.32, 92.78, 92.00, 90.35, 82.74),
            _row_4(Variant("lora"), 97.26, 92.61, 81.58, 86.53, 91.58, 91.86, 89.90, 82.06),
            _row_4(Variant("mmlora"), 96.85, 92.89, 81.09, 89.95, 93.28, 92.22, 91.09, 83.96),
            _row_4(
                Variant("adapter", ORTHO), 96.29, 93.09, 80.15, 89.08, 92.59, 92.02, 90.94, 83.69
            ),
            _row_4(Variant("adapter"), 99.02, 91.68, 83.04, 89.71, 92.90, 92.80, 91.30, 84.35),
            _row_4(Variant("mmadapter"), 98.84, 93.17, 81.16, 89.23, 93.39, 92.93, 91.51, 84.72),
        ),
        (*_steps_4("mmadapter"), *_steps_4("mmlora")),
        by_class=True,
    ),
    "table5": Study(
        "Table V: the multimodal mechanism and the Deep Fusion Module",
        ("mechanism", "exchange", "DFM"),
        (
            _row_5(Variant("mmadapter", fusion="sum"), 92.73, 91.23, 84.25),
            _row_5(Variant("adapter"), 92.80, 91.30, 84.35),
            _row_5(Variant("mmadapter"), 92.93, 91.51, 84.72),
            _row_5(Variant("mmlora", fusion="sum"), 92.02, 90.64, 83.24),
            _row_5(Variant("lora"), 91.86, 89.90, 82.06),
            _row_5(Variant("mmlora"), 92.22, 91.09, 83.96),
        ),
        (*_steps_5("mmadapter"), *_steps_5("mmlora")),
    ),
    # The paper draws this figure and gives no numbers of it.
    "figure12": Study(
        "Figure 12: how much of the training data",
        ("training tiles",),
        tuple(Row((f"{variant.share:.0%}",), variant) for variant in _SHARES),
        (
            *(
                Step(f"{more.share:.0%} of the tiles ≥ {less.share:.0%}", (more,), (less,))
                for less, more in pairwise(_SHARES)
            ),
            Step(
                "what the second quarter adds ≥ what the second half adds",
                (_SHARES[1], _SHARES[1]),
                (_SHARES[0], _SHARES[3]),
            ),
        ),
    ),
}
