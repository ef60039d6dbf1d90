"""What FastAPI hands to each endpoint: the services that the application was made with."""

from typing import Annotated

from fastapi import Depends, Request

from mfnet.service.operations.context import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]
