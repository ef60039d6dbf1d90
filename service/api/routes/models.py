"""`/models`: which there are, what became of them, and which is in use."""

from typing import Annotated

from fastapi import APIRouter, Path

from mfnet.service.api.auth import AdminOf, CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.db.repositories.models import ModelRepository
from mfnet.service.db.tables import Model, ModelEvent
from mfnet.service.domain.model_version import NAME, Ref
from mfnet.service.schemas.jobs import moment
from mfnet.service.schemas.models import (
    ModelDetail,
    ModelEvents,
    ModelInfo,
    ModelList,
    Promotion,
    Replacement,
)
from mfnet.service.schemas.models import ModelEvent as Event

router = APIRouter(prefix="/models", tags=["models"])

Name = Annotated[str, Path(pattern=f"^{NAME}$")]
Version = Annotated[int, Path(ge=1, le=999_999_999)]


@router.get("")
def list_models(services: ServicesOf, _caller: CallerOf) -> ModelList:
    """All versions of all models, by name and the newest first."""
    return ModelList(models=[_info(model) for model in services.registry.versions()])


@router.get("/{model}")
def get_model(model: Name, services: ServicesOf, _caller: CallerOf) -> ModelDetail:
    """The active version: what the name alone means."""
    return _detail(services.registry.find(Ref(model)))


@router.get("/{model}/versions/{version}")
def get_model_version(
    model: Name, version: Version, services: ServicesOf, _caller: CallerOf
) -> ModelDetail:
    """A version: its state, sha256, figures and provenance."""
    return _detail(services.registry.find(Ref(model, version)))


@router.get("/{model}/history")
def get_model_history(model: Name, services: ServicesOf, _caller: AdminOf) -> ModelEvents:
    """Who did what with it, when and why, the newest first."""
    services.registry.find(Ref(model))
    with services.database.reading() as session:
        return ModelEvents(events=[_event(e) for e in ModelRepository(session).history(model)])


@router.post("/{model}/versions/{version}/promote")
def promote_model(
    model: Name, version: Version, body: Promotion, services: ServicesOf, caller: AdminOf
) -> ModelInfo:
    """Make a version the active one. Of two requests at once one wins, the other gets 409.

    A version that the gate has refused is promoted with `force` alone.
    """
    ref, why = Ref(model, version), body.why
    promoted = services.registry.promote(ref, body.replaces, caller.name, why, force=body.force)
    return _info(promoted)


@router.post("/{model}/rollback")
def roll_model_back(
    model: Name, body: Replacement, services: ServicesOf, caller: AdminOf
) -> ModelInfo:
    """Make the version active again that the active one has replaced."""
    return _info(services.registry.roll_back(model, body.replaces, caller.name, body.why))


def _info(model: Model) -> ModelInfo:
    return ModelInfo(
        name=model.name,
        version=model.version,
        state=model.state,
        sha256=model.sha256,
        bytes=model.bytes,
        job=model.job_id,
        created=moment(model.created),
    )


def _detail(model: Model) -> ModelDetail:
    return ModelDetail(**_info(model).model_dump(), config=model.config)


def _event(event: ModelEvent) -> Event:
    return Event(
        version=event.version,
        event=event.event,
        replaced=event.replaced,
        who=event.who,
        why=event.why,
        at=moment(event.at),
    )
