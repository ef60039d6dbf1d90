"""`mfnet demo`."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    ortho: Annotated[
        Path | None, typer.Argument(help="Your orthophoto; a town is drawn without it.")
    ] = None,
    height: Annotated[Path | None, typer.Argument(help="Its height raster.")] = None,
    dtm: Annotated[
        Path | None, typer.Option(help="Terrain model; HEIGHT is then a surface model (DSM).")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    model: Annotated[
        str | None,
        typer.Option(
            help="A name from `mfnet models list`; default: town-small for the drawn town, "
            "town for your own rasters."
        ),
    ] = None,
    size: Annotated[int, typer.Option(min=256, max=8192, help="Side of the town, pixels.")] = 1024,
    seed: Annotated[int, typer.Option(min=0, help="Which town.")] = 900_001,
) -> None:
    """Run the whole workflow through a real service: upload, map, download. A minute on a laptop.

    Training never saw the town that is drawn. On Windows, where the service does not run, the map
    is made without it.
    """
    import signal
    import sys
    from functools import partial

    from rich.console import Console

    from mfnet.service.demo.server import DemoFailed
    from mfnet.service.demo.walkthrough import Rasters, draw_town, map_by_service, map_here
    from mfnet.service.runtime.posix import is_posix

    if (ortho is None) != (height is None):
        raise typer.BadParameter("an orthophoto needs its height raster: mfnet demo ORTHO HEIGHT")
    # Python would end at once and leave the service running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False, soft_wrap=True)
    try:
        if ortho is None or height is None:
            console.print(f"Drawing a town of {size} × {size} pixels")
            prepare = partial(draw_town, out, size, seed)
        else:
            prepare = partial(Rasters, ortho, height, dtm)
        make_map = map_by_service if is_posix() else map_here
        make_map(prepare, out, model or ("town-small" if ortho is None else "town"), console)
    except DemoFailed as failed:
        typer.echo(f"mfnet: {failed}", err=True)
        raise typer.Exit(failed.status) from None
