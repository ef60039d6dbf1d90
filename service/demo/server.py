"""A service of the demo's own: on a free port, with a data folder that goes with it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

_START_S = 60
_STOP_S = 60
_TIMEOUT_S = 180  # an upload is answered after its inspection

# The demo must not touch the database and the queue that a real service on this machine uses.
_ALONE = ("DATABASE_URL", "REDIS_URL", "MFNET_DATABASE_URL", "MFNET_REDIS_URL", "MFNET_DATA_DIR")


class DemoFailed(Exception):
    """The story has no good end.

    Args:
        message: What was said.
        status: Exit status: 2 for the caller's mistake, 1 for our fault.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def serving(data_dir: Path | None = None, *options: str) -> Iterator[httpx.Client]:
    """Run `mfnet serve`; yields a client that holds the service's first key.

    Args:
        data_dir: Its data folder; one that goes with it, if not given.
        options: Further ones of `mfnet serve`.

    Raises:
        DemoFailed: It does not start; the message ends with what it logged.
    """
    with tempfile.TemporaryDirectory(prefix="mfnet-demo-") as folder:
        log = Path(folder) / "log"
        server = _start(data_dir or Path(folder) / "data", options, log)
        try:
            url, key = _first_lines(server, log)
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(
                base_url=url, headers=headers, timeout=_TIMEOUT_S, trust_env=False
            ) as client:
                _wait_until_ready(client, server, log)
                yield client
        finally:
            _stop(server)


def checked(reply: httpx.Response) -> dict[str, Any]:
    """The JSON of a good answer.

    Raises:
        DemoFailed: With the problem's own words.
    """
    body: dict[str, Any] = reply.json()
    if reply.is_success:
        return body
    said = body.get("detail") or f"{body['title']}, request {body.get('request_id')}"
    raise DemoFailed(said, 2 if reply.is_client_error else 1)


def _start(data_dir: Path, options: Sequence[str], log: Path) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-P",
        "-m",
        "mfnet.service.cli.main",
        "serve",
        "--port",
        "0",
        "--host",
        "127.0.0.1",
    ]
    with log.open("w") as file:
        return subprocess.Popen(
            [*command, "--data-dir", str(data_dir), *options],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, **dict.fromkeys(_ALONE, "")},  # empty: as if not set
            start_new_session=True,  # Ctrl-C is for us, who then stop it in order
        )


def _first_lines(server: "subprocess.Popen[str]", log: Path) -> tuple[str, str]:
    """Address and key, from the two lines that `mfnet serve` begins with."""
    assert server.stdout is not None
    address, secret = server.stdout.readline().split(), server.stdout.readline().split()
    if not address or not secret:
        raise _did_not_start(log)
    return address[2], secret[-1]


def _wait_until_ready(client: httpx.Client, server: "subprocess.Popen[str]", log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if client.get("/health/ready").is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise _did_not_start(log)


def _stop(server: "subprocess.Popen[str]") -> None:
    """Ask the service to end, with its worker and engine; returns when all are gone."""
    server.terminate()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    if server.stdout is not None:
        server.stdout.close()


def _did_not_start(log: Path) -> DemoFailed:
    return DemoFailed(f"the service did not start; it said:\n{log.read_text()[-2000:]}")
