"""What several commands have in common: the data folder, and settings from the command line."""

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
        typer.BadParameter: A setting is none; it is named.
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from mfnet.service.settings import Settings, faults

    try:
        return Settings(**{name: value for name, value in chosen.items() if value is not None})
    except (ValidationError, SettingsError) as error:
        raise typer.BadParameter(faults(error)) from error
