"""What a pool's windows hold, also seen from processes of their own.

It lies here and not beside its test: a process that is spawned imports by name, and a package that
we depend on has installed one that is called `tests`.
"""

from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.datasets.tiles.samples import Sample


def bytes_of(sample: Sample) -> bytes:
    """All of a sample."""
    return sample.truth.tobytes() + b"".join(r.tobytes() for r in sample.rasters.values())


def numbers(pool: Pool, first: int) -> list[bytes]:
    """Every second window from the first on, up to twenty."""
    return [bytes_of(pool.sample(k, 32, seed=1)) for k in range(first, 20, 2)]
