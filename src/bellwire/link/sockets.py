"""The folder of the link's Unix sockets: private, and one link's at a time.

The running link holds a lock on the folder itself, which the kernel drops when the link dies, so
that nothing is left over.
"""

import fcntl
import os
from pathlib import Path

from bellwire.base.private import own_folder, unusable
from bellwire.link.errors import RunDirTaken


def claim(run_dir: Path) -> int:
    """Make the folder if it is missing, and lock it; the lock lasts while the descriptor is open.

    Raises:
        PathUnusable: it cannot be made.
        PathExposed: others may enter it.
        RunDirTaken: another link has it.
    """
    own_folder(run_dir)
    try:
        descriptor = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unusable(run_dir, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RunDirTaken(run_dir) from error
    return descriptor
