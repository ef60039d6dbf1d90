"""A model's life, as pure facts: no SQL, no HTTP, no files.

    (made) ──> candidate ──promote──> active ──another is promoted──> retired
                                        ^                                │
                                        └───────── roll back ────────────┘

A model is a name with numbered versions; of each name one version is *active* at most. A job that
names a model alone gets the version that is active when it is submitted, and keeps it.
"""

import re
from enum import StrEnum
from typing import NamedTuple

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What a model may be called. No slash and no leading dash: it goes to command lines."""

REF = NAME + r"(@[1-9][0-9]{0,8})?"
"""What a caller calls a model: NAME, or NAME@VERSION."""


class ModelState(StrEnum):
    """Where a version stands."""

    CANDIDATE = "candidate"
    """It was made and measured, and is used only by who names its version."""
    ACTIVE = "active"
    """The name alone means this version."""
    RETIRED = "retired"
    """It was active; roll back leads to it, and jobs of then keep it."""


class Ref(NamedTuple):
    """A model as a caller names it.

    Attributes:
        name: Of the model.
        version: None for the active one.
    """

    name: str
    version: int | None = None

    @classmethod
    def read(cls, text: str) -> "Ref":
        """`NAME` or `NAME@VERSION`, as `REF` describes them; ValueError for anything else."""
        if not re.fullmatch(REF, text):
            raise ValueError(f"got {text!r}, expected a model as NAME or NAME@VERSION")
        name, _, version = text.partition("@")
        return cls(name, int(version) if version else None)
