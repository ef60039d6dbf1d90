"""`mfnet serve`, `mfnet worker` and `mfnet keys`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfnet.service.cli.demo import demo
from mfnet.service.cli.registry import registry, retrain
from mfnet.service.cli.settings_options import DataDir, settings_of

if TYPE_CHECKING:
    from mfnet.service.db.session import Database

app = typer.Typer(no_args_is_help=True)
keys = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")
app.add_typer(keys, name="keys")
app.add_typer(registry, name="registry")
app.command()(retrain)
app.command()(demo)


@app.command()
def serve(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0: any.", show_default="8000")] = None,
    worker: Annotated[bool, typer.Option(help="Run a worker beside the API.")] = True,
) -> None:
    """Run the service: the API and one worker. Other settings: MFNET_… in the environment."""
    from mfnet.service.cli.serve import serve

    serve(settings_of(data_dir=data_dir, host=host, port=port), worker=worker, tell=typer.echo)


@app.command()
def worker(
    data_dir: DataDir = None,
    work: Annotated[
        str | None,
        typer.Option("--work", help="Kind of jobs: segment or retrain.", show_default="segment"),
    ] = None,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Leave with it.")] = None,
) -> None:
    """Run one worker: it takes jobs from the queue and computes them, one at a time."""
    import signal

    from mfnet.service.runtime.parent_death import end_with_parent
    from mfnet.service.worker import main

    if parent is not None:
        end_with_parent(signal.SIGTERM, parent)
    raise typer.Exit(main.work(settings_of(data_dir=data_dir, work=work)))


@keys.command()
def create(
    role: Annotated[str, typer.Option(help="user or admin.")] = "user",
    name: Annotated[str, typer.Option(help="Whose it is, for the list.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once: only its SHA-256 is kept."""
    from mfnet.service.db.repositories.keys import KeyRepository

    if role not in ("user", "admin"):
        raise typer.BadParameter(f"got {role!r}, expected user or admin", param_hint="--role")
    with _database(data_dir).writing() as session:
        _, secret = KeyRepository(session).create(name, "admin" if role == "admin" else "user")
    typer.echo(secret)


@keys.command("list")
def list_keys(data_dir: DataDir = None) -> None:
    """All keys, without the keys themselves: id, first characters, role, state, name."""
    from mfnet.service.db.repositories.keys import KeyRepository

    with _database(data_dir).reading() as session:
        for key in KeyRepository(session).all():
            state = "active" if key.revoked is None else "revoked"
            typer.echo(f"{key.id}  {key.prefix}…  {key.role:5}  {state:7}  {key.name}")


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="From the list.")], data_dir: DataDir = None
) -> None:
    """End a key's life, at once."""
    from mfnet.service.db.repositories.keys import KeyRepository

    with _database(data_dir).writing() as session:
        key = KeyRepository(session).revoke(key_id)
    if key is None:
        raise typer.BadParameter(
            f"got {key_id!r}, expected the id of an active key", param_hint="KEY_ID"
        )
    typer.echo(f"{key.prefix}… is revoked")


def _database(data_dir: Path | None) -> "Database":
    from mfnet.service.db.session import Database
    from mfnet.service.files.storage import Storage

    settings = settings_of(data_dir=data_dir)
    Storage(settings.data_dir)
    database = Database(settings.database)
    database.upgrade()
    return database


if __name__ == "__main__":
    app()
