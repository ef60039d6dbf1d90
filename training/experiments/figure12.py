"""Figure 12: accuracy over the share of the tiles that were learned from."""

from pathlib import Path
from statistics import fmean

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mfnet.training.experiments.ranking_check import spread
from mfnet.training.experiments.study_runs import Measured
from mfnet.training.tracking.disk_errors import writing

_SHOWN = {"oa": "overall accuracy", "mf1": "mF1", "miou": "mIoU"}


def draw_shares(found: Measured, path: Path) -> None:
    """Draws mean, spread and each seed of the variants over their shares, as an SVG."""
    figure = Figure(figsize=(6.4, 4.0))
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    shares = [100 * variant.share for variant in found]
    for key, title in _SHOWN.items():
        seeds = [[100 * run[key] for run in runs] for runs in found.values()]
        bars = [spread(values) or 0.0 for values in seeds]
        means = [fmean(values) for values in seeds]
        drawn = axis.errorbar(shares, means, bars, marker="o", capsize=3, label=title)
        for share, values in zip(shares, seeds, strict=True):
            axis.plot([share] * len(values), values, ".", color=drawn[0].get_color(), alpha=0.4)
    axis.set(xlabel="share of the training tiles, percent", ylabel="percent", xticks=shares)
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    with writing(path), rc_context({"svg.hashsalt": "mfnet"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
