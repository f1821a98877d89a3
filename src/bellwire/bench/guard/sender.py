"""Sends a datagram every tenth of a millisecond, until standard input ends.

`python -m bellwire.bench.guard.sender HOST PORT`
"""

import contextlib
import os
import select
import socket
import sys
import time

INTERVAL_S = 1e-4
_LOOK_EVERY = 64
"""Datagrams between two looks at standard input."""


def send(host: str, port: int) -> None:
    """Send until standard input ends, before whatever else wants the processor."""
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        number = 0
        while not (number % _LOOK_EVERY == 0 and select.select([sys.stdin], [], [], 0)[0]):
            with contextlib.suppress(OSError):  # a router that refuses says so by ICMP
                sender.sendto(number.to_bytes(8, "big"), (host, port))
            number += 1
            time.sleep(INTERVAL_S / 2)  # of which the kernel makes twice as much


if __name__ == "__main__":
    send(sys.argv[1], int(sys.argv[2]))
