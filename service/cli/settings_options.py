"""What several commands have in common: the data folder, and settings from the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mfnet.service.settings import Settings

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of uploads, results and the default database.", show_default="data"),
]


def settings_of(**chosen: Any) -> "Settings":
    """What was given on the command line, then the environment, then the defaults.

    Raises:
        typer.BadParameter: A setting is none, or a secret cannot be read; it is named.
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from mfnet.service.settings import Settings, faults

    try:
        return Settings(**{name: value for name, value in chosen.items() if value is not None})
    except (ValidationError, SettingsError) as error:
        raise typer.BadParameter(faults(error)) from error
    except PermissionError as error:
        raise typer.BadParameter(
            f"{error.filename} cannot be read by this user; a file of secrets has to be open to "
            "the user that the service runs as (deploy/secrets.sh makes them so)"
        ) from error


@contextmanager
def refusals_told() -> Iterator[None]:
    """What whoever runs the service is refused meanwhile is told, with exit status 2."""
    from mfnet.service.errors import MaintenanceError

    try:
        yield
    except MaintenanceError as error:
        typer.echo(f"mfnet: {error.message} ({error.code})", err=True)
        raise typer.Exit(2) from error
