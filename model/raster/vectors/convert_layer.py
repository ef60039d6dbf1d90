"""`python -m mfnet.model.raster.vectors.convert_layer FROM.gpkg TO.fgb LAYER`: by GDAL, a few
polygons at once.

A process of its own, which opens a file of ours and nothing else: the one that writes maps in a
service may not use GDAL's GeoPackage driver, since it opens strangers' files.
"""

import os
import subprocess
import sys
import warnings
from pathlib import Path

_BATCH = 64
_SKIPPED = "GDAL_SKIP"
_DRIVER = "GPKG"


def convert_layer(source: Path, target: Path, layer: str) -> None:
    """Writes a layer of a GeoPackage as FlatGeobuf, in a process of its own.

    Raises:
        OSError: It cannot be written.
    """
    skipped = [name for name in os.environ.get(_SKIPPED, "").split(",") if name != _DRIVER]
    command = [sys.executable, "-m", __name__, str(source), str(target), layer]
    done = subprocess.run(
        command, env=os.environ | {_SKIPPED: ",".join(skipped)}, capture_output=True, text=True
    )
    if done.returncode:
        raise OSError(done.stderr.strip().rpartition("\n")[2] or f"status {done.returncode}")


def main() -> None:
    """The process."""
    from pyogrio.errors import DataSourceError, FeatureError
    from pyogrio.raw import open_arrow, write_arrow

    source, target, layer = sys.argv[1:]
    warnings.simplefilter("ignore")  # of places nowhere on the ground
    try:
        with open_arrow(source, use_pyarrow=False, batch_size=_BATCH) as (meta, stream):
            write_arrow(
                stream,
                target,
                driver="FlatGeobuf",
                layer=layer,
                geometry_name=meta["geometry_name"],
                geometry_type="Polygon",
                crs=meta["crs"],
            )
    except (DataSourceError, FeatureError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
