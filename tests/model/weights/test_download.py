"""Downloads against a real server on loopback: resumed, verified, never half there."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mfnet.model.errors import BadCheckpoint, BadOption, DownloadFailed
from mfnet.model.weights.download import download
from mfnet.model.weights.sam_base import fetch_base

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Sends `CONTENT`; after `cut` bytes it hangs up, once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cut: int | None = None
        self.ranges = True
        self.requests: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        start = int(asked[6:-1]) if asked and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop, self.server.cut = self.server.cut, None
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_comes_whole_and_is_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    target, seen = tmp_path / "sub" / "file.pth", []
    download(server.url, target, SHA256, lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    download(server.url, target, SHA256)
    assert len(server.requests) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_keeps_what_it_has_and_resumes(
    ranges: bool, server: Server, tmp_path: Path
) -> None:
    server.cut, server.ranges = 1_500_000, ranges
    target = tmp_path / "file.pth"
    with pytest.raises(DownloadFailed, match="bytes are kept: run the command again to go on"):
        download(server.url, target, SHA256)
    assert not target.exists()
    kept = (tmp_path / "file.pth.part").stat().st_size
    assert 0 < kept <= 1_500_000
    download(server.url, target, SHA256)
    assert server.requests[-1] == f"bytes={kept}-"
    assert target.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file.pth"]


def test_a_part_that_was_complete_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.pth.part").write_bytes(CONTENT)
    download(server.url, tmp_path / "file.pth", SHA256)
    assert (tmp_path / "file.pth").read_bytes() == CONTENT


def test_a_wrong_sum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=f"has sha256 {SHA256}; expected {'0' * 64}: removed"):
        download(server.url, tmp_path / "file.pth", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="0 bytes are kept"):
        download("http://127.0.0.1:9/file.pth", tmp_path / "file.pth", SHA256)


def test_an_unknown_base_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="no base 'vit_g'; there are: vit_b, vit_l, vit_h"):
        fetch_base("vit_g", tmp_path)
