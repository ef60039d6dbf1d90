"""Recipes by name: those that come along, also from an installed wheel."""

import re
from difflib import get_close_matches
from pathlib import Path

from mfnet.model.errors import BadRecipe

PACKAGED = Path(__file__).parents[1] / "recipes"
"""Recipes that come with the project."""


def recipe_files() -> dict[str, Path]:
    """The recipes that come along, by name."""
    return {path.stem: path for path in sorted(PACKAGED.glob("*.toml"))}


def find_recipe(name_or_path: str | Path) -> Path:
    """The file of a recipe.

    Args:
        name_or_path: A file, or the name of a recipe that comes along.

    Raises:
        BadRecipe: Neither; the message names the nearest.
    """
    path, known = Path(name_or_path), recipe_files()
    if path.is_file() or str(name_or_path) not in known:
        if not path.exists() and path.suffix != ".toml":
            near = get_close_matches(str(name_or_path), known, n=1, cutoff=0.0)[0]
            raise BadRecipe(
                f"no recipe {str(name_or_path)!r}: expected a TOML file, a folder of tiles, or one "
                f"of {', '.join(known)}; the nearest is {near!r}",
                nearest=near,
            )
        return path
    return known[str(name_or_path)]


def title_of(path: Path) -> str:
    """What a recipe is for: the comment at its head, up to a full stop, colon or bracket."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line.lstrip("# ") for line in lines[:6] if line.startswith("#")]
    return re.split(r"[.:]\s| \(", " ".join(head))[0].rstrip(".")
