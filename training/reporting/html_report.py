"""The report of a run: one HTML file that needs nothing beside it."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mfnet.model.atomic_files import replacing
from mfnet.model.classes import ClassScheme
from mfnet.model.config import ModelConfig
from mfnet.model.network.mfnet import MFNet
from mfnet.training.config.recipe import Recipe
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.datasets.tiles.samples import Sample
from mfnet.training.evaluation.calibration import Calibration
from mfnet.training.evaluation.checkpoint_selection import kept_check
from mfnet.training.evaluation.validation import mapped, some_windows
from mfnet.training.reporting.html_tables import by_class, confusion, overview, paper, sureness
from mfnet.training.reporting.plots import Curve, curves, heights, land_cover, orthophoto
from mfnet.training.tracking.disk_errors import writing

REPORT = "report.html"
EXAMPLES = 6

_SMOOTH = 10
_NORM = "Gradient's norm"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}: training report</title>
<style>{style}</style></head>
<body>
{body}
</body></html>
"""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c1c1c; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse } th, td { padding: .25rem .6rem; text-align: right }
th:first-child { text-align: left }
thead th { border-bottom: 1px solid #888; vertical-align: bottom }
.curves, .examples { display: flex; flex-wrap: wrap; gap: .6rem }
.curves img { width: 33rem; max-width: 100% } .curves img.square { width: 22rem }
figure { margin: 0 } figcaption { font-size: .8rem; color: #555 }
.examples { margin-bottom: .8rem }
.examples img { width: 15.5rem; image-rendering: pixelated; display: block;
  border: 1px solid #bbb }
.swatch { display: inline-block; width: .9em; height: .9em; border: 1px solid #888;
  vertical-align: -.1em; margin-right: .35em }
pre { background: #f4f4f4; padding: .8rem; overflow-x: auto }
.wide { overflow-x: auto }
"""


def write_report(
    out: Path,
    recipe: Recipe,
    net: MFNet,
    validation: Pool,
    log: Sequence[dict[str, Any]],
    *,
    measured: dict[str, Any] | None = None,
    fitted: Calibration | None = None,
    remarks: Sequence[str] = (),
) -> Path:
    """Writes `report.html`: figures, curves, confusion matrix, example maps, the recipe.

    Args:
        out: The run's folder.
        recipe: The run's.
        net: The model that came of it.
        validation: Where the examples are taken from.
        log: The lines of the run's log.
        measured: What `Evaluation.summary` says, if it was done.
        fitted: Its temperature.
        remarks: Sentences for the top.

    Returns:
        The file.
    """
    checks = [line for line in log if "miou" in line]
    kept = kept_check(log, recipe.evaluation.keep)
    scheme = net.config.classes
    sections = [
        f"<h1>{escape(recipe.name)}</h1>",
        *(f"<p>{escape(remark)}</p>" for remark in remarks),
        *overview(kept, measured),
        *_in_detail(measured, net.config, recipe.data.kind),
        *sureness(fitted, measured),
        *_confusion(kept, measured, scheme),
        "<h2>While it was trained</h2>",
        *_curves(log, checks, scheme),
        *_examples(net, list(some_windows(validation.areas, net.config.window_px, EXAMPLES))),
        "<h2>Recipe</h2>",
        f"<pre>{escape(recipe.toml())}</pre>",
    ]
    page = _PAGE.format(title=escape(recipe.name), style=_STYLE, body="\n".join(sections))
    path = out / REPORT
    with writing(path, len(page)), replacing(path) as part:
        part.write_text(page, encoding="utf-8")
    return path


def _in_detail(measured: dict[str, Any] | None, config: ModelConfig, kind: str) -> Iterator[str]:
    if measured is not None:
        yield from by_class(measured, config.classes)
        yield from paper(measured, config, kind)


def _confusion(
    kept: dict[str, Any] | None, measured: dict[str, Any] | None, scheme: ClassScheme
) -> Iterator[str]:
    if measured is not None:
        yield from confusion(measured["confusion"], scheme, "Whole rasters, as measured above.")
    elif kept is not None:
        where = f"Validation windows, at step {kept['step']:,}."
        yield from confusion(kept["confusion"], scheme, where)


def _curves(
    log: Sequence[dict[str, Any]], checks: Sequence[dict[str, Any]], scheme: ClassScheme
) -> Iterator[str]:
    steps = [line for line in log if "loss" in line]
    loss = _curve(steps, "loss")
    ious = [{"step": check["step"], **check["iou"]} for check in checks]
    charts: dict[str, dict[str, Curve]] = {
        "Loss": {"loss": loss, f"mean of {_SMOOTH} points": _smoothed(loss)},
        "Validation windows": {
            "mIoU": _curve(checks, "miou"),
            "mF1": _curve(checks, "mf1"),
            "overall accuracy": _curve(checks, "oa"),
        },
        "IoU of each class": {c.title: _curve(ious, c.name) for c in scheme.classes},
        "Learning rate": {"rate": _curve(steps, "learning_rate")},
        _NORM: {"norm": _curve(steps, "gradient_norm")},
    }
    yield '<div class="curves">'
    for title, named in charts.items():
        picture = curves(title, named, logarithmic=title == _NORM)
        yield f'<img alt="{escape(title)} over the steps" src="{picture}">'
    yield "</div>"


def _curve(lines: Sequence[dict[str, Any]], key: str) -> Curve:
    known = [line for line in lines if line.get(key) is not None]
    return [line["step"] for line in known], [line[key] for line in known]


def _smoothed(curve: Curve) -> Curve:
    """The mean of each point and those before it; begins where there are enough of them."""
    steps, values = curve
    if len(values) < _SMOOTH:
        return [], []
    means = np.convolve(values, np.full(_SMOOTH, 1 / _SMOOTH), mode="valid")
    return steps[_SMOOTH - 1 :], means.tolist()


def _examples(net: MFNet, windows: Sequence[Sample]) -> Iterator[str]:
    names = [modality.name for modality in net.config.modalities]
    yield "<h2>Validation windows</h2>"
    for window in windows:
        pictures = {
            **({"orthophoto": orthophoto(window)} if "ortho" in names else {}),
            **({"heights": heights(window)} if "ndsm" in names else {}),
            "the model's map": land_cover(mapped(net, window), net.config.classes),
            "truth": land_cover(window.truth, net.config.classes),
        }
        yield '<div class="examples">'
        for title, picture in pictures.items():
            yield (
                f'<figure><img alt="{title}" src="{picture}">'
                f"<figcaption>{title}</figcaption></figure>"
            )
        yield "</div>"
