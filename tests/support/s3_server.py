"""Stores that speak S3, as processes of their own on this machine: moto's server, and s3rver."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from waiting import until

_SERVERS = Path(sys.prefix) / "servers"


@contextmanager
def moto_server() -> Iterator[str]:
    """Yields the server's address; what it holds goes with it."""
    if not _SERVERS.is_dir():
        pytest.skip(f"no moto in {_SERVERS} (deploy/install.sh requirements-servers.lock)")
    ours = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1"]
    with _running(lambda port: [*ours, "-p", str(port)]) as address:
        yield address


@contextmanager
def s3rver(folder: Path) -> Iterator[str]:
    """Another, with a bucket named `bucket`; it takes one key, `S3RVER` with itself for a secret.

    Args:
        folder: Of what it holds.
    """
    program = shutil.which("s3rver")
    if program is None:
        pytest.skip("no s3rver on this machine (npm install --global s3rver)")
    ours = [program, "--directory", str(folder), "--address", "127.0.0.1", "--silent"]
    ours += ["--configure-bucket", "bucket"]
    with _running(lambda port: [*ours, "--port", str(port)]) as address:
        yield address


@contextmanager
def _running(command: Callable[[int], list[str]]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(_SERVERS)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command(port), env=environment, **quiet)
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(address))
        yield address
    finally:
        server.kill()
        server.wait()


def make_bucket(address: str, name: str) -> None:
    """A bucket, empty or as it was."""
    httpx.put(f"{address}/{name}").raise_for_status()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code < 500
    except httpx.TransportError:
        return False
