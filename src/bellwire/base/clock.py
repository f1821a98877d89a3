"""Time, passed in: one function type for 'now', so that tests can move it."""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the epoch."""

system_clock: Clock = time.time
