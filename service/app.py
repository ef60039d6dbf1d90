"""The HTTP API as one application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import FastAPI

from service import http_errors
from service.database import Database
from service.inspection import Inspector
from service.middleware import Edge, SmallBodies
from service.queue import Doorbell, make_celery
from service.registry import Registry
from service.routes import health, jobs, landing, models, processes, results, tiles, uploads
from service.services import Services
from service.settings import Settings
from service.storage import Storage

_INSPECTIONS_AT_ONCE = 2


def create_app(settings: Settings) -> FastAPI:
    """The API on `settings`; the tables are brought up to date when it starts."""
    database = Database(settings.database)
    inspector = Inspector(
        models_dir=settings.models_dir,
        max_memory_mb=settings.inspect_memory_mb,
        max_seconds=settings.inspect_seconds,
        at_once=_INSPECTIONS_AT_ONCE,
    )
    storage = Storage(settings.data_dir)
    services = Services(
        settings=settings,
        database=database,
        storage=storage,
        doorbell=Doorbell(make_celery(settings)),
        inspector=inspector,
        registry=Registry(database, storage.models, inspector),
    )
    app = FastAPI(
        title="MFNet",
        summary="Land-cover maps from an orthophoto and a height raster.",
        version=version("mfnet"),
        lifespan=_lifespan,
        docs_url=None,  # FastAPI's pages load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    http_errors.install(app)
    app.add_middleware(SmallBodies)
    app.add_middleware(Edge)  # the outermost: what it adds, every response has
    for routes in (landing, processes, jobs, results, uploads, tiles, models, health):
        app.include_router(routes.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    await to_thread.run_sync(services.database.upgrade)
    await to_thread.run_sync(services.registry.enter_installed)
    yield
    services.database.close()
