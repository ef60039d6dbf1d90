"""A way to a service that is cut after so many bytes: those have gone through, the rest is lost."""

import contextlib
import socket
import threading
from collections.abc import Callable


class CutRelay:
    """Hands connections on, each way as they come; the first to send too much ends them all.

    Args:
        port: Of the service, on loopback.

    Attributes:
        port: To connect to.
    """

    def __init__(self, port: int) -> None:
        self._service = port
        self._lock = threading.Lock()
        self._left: int | None = None
        self._cut: Callable[[], None] = lambda: None
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, count: int, then: Callable[[], None]) -> None:
        """Once, when so many bytes have gone to the service from now on.

        Args:
            count: Bytes, those of headers included.
            then: Does what is the matter, before the connection ends.
        """
        with self._lock:
            self._left, self._cut = count, then

    def close(self) -> None:
        """Take no further connection."""
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._service)) as service,
        ):
            back = threading.Thread(target=self._back, args=(service, client), daemon=True)
            back.start()
            while (data := client.recv(1 << 16)) and self._sent(service, data):
                pass
            with contextlib.suppress(OSError):
                service.shutdown(socket.SHUT_RDWR)
            back.join()

    def _sent(self, service: socket.socket, data: bytes) -> bool:
        """Hands data on; False where the way is cut in them."""
        with self._lock:
            if self._left is None or len(data) < self._left:
                self._left = None if self._left is None else self._left - len(data)
                service.sendall(data)
                return True
            service.sendall(data[: self._left])
            self._left, cut = None, self._cut
        cut()
        return False

    @staticmethod
    def _back(service: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := service.recv(1 << 16):
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
