"""`mfnet predict --each`: the pairs of two folders, one map after another."""

import functools
import inspect
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mfnet.model.raster.pairs.match_pairs import Match

EACH = Annotated[
    bool,
    typer.Option(
        "--each",
        help="ORTHO and HEIGHT (and --dtm) are folders or patterns of pairs that belong together "
        "by name or place; a map of each goes into the folder --out.",
    ),
]
_OF_ONE_MAP = ("statistics", "least_sure", "polygons", "stac", "keep_dtm")
"""Options that name a file of one map."""


def takes_each_pair(command: Callable[..., None]) -> Callable[..., None]:
    """Gives `mfnet predict` the option `--each`, which runs it for pair after pair.

    A pair that is refused is told, and the next one follows.
    """
    signature = inspect.signature(command)
    each = inspect.Parameter("each", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=EACH)

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        if values.pop("each"):
            _run_each(command, values)
        else:
            command(**values)

    parameters = [*signature.parameters.values(), each]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return wrapper


def _run_each(command: Callable[..., None], values: dict[str, Any]) -> None:
    from mfnet.model.atomic_files import not_writable
    from mfnet.model.cli.arguments import AUTO, reading_options
    from mfnet.model.cli.console import emit, show_runs
    from mfnet.model.errors import BadOption
    from mfnet.model.raster.pairs.match_pairs import match_pairs

    out: Path = values["out"]
    given = [f"--{name.replace('_', '-')}" for name in _OF_ONE_MAP if values.get(name) is not None]
    if given:
        raise BadOption(f"{given[0]} names a file of one map; it does not go with --each")
    folders = {role: values[role] for role in ("ortho", "height", "dtm") if values.get(role)}
    if str(folders.get("dtm")) == AUTO:
        del folders["dtm"]
    matches = match_pairs(folders, reading_options(values))
    twice = [name for name, number in Counter(m.name for m in matches).items() if number > 1]
    if twice:
        raise BadOption(f"two orthophotos are called {twice[0]}; their maps would be one file")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(out, error) from error
    runs = []
    for number, match in enumerate(matches, 1):
        typer.echo(f"{number} of {len(matches)}: {match.files['ortho'].name}", err=True)
        started = time.monotonic()
        outcome = _run_one(command, values, match, out / f"{match.name}.tif")
        runs.append(outcome | {"seconds": round(time.monotonic() - started, 1)})
    if values["as_json"]:
        emit({"event": "each", "maps": runs})
    else:
        show_runs(runs)
    codes = {run["error"]["code"] for run in runs if "error" in run}
    if codes:
        raise typer.Exit(1 if "internal" in codes else 2)


def _run_one(
    command: Callable[..., None], values: dict[str, Any], match: "Match", out: Path
) -> dict[str, Any]:
    """What became of a pair: the map's path, or the error."""
    from mfnet.model.errors import MfnetError, NoOverlap

    told: dict[str, Any] = {role: str(path) for role, path in match.files.items()}
    try:
        if match.lacking:
            raise NoOverlap(
                f"{match.files['ortho'].name}: no {' and no '.join(match.lacking)} raster has its "
                "name or its place"
            )
        command(**{**values, **match.files, "out": out})
    except MfnetError as error:
        failure = error.to_dict()
    except Exception as error:  # ours, which is no reason to leave the others out
        message = f"{type(error).__name__}: {error}; run this pair alone with --debug"
        failure = {"code": "internal", "message": message, "params": {}}
    else:
        return told | {"map": str(out)}
    typer.echo(f"mfnet: {failure['message']}", err=True)
    return told | {"error": failure}
