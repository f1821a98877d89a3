"""How threads of a process that serves share the interpreter."""

import sys

_TURN_S = 0.0005


def take_short_turns() -> None:
    """Let a thread that waits for the interpreter have it after half a millisecond.

    Python's own five are what a request waits for, and all behind it, each time that the event loop
    comes back from the network while another thread computes.
    """
    sys.setswitchinterval(_TURN_S)
