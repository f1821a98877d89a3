"""Network namespaces: a client, a router where guards run, and a relay behind it that echoes."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from tests.patience import PATIENCE_S

from bellwire.bench.guard import spaces as product
from bellwire.bench.guard.spaces import ADDRESS, CLIENT, RELAY, ROUTER, V4, V6

__all__ = ["ADDRESS", "CLIENT", "OTHER_PORT", "PORT", "RELAY", "ROUTER", "V4", "V6", "Spaces"]

PORT, OTHER_PORT = 8765, 8766
ANSWERS_WITHIN_S = 20.0
"""What may not pass is refused at once; who answers is a thread that may wait for its turn."""


class Spaces(product.Spaces):
    """Three namespaces in a row; the thread of the test is in the router's."""

    def connect(
        self,
        family: socket.AddressFamily = V4,
        port: int = PORT,
        *,
        timeout: float = ANSWERS_WITHIN_S,
    ) -> socket.socket:
        """A connection from the client to the relay."""
        made = self.open(CLIENT, family)
        made.settimeout(timeout)
        try:
            made.connect((ADDRESS[family][RELAY], port))
        except BaseException:
            made.close()
            raise
        return made

    def reaches(self, family: socket.AddressFamily = V4, port: int = PORT) -> bool:
        """Whether a new connection gets through, and an answer comes."""
        try:
            with self.connect(family, port) as made:
                return echoed(made)
        except OSError:
            return False


def echoed(made: socket.socket, data: bytes = b"still there") -> bool:
    """Whether the relay answers on a connection that is there."""
    try:
        made.sendall(data)
        return made.recv(1000) == data
    except OSError:
        return False


@contextlib.contextmanager
def spaces() -> Iterator[Spaces]:
    """The namespaces, with an echo behind ports 8765 and 8766 of the relay; all goes at the end."""
    with product.networks() as bare:
        made = Spaces(bare.mark)
        with _echo(made):
            for each in ADDRESS:  # addresses of links are tried out first, which takes a second
                until(partial(made.reaches, each), "the namespaces are not connected")
            yield made


@contextlib.contextmanager
def _echo(made: Spaces) -> Iterator[None]:
    listeners = []
    for family in ADDRESS:
        for port in (PORT, OTHER_PORT):
            listener = made.open(RELAY, family)
            listener.settimeout(None)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
            listener.listen(64)
            listeners.append(listener)
    threads = [threading.Thread(target=_accept, args=(each,), daemon=True) for each in listeners]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for listener in listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in threads:
            thread.join()


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(1000):
            connection.sendall(data)


def passed_until(passes: Callable[[], bool], what: str) -> float:
    """Wait until packets pass no more; when the last began that did, by the monotonic clock.

    On a busy machine the end is seen late, and no try in between says that something passed.
    """
    last = began = time.monotonic()
    ends = began + PATIENCE_S
    while passes():
        last = began
        time.sleep(0.01)
        began = time.monotonic()
        assert began < ends, what
    return last


def until(condition: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> None:
    """Wait for a condition, not for a moment."""
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, what
        time.sleep(0.01)
