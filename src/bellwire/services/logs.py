"""Logs of services: one file each, which a start may put aside for a new one."""

from pathlib import Path

MAX_LOG_BYTES = 8 << 20


def begin_log(path: Path) -> int:
    """Where in its log a service that starts now begins to write, in bytes.

    A log over MAX_LOG_BYTES becomes `NAME.log.1`, in the place of the one before.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return 0
    if size <= MAX_LOG_BYTES:
        return size
    path.replace(path.with_name(f"{path.name}.1"))
    return 0
