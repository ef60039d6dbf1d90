"""The HTTP API as one application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import FastAPI

from mfnet.service.api import problem_details
from mfnet.service.api.middleware import Edge, SmallBodies
from mfnet.service.api.routes import (
    health,
    jobs,
    landing,
    metrics,
    models,
    processes,
    results,
    tiles,
    uploads,
)
from mfnet.service.operations.context import Services, make_services
from mfnet.service.settings import Settings


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
    )
    app.state.services = services
    problem_details.install(app)
    app.add_middleware(SmallBodies)
    app.add_middleware(Edge)  # the outermost: what it adds, every response has
    for routes in (landing, processes, jobs, results, uploads, tiles, models, health, metrics):
        app.include_router(routes.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    await to_thread.run_sync(services.database.upgrade)
    await to_thread.run_sync(services.registry.enter_installed)
    yield
    services.database.close()
