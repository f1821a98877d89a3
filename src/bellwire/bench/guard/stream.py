"""A stream of packets through a router, and when the last of them passed.

The sender is a process of its own: a datagram every tenth of a millisecond. The kernel stamps each
as it arrives, so that it does not matter when we come to read it.
"""

import contextlib
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

from bellwire.bench.guard.errors import NotMeasured
from bellwire.bench.guard.spaces import ADDRESS, CLIENT, RELAY, V4, Spaces

SENDER = "bellwire.bench.guard.sender"
QUIET_S = 0.03
"""So long without a packet is a cut: three hundred times the sender's interval."""

_STAMPS = 35  # SO_TIMESTAMPNS, asm-generic/socket.h
_STAMP = struct.Struct("@ll")
_BUFFER = 4 << 20
_WITHIN_S = 30.0


class Stream:
    """The receiving end.

    Args:
        receiver: Bound, of UDP.
    """

    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.last_ns = 0

    def start(self) -> None:
        """Begin to read."""
        self._receiver.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
        self._receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._receiver.settimeout(None)
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        with contextlib.suppress(OSError):  # nobody is connected, which it says after it has woken
            self._receiver.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def last(self) -> float:
        """When the last packet passed, seconds since the epoch, once none comes any more.

        Raises:
            NotMeasured: they do not end.
        """
        wait_until(
            lambda: time.time() - self.last_ns / 1e9 > QUIET_S,
            "packets that are stopped still pass",
        )
        return self.last_ns / 1e9

    def flows(self) -> None:
        """Wait until packets pass.

        Raises:
            NotMeasured: none does.
        """
        began_ns = time.time_ns()
        wait_until(lambda: self.last_ns > began_ns, "no packet passes")

    def _read(self) -> None:
        while True:
            try:
                data, told, _, _ = self._receiver.recvmsg(64, 64)
            except OSError:
                return
            if not data:
                return
            for _, _, stamp in told:
                seconds, nanoseconds = _STAMP.unpack(stamp[: _STAMP.size])
                self.last_ns = seconds * 1_000_000_000 + nanoseconds


@contextlib.contextmanager
def packet_stream(made: Spaces, port: int) -> Iterator[Stream]:
    """Packets from the client to the relay, until the end of the block."""
    receiver = made.open(RELAY, kind=socket.SOCK_DGRAM)
    with receiver:
        receiver.bind((ADDRESS[V4][RELAY], port))
        with made.inside(CLIENT):
            sender = subprocess.Popen(
                [sys.executable, "-m", SENDER, ADDRESS[V4][RELAY], str(port)],
                stdin=subprocess.PIPE,
            )
        found = Stream(receiver)
        found.start()
        try:
            found.flows()
            yield found
        finally:
            assert sender.stdin is not None
            sender.stdin.close()
            sender.wait()
            found.stop()


def wait_until(condition: Callable[[], bool], why: str) -> None:
    """Wait for a condition.

    Raises:
        NotMeasured: it does not come; `why` says what is wrong then.
    """
    ends = time.monotonic() + _WITHIN_S
    while not condition():
        if time.monotonic() > ends:
            raise NotMeasured(f"waited {_WITHIN_S:g} s in vain: {why}")
        time.sleep(0.002)
