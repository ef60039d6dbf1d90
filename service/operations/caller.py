"""Who asks for something, and whose things they may see."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """The holder of a valid key, or of a reader of it.

    Attributes:
        key_id: Owner of what this request creates.
        name: Of the key and its id, for logs that people read.
        scope: The only owner whose things this request sees; None sees everybody's.
        shares: The key is of another, the owner's.
    """

    key_id: str
    name: str
    scope: str | None
    shares: bool = False
