"""What a service tells the manager that started it, by the protocol of systemd's sd_notify(3).

A datagram to the Unix socket that the variable NOTIFY_SOCKET names; without it there is no manager
who listens, and nothing happens. What cannot be told is no reason to fail.
"""

import contextlib
import os
import socket
import time

READY = "READY=1"
STOPPING = "STOPPING=1"


def tell_manager(state: str) -> None:
    """Tell a state.

    Args:
        state: Lines of `NAME=VALUE`.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    # An abstract socket's name begins with a zero byte.
    name = f"\0{path[1:]}" if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.connect(name)
        sending.sendall(state.encode())


def reloading() -> str:
    """That settings are read again; `READY` ends it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
