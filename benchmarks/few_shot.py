"""How few tiles of one's own make a good map: `town` trained on, and the same from nothing.

    python benchmarks/few_shot.py [--tiles 1 3 10] [--parent town] [--threads 1]

Tiles are plain synthetic towns (512 pixels of 0.125 m), a kind that `town` has not seen: hedges are
low vegetation there, cars and clutter count. Their classes have names of one's own. What
`mfnet train FOLDER` does is done, with its recipe; from nothing with as many steps. mIoU over all
six classes and minutes of training; six other towns are measured on, and one chosen by.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from report import RESULTS, report

from mfnet.model.cli.models import USER_MODELS
from mfnet.training.experiments.folder_recipe import folder_recipe
from mfnet.training.experiments.single_run import run_train
from mfnet.training.synthetic.town import draw_town, write_town

SIDE, TEST_TOWNS = 512, 6
TITLES = ("Straße", "Haus", "Wiese", "Baum", "Auto", "Sonstiges")
COLORS = ("#808080", "#c00000", "#80ff80", "#008000", "#ffff00", "#ff00ff")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", nargs="+", type=int, default=[1, 3, 10])
    parser.add_argument("--parent", default="town")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows = []
    for tiles in args.tiles:
        for start in (args.parent, "nothing"):
            with TemporaryDirectory() as folder:
                row = measured(Path(folder), tiles, args.parent, start == "nothing", args.threads)
            rows.append({"tiles": tiles, "from": start, **row})
            print(json.dumps(rows[-1]), flush=True)
    report("few_shot", rows, conditions={"test towns": TEST_TOWNS, "side": SIDE}, out=args.out)


def measured(
    folder: Path, tiles: int, parent: str, from_nothing: bool, threads: int
) -> dict[str, float | int]:
    """Trains on so many tiles and measures on the test towns."""
    write_folder(folder / "own", tiles)
    recipe = folder_recipe(folder / "own", tiles, USER_MODELS, [], parent=parent)
    if from_nothing:
        network = recipe.network.model_copy(update={"parent": None})
        optimizer = recipe.optimizer.model_copy(update={"learning_rate": 1e-3})
        recipe = recipe.model_copy(update={"network": network, "optimizer": optimizer})
    begun = monotonic()
    found = json.loads(
        run_train(recipe, folder / "run", USER_MODELS, device="cpu", threads=threads, as_json=True)
    )
    return {
        "steps": recipe.optimizer.steps,
        "minutes": (monotonic() - begun) / 60,
        "mIoU": 100 * found["miou"],
        **{title: 100 * each["iou"] for title, each in zip(TITLES, found["classes"].values(),
                                                           strict=True)},
    }  # fmt: skip


def write_folder(folder: Path, tiles: int) -> None:
    """Towns as tiles with a manifest: to learn from, one to choose by, some to measure on."""
    ends = ["train"] * tiles + ["validation"] + ["test"] * TEST_TOWNS
    seeds = [*range(7_000, 7_000 + tiles), 400_000, *range(500_000, 500_000 + TEST_TOWNS)]
    lines = ['name = "own"']
    for seed, end in zip(seeds, ends, strict=True):
        write_town(folder / str(seed), draw_town(seed, SIDE))
        lines += [f'[[tiles]]\nname = "{seed}"\nsplit = "{end}"\northo = "{seed}/ortho.tif"']
        lines += [f'height = "{seed}/ndsm.tif"\nlabels = "{seed}/truth.tif"']
    for number, (title, color) in enumerate(zip(TITLES, COLORS, strict=True)):
        lines += [f'[[classes]]\nname = "own_{number}"\ntitle = "{title}"\ncolor = "{color}"']
    (folder / "manifest.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
