"""What a request needs besides its caller: made once by `create_app`, handed to each endpoint."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.database import Database
from service.inspection import Inspector
from service.queue import Doorbell
from service.registry import Registry
from service.settings import Settings
from service.storage import Storage


@dataclass(frozen=True)
class Services:
    """The parts of the service that the API stands on."""

    settings: Settings
    database: Database
    storage: Storage
    doorbell: Doorbell
    inspector: Inspector
    registry: Registry


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]
