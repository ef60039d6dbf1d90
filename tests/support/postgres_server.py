"""A PostgreSQL server of one's own, which can be stopped and started again on its data."""

import os
import pwd
import signal
import socket
import subprocess
from pathlib import Path

import psycopg
from deployment.processes import program
from waiting import until


class Postgres:
    """Listens on a port of 127.0.0.1, trusts everybody, and keeps what it commits.

    Args:
        folder: Of its data; it and those above it must be open to the user postgres.
    """

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgresql://mfnet@127.0.0.1:{self.port}/postgres"
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            entry = pwd.getpwnam(self._user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        create = [program("initdb"), "-D", folder / "data", "-U", "mfnet", "-A", "trust"]
        subprocess.run(create, user=self._user, check=True, capture_output=True, cwd=folder)

    def start(self) -> None:
        options = ["-p", str(self.port), "-k", self._folder, "-c", "listen_addresses=127.0.0.1"]
        self._server = subprocess.Popen(
            [program("postgres"), "-D", self._folder / "data", *options],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )
        until(self._answers, 30, "PostgreSQL starting")

    def stop(self) -> None:
        """Ends every connection at once, as a restart of its machine would."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(30)
            self._server = None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
