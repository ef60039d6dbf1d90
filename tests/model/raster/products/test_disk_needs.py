"""The room that a map's files take together."""

from collections import Counter
from pathlib import Path

from mfnet.model.raster.products.disk_needs import disk_needs

COG = 2_333_333


def test_every_file_counts_in_its_folder() -> None:
    files = {"classes": "a/c.tif", "confidence": "a/s.tif", "quality": "a/q.tif", "statistics": "s"}
    files |= {"polygons": "b/p.gpkg", "zones": "b/z.gpkg"}
    by_folder: Counter[str] = Counter()
    for folder, count in disk_needs(
        {role: Path(p) for role, p in files.items()}, 10**6, sieve=True
    ):
        by_folder[str(folder)] += count
    assert by_folder == {"a": 3 * COG + 10**6, "b": 4 * 10**6}
    ((_, flatgeobuf),) = disk_needs({"polygons": Path("p.fgb")}, 10**6)
    assert flatgeobuf == 4 * 10**6
