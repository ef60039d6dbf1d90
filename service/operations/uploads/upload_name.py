"""What a sender may call a file."""

import re

from mfnet.service.errors import BadName

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,200}")


def checked_name(name: str) -> str:
    """The client's name for a file, as text to show; it never becomes a path.

    Raises:
        BadName: Empty, over 200 characters, or with a slash or a control character.
    """
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise BadName("expected a file name of 1 to 200 characters without slashes")
    return name
