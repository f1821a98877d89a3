"""A PostgreSQL server for tests: of its own, on a Unix socket and a free port, durable."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.keys.stores import IN_MEMORY
from tests.patience import PATIENCE_S
from tests.ports import free_port

from bellwire.database import postgres

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
ROOM = 1 << 30
"""Bytes, for the database and its log."""

WAITING = ("-w", "-t", f"{PATIENCE_S:.0f}")

USER = "postgres"
"""PostgreSQL refuses to run as root; the Debian package makes this user."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        data: Its data folder.
        sockets: Folder of its Unix socket.
        port: TCP port on loopback, which names the socket as well.
    """

    data: Path
    sockets: Path
    port: int

    @property
    def url(self) -> str:
        """Over the Unix socket, where everybody is trusted."""
        return f"postgresql://keys@/keys?host={self.sockets}&port={self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = (
            f"-p {self.port} -k {self.sockets} -c listen_addresses=127.0.0.1 "
            "-c fsync=on -c synchronous_commit=on -c shared_buffers=16MB -c max_connections=40 "
            "-c max_wal_size=128MB "
            # What nobody waits for is not written soon either, so that tests notice it.
            "-c wal_writer_delay=10s"
        )
        self._control("start", *WAITING, "-o", options, "-l", str(self.data / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `immediate` is a crash, from which it recovers at its next start."""
        self._control("stop", *WAITING, "-m", mode)

    def kill(self) -> None:
        """Kill all its processes at once, as the end of its machine would."""
        first = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        processes = [first, *first.children(recursive=True)]
        first.suspend()  # it is to start no others meanwhile
        for process in [*first.children(recursive=True), first]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                while process.status() != psutil.STATUS_ZOMBIE:
                    time.sleep(0.001)
        # Whoever inherits a dead process may be slow to bury it, and the next server would wait.
        for lock in (self.data / "postmaster.pid", self.sockets / f".s.PGSQL.{self.port}.lock"):
            lock.unlink()

    def sql(self, text: str, *, user: str = USER, database: str = "postgres") -> str:
        """Run statements as the superuser; what they print."""
        return _run(
            [
                PROGRAMS / "psql",
                *("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-h", self.sockets, "-p", self.port, "-U", user, "-d", database, "-c", text),
            ]
        )

    def _control(self, *arguments: str) -> None:
        _run([PROGRAMS / "pg_ctl", "-D", self.data, *arguments])


PASSWORD = "not a secret, of a server in a test"


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits for its turn, in a transaction, is none that was stopped in one."""
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        monkeypatch.setitem(postgres._SESSION, name, f"{1000 * PATIENCE_S:.0f}")


@contextmanager
def running() -> Iterator[Server]:
    """A server with an empty database `keys` of a user `keys`."""
    with tempfile.TemporaryDirectory(
        prefix="bwpg", dir=_roomy_memory(), ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        server = Server(folder / "data", folder, free_port())
        _run(
            [
                PROGRAMS / "initdb",
                *("-D", server.data, "-U", USER, "-E", "UTF8", "--locale=C"),
                *(
                    "--auth-local=trust",
                    "--auth-host=scram-sha-256",
                    "--no-sync",
                    "--wal-segsize=1",
                ),
            ]
        )
        server.start()
        try:
            server.sql(f"CREATE ROLE keys LOGIN PASSWORD '{PASSWORD}'")
            server.sql("CREATE DATABASE keys OWNER keys")
            yield server
        finally:
            server.stop("immediate")


def _roomy_memory() -> str | None:
    """Where tests wait for no disk; a container may have too little of it for a database."""
    if IN_MEMORY is None or shutil.disk_usage(IN_MEMORY).free < ROOM:
        return None
    return IN_MEMORY


def _run(command: list[object]) -> str:
    """Run a program as a user that PostgreSQL runs as.

    Its output goes to a file: the server inherits it, and would keep a pipe open.
    """
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            user=USER if os.geteuid() == 0 else None,
            group=USER if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
        )
        output.seek(0)
        text = output.read().decode(errors="replace")
    assert done.returncode == 0, text
    return text.strip()
