"""`mfnet data`: published data sets, listed and fetched."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from mfnet.model.cli.models import Json

app = typer.Typer(no_args_is_help=True, help="Published data sets to train on.")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the data sets that there are recipes for: size, licence, where they come from."""
    from mfnet.model.cli.console import emit
    from mfnet.training.datasets.sources.published_archives import PUBLISHED

    if as_json:
        emit(
            {
                name: {"title": d.title, "gb": d.size_gb, "licence": d.licence, "home": d.home}
                for name, d in PUBLISHED.items()
            }
        )
        return
    for name, data in PUBLISHED.items():
        size = f"{data.size_gb:.1f} GB" if data.archives else "by hand"
        typer.echo(f"{name:<10} {size:>8}  {data.title}; {data.licence}; {data.home}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A name from `mfnet data list`.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where to; default: data/NAME, as the recipe has it.")
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="I have read the licence and accept it.")
    ] = False,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep the archives after unpacking.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Download and unpack a data set from its owner; called again, it goes on where it ended.

    Then `mfnet train NAME` trains on it.
    """
    from mfnet.model.cli.console import emit, progress
    from mfnet.training.datasets.sources.published_archives import fetch as get

    target = folder or Path("data") / name
    bars: dict[str, Callable[[int, int], None]] = {}
    with ExitStack() as stack:

        def tell(what: str, done: int, total: int) -> None:
            if what not in bars:
                stack.close()  # the bar before it
                unit = "bytes" if what.endswith("downloaded") else "files"
                bars[what] = stack.enter_context(progress(what, unit, as_json=as_json))
            bars[what](done, total)

        done = get(name, target, accepted=accept_licence, keep=keep_archives, progress=tell)
    if as_json:
        emit({"folder": str(target), "unpacked": done})
        return
    typer.echo(f"{target}: " + (", ".join(done) if done else "all is there"))
