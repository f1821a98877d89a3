"""How many files and connections this process may have open at once."""

import contextlib
import resource


def raise_limit() -> int:
    """Take as many descriptors as the system lets us have without asking, and say how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft != resource.RLIM_INFINITY else 2**31
