"""How long a process is busy before its first block: kernels compiled anew, or from their cache."""

import os
import subprocess
import sys
import tempfile
import time

from bellwire.bench.model import Figure

_PROGRAM = """
from bellwire.distill import amplification, announcements, cascade
announcements.warm(); cascade.warm(); amplification.warm(amplification.SMALL_BITS)
"""


def run() -> list[Figure]:
    """Measure two processes with a cache of their own: it is empty, then full."""
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (_seconds(cache) for _ in range(2))
    return [Figure("start_cold_s", cold, "s"), Figure("start_warm_s", warm, "s")]


def _seconds(cache: str) -> float:
    start = time.perf_counter()
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    subprocess.run([sys.executable, "-c", _PROGRAM], env=environment, check=True)
    return time.perf_counter() - start
