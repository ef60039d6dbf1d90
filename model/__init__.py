"""From a raster pair to a class raster. Knows no users, jobs, HTTP or database.

`load_model` and `segment` are imported on first use, so that `import model` stays free of torch.
"""

from typing import TYPE_CHECKING, Any

from mfnet.model.proj_data import prefer_own

if TYPE_CHECKING:
    from mfnet.model.inference.segment import segment
    from mfnet.model.weights.checkpoint import load_model

__all__ = ["load_model", "segment"]

prefer_own()


def __getattr__(name: str) -> Any:
    if name == "load_model":
        from mfnet.model.weights.checkpoint import load_model

        return load_model
    if name == "segment":
        from mfnet.model.inference.segment import segment

        return segment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
