"""The HTTP API as one application."""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from mfnet.service.api.answers import problem_details
from mfnet.service.api.answers.json_answers import JsonAnswers
from mfnet.service.api.callback_payload import payload_of
from mfnet.service.api.documents import openapi
from mfnet.service.api.middleware import CROSS_ORIGIN, Addresses, Edge, SmallBodies
from mfnet.service.api.routes import catalogue, description, landing, me, models, page
from mfnet.service.api.routes.admin import audit, health, keys, metrics, service_state
from mfnet.service.api.routes.job import (
    events,
    jobs,
    map_tiles,
    pictures,
    processes,
    results,
    training,
)
from mfnet.service.api.routes.upload import imports, incoming, tiles, uploads
from mfnet.service.api.shared_links import SharedLinks
from mfnet.service.operations.callbacks import Callbacks
from mfnet.service.operations.context import Services, make_services
from mfnet.service.operations.tidy_copies import TidyCopies
from mfnet.service.settings import Settings

_SIGN_INS_AT_ONCE = 4
"""An issuer that is slow holds up those whom it signs in, and nobody else."""

ROUTES = (
    landing,
    description,
    processes,
    jobs,
    results,
    events,
    map_tiles,
    catalogue,
    pictures,
    incoming,
    uploads,
    imports,
    tiles,
    models,
    training,
    health,
    metrics,
    keys,
    me,
    audit,
    service_state,
    page,
)


def create_app(settings: Settings) -> FastAPI:
    """The API on `settings`; the tables are brought up to date when it starts."""
    services = make_services(settings)
    app = FastAPI(
        title="MFNet",
        summary="Land-cover maps from an orthophoto and a height raster.",
        version=version("mfnet"),
        lifespan=_lifespan,
        docs_url=None,  # FastAPI's pages load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,
        responses=openapi.RESPONSES,
        telemetry={
            "tracing": settings.traces_url is not None,
            "metrics": False,  # /metrics has them
            "logs": False,
            "operation_spans": False,
            "exclude": _is_untraced,
        },
    )
    app.state.services = services
    app.state.sign_ins = CapacityLimiter(_SIGN_INS_AT_ONCE)
    problem_details.install(app)
    openapi.install(app)
    app.add_middleware(SmallBodies)
    app.add_middleware(SharedLinks, secret=services.link_secret)
    app.add_middleware(JsonAnswers)
    app.add_middleware(Addresses, root_path=settings.root_path)
    if settings.origins:
        app.add_middleware(CORSMiddleware, **CROSS_ORIGIN, allow_origins=settings.origins)
    app.add_middleware(Edge)  # the outermost: what it adds, every response has
    for routes in ROUTES:
        app.include_router(routes.router)
    return app


def _is_untraced(scope: MutableMapping[str, Any]) -> bool:
    """Addresses that are a secret themselves, and what is asked for every few seconds."""
    return any(f"/{each}/" in scope["path"] for each in ("shared", "health"))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    await to_thread.run_sync(services.database.upgrade)
    await to_thread.run_sync(services.registry.enter_installed)
    await to_thread.run_sync(services.inspector.keep_warm)
    private = services.settings.callbacks_private
    callbacks = Callbacks(services.database, payload_of(app), private=private)
    callbacks.start()
    tidy = TidyCopies(services.settings, services.storage)
    tidy.start()
    try:
        yield
    finally:
        callbacks.stop()
        tidy.stop()
        await to_thread.run_sync(services.inspector.close)
        await to_thread.run_sync(services.tiles.close)
        services.database.close()
