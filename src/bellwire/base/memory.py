"""How a process that serves for long keeps its memory.

Memory that a block gives back is kept for the next one.

Pages that the system gives anew cost more than writing what goes into them, and the allocator of
GNU's C library returns large pieces at once. A process that handles block after block asks it not
to. It then stays as large as its largest block made it. Where there is no such allocator, nothing
changes.
"""

import ctypes
import gc

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENAS = -1, -2, -3, -8  # of mallopt(3)
_KEPT_BYTES = 1 << 30
_GROWN_BY_BYTES = 1 << 24


def keep_freed_memory() -> None:
    """Let the allocator of this process keep what is freed."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for parameter, value in (
        (_MMAP_THRESHOLD, _KEPT_BYTES),
        (_TRIM_THRESHOLD, _KEPT_BYTES),
        (_TOP_PAD, _GROWN_BY_BYTES),
        (_ARENAS, 1),  # what one thread frees, another takes
    ):
        mallopt(parameter, value)


def settle_memory() -> None:
    """Let the garbage collector pass over all that lives now, for good.

    To be called once all is loaded: else the collector looks through some hundred thousand objects
    of modules, 40 ms in which nobody is served, and finds nothing.
    """
    gc.collect()
    gc.freeze()
