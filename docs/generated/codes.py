"""The table of error codes, from the classes that carry them."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from marks import table

from mfnet.model.errors import EngineError, InputError, MfnetError
from mfnet.service.api.answers.problem_details import ANSWERS
from mfnet.service.errors import MaintenanceError, Refused, ServiceError

_TITLES = {
    "auth": "Keys",
    "backup": "Backups",
    "callback": "Callbacks",
    "correction": "Corrections",
    "data": "Labelled data",
    "database": "The database",
    "engine": "The engine",
    "idempotency": "Repeated requests",
    "input": "Input in general",
    "inspection": "Inspection",
    "internal": "Anything else",
    "job": "Jobs",
    "key": "Keys of a service",
    "model": "Models",
    "option": "Options",
    "output": "Output",
    "pair": "Pairs",
    "part": "Parts of a map",
    "process": "Processes",
    "quota": "Quotas",
    "raster": "Raster files",
    "install": "Installation",
    "recipe": "Recipes",
    "request": "Requests",
    "result": "Results",
    "stac": "The catalogue of maps",
    "run": "Runs",
    "service": "The service",
    "storage": "Storage",
    "tile": "Labelled tiles",
    "training": "Training",
    "zones": "Zones and areas of interest",
    "map": "Maps that there are",
    "upload": "Uploads",
}

_INTERNAL = "A fault that nobody foresaw; please report it."


def error_codes() -> str:
    """Every code, in a table for each part in front of the dot."""
    found: dict[str, list[type[Any]]] = defaultdict(list)
    for error in _all(MfnetError, ServiceError):
        if not issubclass(error, Refused):  # its code is one of the others
            found[error.code].append(error)
    groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for code in sorted(found):
        groups[code.split(".")[0]].append(_row(code, found[code]))
    parts = []
    for group, lines in sorted(groups.items()):
        head = ("code", "exit status", "HTTP", "meaning")
        parts.append(f"## {_TITLES[group]}\n\n{table(head, lines)}")
    return "\n".join(parts)


def _all(*roots: type[Any]) -> Iterator[type[Any]]:
    for root in roots:
        yield root
        yield from _all(*root.__subclasses__())


def _row(code: str, errors: list[type[Any]]) -> tuple[str, ...]:
    """One row; where both roots have the code, the service knows the status of its own routes."""
    exits = {_exit(error) for error in errors} - {""}
    statuses = [_status(error) for error in errors]
    told = " ".join((errors[0].__doc__ or "").split("\n\n")[0].split())
    return f"`{code}`", "".join(exits), statuses[-1], told if code != "internal" else _INTERNAL


def _exit(error: type[Any]) -> str:
    if issubclass(error, MaintenanceError):
        return "2"
    if issubclass(error, ServiceError):
        return ""
    return "2" if issubclass(error, InputError) else "1"


def _status(error: type[Any]) -> str:
    if issubclass(error, MaintenanceError):
        return ""
    if issubclass(error, ServiceError):
        return str(ANSWERS[error].status) if error in ANSWERS else "500"
    if issubclass(error, InputError):
        return "422"
    return "500" if issubclass(error, EngineError) or error is MfnetError else ""
