"""`mfnet serve`, `mfnet worker` and `mfnet keys`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.demo_cli import demo

if TYPE_CHECKING:
    from service.database import Database
    from service.settings import Settings

app = typer.Typer(no_args_is_help=True)
keys = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")
app.add_typer(keys, name="keys")
app.command()(demo)

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of uploads, results and the default database.", show_default="data"),
]


@app.command()
def serve(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0: any.", show_default="8000")] = None,
    worker: Annotated[bool, typer.Option(help="Run a worker beside the API.")] = True,
) -> None:
    """Run the service: the API and one worker. MFNET_… in the environment sets the rest."""
    from service.serve import serve

    serve(_settings(data_dir=data_dir, host=host, port=port), worker=worker, tell=typer.echo)


@app.command()
def worker(
    data_dir: DataDir = None,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Leave with it.")] = None,
) -> None:
    """Run one worker: it takes jobs from the queue and computes them, one at a time."""
    import signal

    from service.lifeline import end_with_parent
    from service.worker import work

    if parent is not None:
        end_with_parent(signal.SIGTERM, parent)
    raise typer.Exit(work(_settings(data_dir=data_dir)))


@keys.command()
def create(
    role: Annotated[str, typer.Option(help="user or admin.")] = "user",
    name: Annotated[str, typer.Option(help="Whose it is, for the list.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once: only its SHA-256 is kept."""
    from service.repository.keys import KeyRepository

    if role not in ("user", "admin"):
        raise typer.BadParameter(f"got {role!r}, expected user or admin", param_hint="--role")
    with _database(data_dir).writing() as session:
        _, secret = KeyRepository(session).create(name, "admin" if role == "admin" else "user")
    typer.echo(secret)


@keys.command("list")
def list_keys(data_dir: DataDir = None) -> None:
    """All keys, without the keys themselves: id, first characters, role, state, name."""
    from service.repository.keys import KeyRepository

    with _database(data_dir).reading() as session:
        for key in KeyRepository(session).all():
            state = "active" if key.revoked is None else "revoked"
            typer.echo(f"{key.id}  {key.prefix}…  {key.role:5}  {state:7}  {key.name}")


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="From the list.")], data_dir: DataDir = None
) -> None:
    """End a key's life, at once."""
    from service.repository.keys import KeyRepository

    with _database(data_dir).writing() as session:
        key = KeyRepository(session).revoke(key_id)
    if key is None:
        raise typer.BadParameter(
            f"got {key_id!r}, expected the id of an active key", param_hint="KEY_ID"
        )
    typer.echo(f"{key.prefix}… is revoked")


def _settings(**chosen: Any) -> "Settings":
    """What was given on the command line, then the environment, then the defaults."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from service.settings import Settings, faults

    try:
        return Settings(**{name: value for name, value in chosen.items() if value is not None})
    except (ValidationError, SettingsError) as error:
        raise typer.BadParameter(faults(error)) from error


def _database(data_dir: Path | None) -> "Database":
    from service.database import Database
    from service.storage import Storage

    settings = _settings(data_dir=data_dir)
    Storage(settings.data_dir)
    database = Database(settings.database)
    database.upgrade()
    return database


if __name__ == "__main__":
    app()
