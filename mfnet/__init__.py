"""Land-cover maps from an orthophoto and a height raster.

    import mfnet

    model = mfnet.open_model("town-small")
    done = mfnet.segment("ortho.tif", "ndsm.tif", "classes.tif", model=model)
    for area in done.areas:
        print(area.title, area.area_m2)

What is listed in `__all__` is the interface; everything else is private and may move. Names are
imported on first use, so that `import mfnet` stays free of torch and rasterio.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfnet.model.classes import ClassScheme as ClassScheme
    from mfnet.model.classes import LandClass as LandClass
    from mfnet.model.errors import Cancelled as Cancelled
    from mfnet.model.errors import EngineError as EngineError
    from mfnet.model.errors import InputError as InputError
    from mfnet.model.errors import MfnetError as MfnetError
    from mfnet.model.inference.segment_options import SegmentOptions as SegmentOptions
    from mfnet.model.interface import ClassArea as ClassArea
    from mfnet.model.interface import Map as Map
    from mfnet.model.interface import MapGrid as MapGrid
    from mfnet.model.interface import Model as Model
    from mfnet.model.interface import inspect as inspect
    from mfnet.model.interface import open_model as open_model
    from mfnet.model.interface import segment as segment
    from mfnet.model.raster.pairs.report import PairReport as PairReport
    from mfnet.model.raster.remark import Remark as Remark
    from mfnet.model.raster.values.reading_options import ReadingOptions as ReadingOptions

_HOMES = {
    "mfnet.model.classes": ("ClassScheme", "LandClass"),
    "mfnet.model.errors": ("Cancelled", "EngineError", "InputError", "MfnetError"),
    "mfnet.model.inference.segment_options": ("SegmentOptions",),
    "mfnet.model.interface": (
        *("ClassArea", "Map", "MapGrid", "Model"),
        *("inspect", "open_model", "segment"),
    ),
    "mfnet.model.raster.pairs.report": ("PairReport",),
    "mfnet.model.raster.remark": ("Remark",),
    "mfnet.model.raster.values.reading_options": ("ReadingOptions",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Cancelled",
    "ClassArea",
    "ClassScheme",
    "EngineError",
    "InputError",
    "LandClass",
    "Map",
    "MapGrid",
    "MfnetError",
    "Model",
    "PairReport",
    "ReadingOptions",
    "Remark",
    "SegmentOptions",
    "inspect",
    "open_model",
    "segment",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mfnet")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
