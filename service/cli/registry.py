"""`mfnet registry`: the models of a service and their past; and `mfnet retrain`.

`mfnet models` is about files of models; here they have versions, one of which is in use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfnet.service.cli.settings_options import DataDir, refusals_told, settings_of

if TYPE_CHECKING:
    from mfnet.service.db.tables import Model
    from mfnet.service.domain.model_version import Ref
    from mfnet.service.operations.caller import Caller
    from mfnet.service.operations.context import Services

registry = typer.Typer(
    no_args_is_help=True, help="The models of a service: versions, history, promote, roll back."
)

Name = Annotated[str, typer.Argument(help="A model of `mfnet registry list`.")]
Version = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A version of a model.")]
Why = Annotated[str, typer.Option(help="For the log.")]
WHO = "command line"


@registry.command("list")
def list_versions(data_dir: DataDir = None) -> None:
    """All versions of all models: state, sha256, mean IoU where it was measured."""
    with _services(data_dir) as services:
        for model in services.registry.versions():
            typer.echo(f"{_line(model)}  {model.sha256[:12]}  {_miou(model)}")


@registry.command()
def history(name: Name, data_dir: DataDir = None) -> None:
    """What happened to a model, the newest first: when, what, by whom, why."""
    from datetime import UTC, datetime

    from mfnet.service.db.repositories.models import ModelRepository

    with _services(data_dir) as services:
        services.registry.find(_ref(name))
        with services.database.reading() as session:
            events = ModelRepository(session).history(name)
        for event in events:
            at = datetime.fromtimestamp(event.at, UTC).isoformat(sep=" ", timespec="seconds")
            replaced = "" if event.replaced is None else f" in place of {event.replaced}"
            what = f"{event.name}@{event.version} {event.event}{replaced}"
            typer.echo(f"{at}  {what}, by {event.who}: {event.why}")


@registry.command()
def promote(
    version: Version,
    why: Why = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also a version that the gate has refused.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Put a version into use, in place of the one that is."""
    ref = _ref(version)
    if ref.version is None:
        raise typer.BadParameter(f"got {version!r}, expected NAME@VERSION, such as {version}@2")
    with _services(data_dir) as services:
        typer.echo(_line(services.registry.promote(ref, None, WHO, why, force=force)))


@registry.command()
def rollback(name: Name, why: Why = "", data_dir: DataDir = None) -> None:
    """Put the version into use again that the present one has replaced."""
    with _services(data_dir) as services:
        typer.echo(_line(services.registry.roll_back(name, None, WHO, why)))


def retrain(
    model: Annotated[str, typer.Argument(help="NAME, or NAME@VERSION, to go on from.")],
    tiles: Annotated[
        list[str] | None,
        typer.Option("--tile", help="Id of a labelled tile to learn from; may be repeated."),
    ] = None,
    all_tiles: Annotated[
        bool, typer.Option("--all-tiles", help="Learn from all labelled tiles.")
    ] = False,
    folder: Annotated[
        str | None, typer.Option(help="Folder of labelled tiles below MFNET_TRAINING_ROOT.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="A recipe that comes with the program.")] = "retrain",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE: change a key of the recipe; may be repeated."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop training after so many minutes.")
    ] = None,
    promote: Annotated[
        bool, typer.Option(help="Promote the candidate if it passes the gate.")
    ] = False,
    margin: Annotated[
        float, typer.Option(help="Largest fall in IoU that the gate accepts for a class.")
    ] = 0.02,
    data_dir: DataDir = None,
) -> None:
    """Submit a retraining, which makes a candidate version of a model; print the job's id."""
    from pydantic import ValidationError

    from mfnet.service.operations.submit_retraining import submit
    from mfnet.service.schemas.models import RetrainInputs

    try:
        inputs = RetrainInputs(
            model=model,
            tiles="all" if all_tiles else tiles or [],
            folder=folder,
            recipe=recipe,
            changes=changes or [],
            steps=steps,
            minutes=minutes,
            promote=promote,
            margin=margin,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"{first['loc'][0]}: {first['msg']}") from error
    with _services(data_dir) as services:
        typer.echo(submit(services, _admin(services), inputs, None).id)


def _ref(text: str) -> "Ref":
    from mfnet.service.domain.model_version import Ref

    try:
        return Ref.read(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _services(data_dir: Path | None) -> Iterator["Services"]:
    """The parts of the service on a data folder; what they refuse is told with exit status 2."""
    from mfnet.service.errors import ServiceError
    from mfnet.service.operations.context import make_services

    services = make_services(settings_of(data_dir=data_dir))
    with refusals_told():
        services.database.upgrade()
    services.registry.enter_installed()
    try:
        yield services
    except ServiceError as error:
        typer.echo(f"mfnet: {error.message}", err=True)
        raise typer.Exit(2) from error
    finally:
        services.database.close()


def _admin(services: "Services") -> "Caller":
    """Whose job it is: the oldest admin's."""
    from mfnet.service.db.repositories.keys import KeyRepository
    from mfnet.service.operations.caller import Caller

    with services.database.reading() as session:
        keys = KeyRepository(session).all()
    admins = [key for key in keys if key.role == "admin" and key.revoked is None]
    if not admins:
        raise typer.BadParameter("there is no admin's key; mfnet keys create --role admin first")
    return Caller(admins[0].id, WHO, None)


def _line(model: "Model") -> str:
    return f"{model.name}@{model.version}  {model.state:9}"


def _miou(model: "Model") -> str:
    miou = model.config.get("metrics", {}).get("miou")
    return "" if miou is None else f"mIoU {100 * miou:.1f} %"
