"""`mfnet unpack`: tiles out of a zip, for whoever does not trust it."""

from pathlib import Path
from typing import Annotated

import typer

from mfnet.model.cli.models import Json

_PLENTY_BYTES = 1 << 40


def unpack(
    archive: Annotated[Path, typer.Argument(help="A zip of GeoTIFF tiles.")],
    folder: Annotated[
        Path, typer.Argument(help="An empty folder; NAME.anything makes NAME-00001.tif, …")
    ],
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Abort above so many bytes in all.")
    ] = _PLENTY_BYTES,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether a GeoTIFF is in it, and write nothing.")
    ] = False,
    as_json: Json = False,
    max_memory_mb: Annotated[
        int | None, typer.Option(min=64, help="Abort above this much memory (address space).")
    ] = None,
    max_seconds: Annotated[
        int | None, typer.Option(min=1, help="Abort after so many seconds.")
    ] = None,
) -> None:
    """Unpack a zip of GeoTIFF tiles, with the files beside them, under names by number.

    Refuses links, other archives, passwords, and more bytes than such tiles have. Writes nothing
    where no GeoTIFF is in it.
    """
    from mfnet.model.cli.resource_limits import limit

    limit(max_memory_mb, max_seconds)
    from mfnet.model.cli.console import emit
    from mfnet.model.errors import OutputNotWritable
    from mfnet.model.raster.files.tile_archive import holds_tiles
    from mfnet.model.raster.files.tile_archive import unpack as unpack_tiles

    holds = holds_tiles(archive)
    if check:
        emit({"holds_tiles": holds}) if as_json else typer.echo("tiles" if holds else "no tiles")
        return
    try:
        tiles = unpack_tiles(archive, folder, max_bytes) if holds else []
    except OSError as error:
        raise OutputNotWritable(
            f"{folder}: cannot be written to ({error.strerror}); choose an empty folder with room",
            path=str(folder),
        ) from error
    if as_json:
        emit({"tiles": [tile._asdict() for tile in tiles]})
        return
    for tile in tiles:
        typer.echo(f"{folder / tile.file}  {tile.name}")
