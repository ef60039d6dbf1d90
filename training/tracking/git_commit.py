"""Which program made something."""

import subprocess
from pathlib import Path


def commit() -> str | None:
    """The commit that this program is of, if it lies in a Git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
