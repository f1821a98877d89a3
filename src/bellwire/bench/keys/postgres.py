"""A PostgreSQL server of the measurement's own, durable, gone at the end."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_USER = "postgres"
"""PostgreSQL does not run as root; its packages make this user."""


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest first; None if it is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    found = shutil.which("initdb")
    candidates = [*debian, *([Path(found)] if found else [])]
    return candidates[0].parent if candidates else None


@contextmanager
def server(at: Path) -> Iterator[str]:
    """Run one on the disk that temporary files are on; its URL.

    Args:
        at: From `programs`.

    Raises:
        ArithmeticError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="bwpg", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        data = folder / "data"
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        _run([at / "initdb", "-D", data, "-U", _USER, "-E", "UTF8", "--auth=trust"])
        options = f"-p {port} -k {folder} -c listen_addresses= -c fsync=on -c synchronous_commit=on"
        control = [at / "pg_ctl", "-D", data, "-w"]
        _run([*control, "start", "-o", options, "-l", folder / "log"])
        try:
            yield f"postgresql://{_USER}@/postgres?host={folder}&port={port}"
        finally:
            _run([*control, "stop", "-m", "immediate"])


def _run(command: list[object]) -> None:
    as_root = os.geteuid() == 0
    with tempfile.TemporaryFile() as output:  # a pipe would stay open as long as the server
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            cwd="/",
            user=_USER if as_root else None,
            group=_USER if as_root else None,
            extra_groups=[] if as_root else None,
        )
        output.seek(0)
        said = output.read().decode(errors="replace")[-300:]
    if done.returncode:
        raise ArithmeticError(f"PostgreSQL did not start or stop: {said}")
