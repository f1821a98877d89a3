"""The pre-placed key: what two nodes must share, brought by hand, before their first block."""

import secrets
from pathlib import Path

from bellwire.base.errors import UsageError
from bellwire.base.private import write_whole
from bellwire.keys.reserve import preplaced_bytes

PREPLACED_SETS = 256
"""Blocks that may fail before the first success refills: a pre-placed key of 16 kB."""


def new_authentication_key(path: Path) -> int:
    """Write a new pre-placed key for both nodes of a link; its size in bytes.

    Raises:
        UsageError: the file exists.
        PathUnusable: it cannot be made.
    """
    data = secrets.token_bytes(preplaced_bytes(PREPLACED_SETS))
    if not write_whole(path, data, replace=False):
        raise UsageError(f"expected no file at {path}, got one")
    return len(data)
