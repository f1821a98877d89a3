"""Ports for servers that begin later, or begin again.

The kernel gives whoever asks for any port one of a range, and so it does to each connection that
goes out: a port of that range that was free a moment ago may be somebody's when a server begins, or
comes back. These are below.
"""

import os
import random
import socket
from pathlib import Path

_FIRST = 10_000
_GIVEN = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
_ANY = random.Random(os.urandom(8))  # other than that of a test beside, whatever seeds it sets
_taken: set[int] = set()


def free_port() -> int:
    """A port of the loopback that nobody listens on; each once in a process."""
    while True:
        port = _ANY.randrange(_FIRST, max(_GIVEN, 2 * _FIRST))
        if port in _taken:
            continue
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        _taken.add(port)
        return port
