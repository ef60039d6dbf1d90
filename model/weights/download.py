"""One file over HTTP: resumed where it broke off, and verified before it is there."""

from collections.abc import Callable
from pathlib import Path

import httpx

from mfnet.model.errors import BadCheckpoint, DownloadFailed, MfnetError
from mfnet.model.weights.file_hash import sha256_of

_CHUNK_BYTES = 1 << 20


def download(
    url: str,
    target: Path,
    sha256: str | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    altered: type[MfnetError] = BadCheckpoint,
) -> None:
    """Fetches a file unless it is there already.

    What has come is kept in `<target>.part`, so that the next call goes on where this one ended.

    Args:
        url: Where the file is.
        target: Where it shall be; complete and verified, or not there.
        sha256: Of the whole file, hexadecimal; None where none was published, and then what has
            the length that the server says is taken for whole.
        progress: Called with the bytes had and their total.
        altered: What is raised where the file is another.

    Raises:
        DownloadFailed: No connection, or it ended early.
        MfnetError: `altered`: what came is not the file that was asked for; it is removed.
    """
    if target.exists() and sha256 in (None, sha256_of(target)):
        return
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fetch(url, part, progress)
    except (httpx.HTTPError, OSError) as error:
        had = part.stat().st_size if part.exists() else 0
        raise DownloadFailed(
            f"{url}: {error or type(error).__name__}; {had} bytes are kept: "
            "run the command again to go on",
            url=url,
            bytes=had,
        ) from error
    if sha256 is not None and (got := sha256_of(part)) != sha256:
        part.unlink()
        raise altered(
            f"{url} has sha256 {got}; expected {sha256}: removed", got=got, expected=sha256
        )
    part.replace(target)


def _fetch(url: str, part: Path, progress: Callable[[int, int], None]) -> None:
    """Appends to `part` what it lacks; a server that cannot do that sends all of it again."""
    had = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # what is counted is what lies on the disk
    if had:
        headers["Range"] = f"bytes={had}-"
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # it was complete; if it was not, its sha256 says so
        response.raise_for_status()
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            had = 0
        total = had + int(response.headers.get("Content-Length", 0))
        with part.open("ab" if had else "wb") as file:
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                file.write(chunk)
                had += len(chunk)
                progress(had, total)
