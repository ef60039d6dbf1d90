"""What `mfnet serve` listens on."""

import socket

import uvicorn

from mfnet.service.cli.serve import listening_socket


def test_connections_answer_without_waiting_for_an_acknowledgement() -> None:
    listening = listening_socket(uvicorn.Config("nothing:app", host="127.0.0.1", port=0))
    with listening:
        listening.listen()
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
