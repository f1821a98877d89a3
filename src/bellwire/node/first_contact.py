"""The pre-placed key: what two nodes must share, brought by hand, before their first block."""

import os
import secrets
from pathlib import Path

from bellwire.base.errors import UsageError
from bellwire.keys.reserve import preplaced_bytes

PREPLACED_SETS = 256
"""Blocks that may fail before the first success refills: a pre-placed key of 16 kB."""


def new_authentication_key(path: Path) -> int:
    """Write a new pre-placed key for both nodes of a link; its size in bytes.

    Raises:
        UsageError: the file exists or cannot be made.
    """
    data = secrets.token_bytes(preplaced_bytes(PREPLACED_SETS))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(f"cannot make {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return len(data)
