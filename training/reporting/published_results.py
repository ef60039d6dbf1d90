"""The paper's figures on its three data sets, and ours beside them in its layout.

Source: Ma et al., "A Unified Framework with Multimodal Fine-tuning for Remote Sensing Semantic
Segmentation", tables I to III, the rows of MFNet. Under "OA" they give each class the share of its
true pixels that is found, and "Total" over all classes, clutter included; mF1 and mIoU are over the
foreground. The authors chose the epoch by the test tiles, and we do not. In table III the row of
MMLoRA with ViT-L repeats that of FTransDeepLab in all ten figures, so it may be a slip.
"""

from dataclasses import dataclass
from typing import Any

from mfnet.model.config import ENCODERS, ModelConfig

_ISPRS = {
    "building": "Bui.",
    "tree": "Tre.",
    "low_vegetation": "Low.",
    "car": "Car",
    "impervious_surface": "Imp.",
}
_HUNAN = {
    "cropland": "Cropland",
    "forest": "Forest",
    "grassland": "Grassland",
    "wetland": "Wetland",
    "water": "Water",
    "unused_land": "Unused",
    "built_up": "Built-up",
}
_METHODS = {"mmlora": "MFNet (MMLoRA)", "mmadapter": "MFNet (MMAdapter)"}
_BACKBONES = {"vit_b": "ViT-B", "vit_l": "ViT-L", "vit_h": "ViT-H"}

Row = tuple[str, ...]


@dataclass(frozen=True)
class PaperTable:
    """One of the paper's tables.

    Args:
        number: Its own.
        title: Its data set.
        columns: The paper's short titles of the classes, by our names, in its order.
        rows: Percent: each class's accuracy, then total, mF1 and mIoU, by mechanism and encoder.
    """

    number: str
    title: str
    columns: dict[str, str]
    rows: dict[tuple[str, str], tuple[float, ...]]

    @property
    def head(self) -> Row:
        """The titles of the columns."""
        return ("", "backbone", *self.columns.values(), "Total", "mF1", "mIoU")

    def beside(self, config: ModelConfig, found: dict[str, Any]) -> list[Row]:
        """The paper's rows, and ours as the last.

        Args:
            config: Of our model.
            found: What `Evaluation.summary` says of it.
        """
        rows = [
            (_METHODS[tuning], _BACKBONES[encoder], *(f"{value:.2f}" for value in values))
            for (tuning, encoder), values in self.rows.items()
        ]
        shares = [found["classes"][name]["accuracy"] for name in self.columns]
        shares += [found["oa"], found["mf1"], found["miou"]]
        ours = ("–" if share is None else f"{100 * share:.2f}" for share in shares)
        names = [name for name, encoder in ENCODERS.items() if encoder == config.encoder]
        name = names[0] if names else "other"
        return [*rows, (f"ours ({config.tuning})", _BACKBONES.get(name, name), *ours)]


PAPER_TABLES = {
    "vaihingen": PaperTable(
        "I",
        "ISPRS Vaihingen",
        _ISPRS,
        {
            ("mmlora", "vit_b"): (97.83, 94.26, 77.82, 85.43, 91.98, 91.93, 89.89, 82.09),
            ("mmlora", "vit_l"): (96.85, 92.89, 81.09, 89.95, 93.28, 92.22, 91.09, 83.96),
            ("mmlora", "vit_h"): (97.98, 92.35, 82.96, 90.09, 93.25, 92.73, 91.50, 84.66),
            ("mmadapter", "vit_b"): (98.73, 91.41, 83.09, 85.63, 92.91, 92.62, 90.60, 83.24),
            ("mmadapter", "vit_l"): (98.84, 93.17, 81.16, 89.23, 93.39, 92.93, 91.51, 84.72),
            ("mmadapter", "vit_h"): (98.38, 93.94, 80.70, 90.47, 93.59, 92.97, 91.71, 85.03),
        },
    ),
    "potsdam": PaperTable(
        "II",
        "ISPRS Potsdam",
        _ISPRS,
        {
            ("mmlora", "vit_b"): (97.60, 86.45, 87.87, 94.39, 92.44, 90.57, 91.48, 84.61),
            ("mmlora", "vit_l"): (97.59, 88.57, 88.34, 96.35, 92.68, 90.99, 92.13, 85.71),
            ("mmlora", "vit_h"): (98.19, 87.30, 89.89, 96.27, 92.80, 91.43, 92.49, 86.34),
            ("mmadapter", "vit_b"): (97.93, 87.13, 87.72, 95.68, 92.68, 90.89, 91.79, 85.14),
            ("mmadapter", "vit_l"): (98.31, 88.78, 87.27, 96.29, 93.69, 91.62, 92.51, 86.37),
            ("mmadapter", "vit_h"): (98.44, 87.37, 90.36, 96.24, 93.17, 91.71, 92.70, 86.69),
        },
    ),
    "mmhunan": PaperTable(
        "III",
        "MMHunan",
        _HUNAN,
        {
            ("mmlora", "vit_b"): (
                76.83, 90.69, 24.16, 22.03, 80.17, 78.12, 29.66, 79.35, 58.79, 46.54,
            ),
            ("mmlora", "vit_l"): (
                79.39, 88.89, 35.71, 30.88, 83.95, 78.14, 32.60, 80.62, 62.51, 49.66,
            ),
            ("mmlora", "vit_h"): (
                76.42, 90.65, 38.08, 20.78, 74.48, 77.93, 38.69, 78.87, 60.38, 47.63,
            ),
            ("mmadapter", "vit_b"): (
                74.81, 91.47, 27.59, 25.00, 86.47, 78.92, 37.46, 80.68, 62.10, 49.20,
            ),
            ("mmadapter", "vit_l"): (
                79.19, 89.52, 46.07, 42.23, 81.15, 77.58, 39.65, 80.93, 65.33, 51.82,
            ),
            ("mmadapter", "vit_h"): (
                79.66, 90.06, 42.61, 38.81, 80.31, 78.92, 40.04, 81.07, 64.13, 51.08,
            ),
        },
    ),
}  # fmt: skip
"""By the recipe's `data.kind`."""
