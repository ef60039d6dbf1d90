"""What `mfnet serve` listens on."""

import socket
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner

from mfnet.service.cli.main import app
from mfnet.service.cli.serve import listening_socket


def test_connections_answer_without_waiting_for_an_acknowledgement() -> None:
    listening = listening_socket(uvicorn.Config("nothing:app", host="127.0.0.1", port=0))
    with listening:
        listening.listen()
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_without_keys_it_does_not_listen_where_others_reach_it(host: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = ["serve", "--no-keys", "--host", host, "--port", "0", "--data-dir", str(data)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "auth.keys_needed" in done.output
    assert "expected a loopback address" in done.output
    assert not data.exists()
