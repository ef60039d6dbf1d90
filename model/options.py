"""Options that are names from a list."""

from collections.abc import Collection

from model.errors import BadOption


def require_known(what: str, name: str, known: Collection[str]) -> None:
    """Refuses a name that is not in the list.

    Raises:
        BadOption: The message lists the names that there are.
    """
    if name not in known:
        raise BadOption(f"no {what} {name!r}; there are: {', '.join(known)}", name=name)
