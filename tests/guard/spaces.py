"""Network namespaces: a client, a router where guards run, and a relay behind it."""

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

PORT, OTHER_PORT = 8765, 8766
V4, V6 = socket.AF_INET, socket.AF_INET6
CLIENT, ROUTER, RELAY = "client", "router", "relay"
ADDRESS = {
    V4: {CLIENT: "10.77.1.2", RELAY: "10.77.2.2", ROUTER: "10.77.2.1"},
    V6: {CLIENT: "fd77:1::2", RELAY: "fd77:2::2", ROUTER: "fd77:2::1"},
}
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_FOLDER = Path("/run/netns")


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def enter(path: Path) -> None:
    """Take this thread, and what it starts, into a network namespace."""
    with path.open("rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), f"cannot enter {path}")


@dataclass(frozen=True)
class Spaces:
    """Three namespaces in a row; the thread of the test is in the router's."""

    mark: str

    def name(self, space: str) -> str:
        return f"bw{self.mark}{space}"

    @contextlib.contextmanager
    def inside(self, space: str) -> Iterator[None]:
        enter(_FOLDER / self.name(space))
        try:
            yield
        finally:
            enter(_FOLDER / self.name(ROUTER))

    def open(self, space: str, family: socket.AddressFamily = V4) -> socket.socket:
        """A socket of a namespace, for whichever thread."""
        with self.inside(space):
            made = socket.socket(family, socket.SOCK_STREAM)
        made.settimeout(2.0)
        return made

    def connect(
        self, family: socket.AddressFamily = V4, port: int = PORT, *, timeout: float = 2.0
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
            with self.connect(family, port, timeout=0.5) as made:
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
    made = Spaces(f"{os.getpid():x}")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        for space in (CLIENT, ROUTER, RELAY):
            ip("netns", "add", made.name(space))
        _wire(made)
        enter(_FOLDER / made.name(ROUTER))
        for family in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            Path(f"/proc/sys/net/{family}").write_text("1")
        with _echo(made):
            for each in ADDRESS:  # addresses of links are tried out first, which takes a second
                until(partial(made.reaches, each), "the namespaces are not connected")
            yield made
    finally:
        if ctypes.CDLL(None).setns(home, _NEW_NETWORK):
            raise OSError("cannot leave the namespace")
        os.close(home)
        for space in (CLIENT, ROUTER, RELAY):
            subprocess.run(
                ["ip", "netns", "del", made.name(space)], capture_output=True, check=False
            )


def _wire(made: Spaces) -> None:
    for number, end in ((1, CLIENT), (2, RELAY)):
        ours, theirs = made.name(ROUTER), made.name(end)
        ip(
            *("link", "add", f"to-{end}", "netns", ours, "type", "veth"),
            *("peer", "name", "up0", "netns", theirs),
        )
        for space, device, host in ((ours, f"to-{end}", 1), (theirs, "up0", 2)):
            run = ("-n", space)
            ip(*run, "addr", "add", f"10.77.{number}.{host}/24", "dev", device)
            ip(*run, "addr", "add", f"fd77:{number}::{host}/64", "dev", device, "nodad")
            ip(*run, "link", "set", device, "up")
            ip(*run, "link", "set", "lo", "up")
        ip("-n", theirs, "route", "add", "default", "via", f"10.77.{number}.1")
        ip("-n", theirs, "-6", "route", "add", "default", "via", f"fd77:{number}::1")


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


def until(condition: Callable[[], object], what: str, within_s: float = 20.0) -> None:
    """Wait for a condition, not for a moment."""
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, what
        time.sleep(0.01)
