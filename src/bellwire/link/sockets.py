"""The folder of the link's Unix sockets: private, and one link's at a time.

The running link holds a lock on the folder itself, which the kernel drops when the link dies, so
that nothing is left over.
"""

import fcntl
import os
import stat
from pathlib import Path

from bellwire.link.errors import RunDirUnusable


def claim(run_dir: Path) -> int:
    """Make the folder if it is missing, and lock it; the lock lasts while the descriptor is open.

    Raises:
        RunDirUnusable: it cannot be made, others may enter it, or another link has it.
    """
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise RunDirUnusable(
            run_dir, f"expected a folder for sockets at {run_dir}, got: {error.strerror}"
        ) from error
    try:
        _check_private(run_dir, os.fstat(descriptor))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RunDirUnusable(
            run_dir,
            f"expected no link in {run_dir}, got one that runs there",
            hint="Stop the other link, or choose another folder with --run-dir.",
        ) from error
    except RunDirUnusable:
        os.close(descriptor)
        raise
    return descriptor


def _check_private(run_dir: Path, found: os.stat_result) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid() or mode & 0o077:
        raise RunDirUnusable(
            run_dir,
            f"expected {run_dir} to be ours with mode 0700, got mode {mode:04o}"
            f" of user {found.st_uid}",
            hint=f"chmod 700 {run_dir}",
        )
