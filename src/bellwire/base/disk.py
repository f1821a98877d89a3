"""How long a disk takes until what was written is on it."""

import os
import statistics
import tempfile
import time
from pathlib import Path

_TRIALS = 16
_BYTES = 4096


def sync_time(folder: Path) -> float:
    """Seconds that a small write with its sync takes in `folder`.

    The lower quartile of some, each written over the one before, as a log is: what takes longer was
    mostly spent on waiting for a processor that others had.

    Raises:
        OSError: the folder cannot be written.
    """
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_TRIALS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), bytes(_BYTES), 0)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.quantiles(times)[0]
