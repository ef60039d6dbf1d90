"""How a map is computed, apart from its inputs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """Options of a segmentation; each has a default that suits most maps.

    Attributes:
        stride: Pixels between windows; the model's own if not given.
        blend: How windows are weighed where they overlap: `hann`, less towards their rims, or
            `mean`, alike, as in the paper.
        tta: Test-time augmentation: `none`, `flips` (the mean of four mirrored views of each
            window) or `turns` (of eight mirrored and turned ones).
        batch_size: Windows a call of the network; by the device if not given.
        device: `auto`, `cpu` or `cuda`.
        precision: `auto`, `fp32` or `bf16`.
        runtime: `auto`, `torch` or `openvino`.
        sieve: Areas of one class with fewer pixels take the class of their largest neighbour; none
            if not given.
    """

    stride: int | None = None
    blend: str = "hann"
    tta: str = "none"
    batch_size: int | None = None
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    sieve: int | None = None
