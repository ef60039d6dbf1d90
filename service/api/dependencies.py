"""What FastAPI hands to each endpoint: the services that the application was made with, and a guard
against filters that would be passed over."""

from typing import Annotated

from fastapi import Depends, Request

from mfnet.service.errors import UnknownParameter
from mfnet.service.operations.context import Services


async def _services(request: Request) -> Services:
    # A coroutine: what is none costs a thread for each request.
    services: Services = request.app.state.services
    return services


async def known_parameters(request: Request) -> None:
    """Raises `UnknownParameter` for one that the route does not have: a filter is never ignored."""
    known = {each.alias for each in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            raise UnknownParameter(
                f"got {name!r}, expected some of: {', '.join(sorted(known))}", parameter=name
            )


ServicesOf = Annotated[Services, Depends(_services)]
