"""`mfnet admin`: backup, restoration, tidying and diagnosis, for whoever runs the service."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from mfnet.service.cli.settings_options import DataDir, refusals_told, settings_of

if TYPE_CHECKING:
    from mfnet.service.db.session import Database
    from mfnet.service.files.storage import Storage
    from mfnet.service.maintenance.backup import Report
    from mfnet.service.settings import Settings

admin = typer.Typer(
    no_args_is_help=True,
    help="Run the service: back up, restore, tidy, diagnose. Settings: as those of `mfnet serve`.",
)
Archive = Annotated[str, typer.Argument(help="A tar file; - for standard output or input.")]


@admin.command()
def backup(archive: Archive, data_dir: DataDir = None) -> None:
    """Write everything into one archive, while the service is at work."""
    from mfnet.service.maintenance.backup import back_up

    with _deployment(data_dir, upgrade=True) as (settings, database, storage):
        with _writing(archive) as target:
            report = back_up(database, storage, settings.models_dir, target)
        _tell(report, "backed up")


@admin.command()
def restore(archive: Archive, data_dir: DataDir = None) -> None:
    """Make an empty deployment what it was when the backup was made."""
    from mfnet.service.maintenance.restore import restore

    with _deployment(data_dir, upgrade=False) as (settings, database, storage):
        with _reading(archive) as source:
            report = restore(database, storage, settings.models_dir, source)
        _tell(report, "restored")


@admin.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database's tables up to date; whatever starts does so itself, too."""
    with _deployment(data_dir, upgrade=True) as (_settings, database, _storage):
        database.ping()
    typer.echo("the tables are up to date", err=True)


@admin.command()
def gc(
    remove: Annotated[bool, typer.Option("--remove", help="Remove them, too.")] = False,
    older_than: Annotated[float, typer.Option(help="Hours without a change.", min=1)] = 24,
    data_dir: DataDir = None,
) -> None:
    """List the files that are kept and belong to nothing the database knows."""
    from mfnet.service.maintenance.orphans import orphans

    with _deployment(data_dir, upgrade=True) as (_settings, database, storage):
        found = orphans(database, storage, older_than * 3600)
        for orphan in found:
            typer.echo(f"{orphan.bytes:>15,}  {orphan.path}")
            if remove:
                orphan.remove(storage)
    size = sum(orphan.bytes for orphan in found) / 1e9
    done = "removed" if remove else "belong to nothing; --remove removes them"
    typer.echo(f"{len(found)} files and folders, {size:.2f} GB, {done}", err=True)


@admin.command()
def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every model, and look for lost files.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Say what is wrong with a deployment and what to do; exit status 1 where something is."""
    from mfnet.service.maintenance.diagnosis import Deployment, diagnose
    from mfnet.service.queue import JobNotifier, make_celery

    wrong = 0
    with _deployment(data_dir, upgrade=False) as (settings, database, storage):
        notifier = JobNotifier(make_celery(settings))
        for finding in diagnose(Deployment(settings, database, storage, notifier), deep=deep):
            typer.echo(f"{'fine ' if finding.fine else 'WRONG'}  {finding.what}")
            if not finding.fine:
                wrong += 1
                typer.echo(f"       {finding.advice}")
    raise typer.Exit(1 if wrong else 0)


@contextmanager
def _deployment(
    data_dir: Path | None, *, upgrade: bool
) -> Iterator[tuple["Settings", "Database", "Storage"]]:
    """The parts of a deployment; what they refuse is told with exit status 2."""
    from mfnet.service.db.session import Database
    from mfnet.service.files.storage import storage_of

    settings = settings_of(data_dir=data_dir)
    storage, database = storage_of(settings), Database(settings.database)
    try:
        with refusals_told():
            if upgrade:
                database.upgrade()
            yield settings, database, storage
    finally:
        database.close()


@contextmanager
def _writing(archive: str) -> Iterator[BinaryIO]:
    """A file that has its name once it is whole, or standard output."""
    if archive == "-":
        yield sys.stdout.buffer
        return
    part = Path(f"{archive}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
        part.replace(archive)
    except FileExistsError:
        raise typer.BadParameter(
            f"{part} is there already: another backup is being written, or one was interrupted; "
            "then remove it"
        ) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _reading(archive: str) -> Iterator[BinaryIO]:
    if archive == "-":
        yield sys.stdin.buffer
        return
    path = Path(archive)
    if not path.is_file():
        raise typer.BadParameter(f"got {archive!r}, expected a file that mfnet admin backup made")
    with path.open("rb") as file:
        yield file


def _tell(report: "Report", done: str) -> None:
    rows = ", ".join(f"{count} {name}" for name, count in report.rows.items() if count)
    typer.echo(
        f"{done}: {rows or 'no rows'}; {report.files} files, {report.bytes / 1e9:.3f} GB", err=True
    )
    for what in report.missing:
        typer.echo(f"missing: the files of {what} were not in the data folder", err=True)
