"""The extra `vector`: further formats of polygons (pyogrio) and areas in zones (exactextract)."""

from importlib.util import find_spec

from mfnet.model.errors import MissingExtra


def require_vector(module: str, what: str) -> None:
    """Refuses what cannot be done without a module of it.

    Raises:
        MissingExtra: It is not installed.
    """
    if find_spec(module) is None:
        raise MissingExtra(
            f"{what} needs {module}, which is not installed: pip install 'mfnet[vector]'",
            module=module,
        )
