"""Options of the command line in messages, and what a request calls them."""

import re

from mfnet.service.domain.job_uploads import UPLOADS
from mfnet.service.domain.reading_inputs import FURTHER, NAMES

# `rio edit-info --crs` is another program's.
_OPTION = re.compile(
    r"(?<![\w-])(?<!edit-info )--("
    + "|".join(
        name.replace("_", "-")
        for name in (*NAMES, *FURTHER, *UPLOADS, "no_collar", "no_unmultiply", "no_spikes")
    )
    + r")(?![\w-])"
)


def as_inputs(text: str) -> str:
    """A message for whoever sends requests: `--height-offset 3` is `inputs.height_offset 3`."""
    return _OPTION.sub(_as_input, text)


def _as_input(option: re.Match[str]) -> str:
    words = option.group(1).replace("-", "_")
    return f"inputs.{words.removeprefix('no_')}" + (" false" if words.startswith("no_") else "")
