"""`mfnet serve`, `mfnet worker` and `mfnet keys`; the other groups are mounted here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mfnet.service.cli.admin import admin
from mfnet.service.cli.demo import demo
from mfnet.service.cli.registry import registry, retrain
from mfnet.service.cli.settings_options import DataDir, refusals_told, settings_of

if TYPE_CHECKING:
    from mfnet.service.db.repositories.keys import Role
    from mfnet.service.db.session import Database

app = typer.Typer(no_args_is_help=True)
keys = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")
app.add_typer(keys, name="keys")
app.add_typer(registry, name="registry")
app.add_typer(admin, name="admin")
app.command()(retrain)
app.command()(demo)


@app.command()
def serve(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0: any.", show_default="8000")] = None,
    worker: Annotated[bool, typer.Option(help="Run a worker beside the API.")] = True,
    keys: Annotated[
        bool | None,
        typer.Option(
            "--keys/--no-keys",
            help="Ask for keys; without, this machine alone is served.",
            show_default="keys",
        ),
    ] = None,
) -> None:
    """Run the service: the API and one worker. Other settings: MFNET_… in the environment."""
    _require_posix("serve")
    from mfnet.service.cli.serve import serve

    settings = settings_of(data_dir=data_dir, host=host, port=port, keys=keys)
    with refusals_told():
        serve(settings, worker=worker, tell=typer.echo)


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

    _require_posix("worker")
    from mfnet.service.runtime.parent_death import end_with_parent
    from mfnet.service.worker import main

    if parent is not None:
        end_with_parent(signal.SIGTERM, parent)
    settings = settings_of(data_dir=data_dir, work=work)
    with refusals_told():
        raise typer.Exit(main.work(settings))


@keys.command()
def create(
    role: Annotated[str, typer.Option(help="user, admin, or reader of another key.")] = "user",
    name: Annotated[str, typer.Option(help="Whose it is, for the list.")] = "",
    of: Annotated[
        str | None,
        typer.Option(help="Id of the key whose things a reader sees, or users of a group share."),
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0, help="It ends by itself after so many.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once: only its SHA-256 is kept."""
    from mfnet.service.db.repositories.audit import COMMAND_LINE, AuditLog
    from mfnet.service.db.repositories.keys import KeyRepository

    if role not in ("reader", "user", "admin"):
        raise typer.BadParameter(
            f"got {role!r}, expected reader, user or admin", param_hint="--role"
        )
    if role == "reader" and of is None:
        raise typer.BadParameter("a reader is of another key", param_hint="--of")
    with _database(data_dir) as database, database.writing() as session:
        repository = KeyRepository(session)
        wanted = cast("Role", role)
        if of is not None and repository.shared(of, wanted) is None:
            raise typer.BadParameter(
                f"got {of!r}, expected the id of an active key that may be shared so",
                param_hint="--of",
            )
        key, secret = repository.create(name, wanted, days=days, of_key=of)
        AuditLog(session).note(COMMAND_LINE, "key created", key.id, role=role, name=name)
    typer.echo(secret)


@keys.command("list")
def list_keys(data_dir: DataDir = None) -> None:
    """All keys, without the keys themselves: id, first characters, role, state, name, and when each
    was used last and ends."""
    import time

    from mfnet.service.db.repositories.keys import KeyRepository

    with _database(data_dir) as database, database.reading() as session:
        for key in KeyRepository(session).all():
            state = "active" if key.revoked is None else "revoked"
            if state == "active" and key.expires is not None and key.expires <= time.time():
                state = "expired"
            told = f"used {_day(key.used)}, ends {_day(key.expires)}"
            typer.echo(f"{key.id}  {key.prefix}…  {key.role:6}  {state:7}  {told}  {key.name}")


def _day(seconds: float | None) -> str:
    from datetime import UTC, datetime

    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="From the list.")], data_dir: DataDir = None
) -> None:
    """End a key's life, at once."""
    from mfnet.service.db.repositories.audit import COMMAND_LINE, AuditLog
    from mfnet.service.db.repositories.keys import KeyRepository

    with _database(data_dir) as database, database.writing() as session:
        key = KeyRepository(session).revoke(key_id)
        if key is not None:
            AuditLog(session).note(COMMAND_LINE, "key revoked", key_id, name=key.name)
    if key is None:
        raise typer.BadParameter(
            f"got {key_id!r}, expected the id of an active key", param_hint="KEY_ID"
        )
    typer.echo(f"{key.prefix}… is revoked")


def _require_posix(command: str) -> None:
    """Ends with a word where the service cannot run."""
    from mfnet.service.runtime.posix import is_posix

    if not is_posix():
        typer.echo(
            f"mfnet: mfnet {command} needs Linux or macOS, which limit processes and lock files; "
            "on Windows run it in WSL. mfnet predict makes maps here, without a service",
            err=True,
        )
        raise typer.Exit(2)


@contextmanager
def _database(data_dir: Path | None) -> Iterator["Database"]:
    from mfnet.service.db.session import Database
    from mfnet.service.files.storage import storage_of

    settings = settings_of(data_dir=data_dir)
    storage_of(settings)
    database = Database(settings.database)
    with refusals_told():
        database.upgrade()
    try:
        yield database
    finally:
        database.close()


if __name__ == "__main__":
    app()
