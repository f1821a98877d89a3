"""Network namespaces in a row: a client, a router where guards run, and a relay behind it.

What always holds: the thread that made them is in the router's namespace until the end of the
block, processes that it starts are there, too, and nothing of them is left afterwards. Needs root.
"""

import contextlib
import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bellwire.bench.guard.errors import NetworkUnusable

V4, V6 = socket.AF_INET, socket.AF_INET6
CLIENT, ROUTER, RELAY = "client", "router", "relay"
ADDRESS = {
    V4: {CLIENT: "10.77.1.2", RELAY: "10.77.2.2", ROUTER: "10.77.2.1"},
    V6: {CLIENT: "fd77:1::2", RELAY: "fd77:2::2", ROUTER: "fd77:2::1"},
}
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_FOLDER = Path("/run/netns")


def ip(*words: str) -> None:
    """Run the program `ip`.

    Raises:
        NetworkUnusable: it is not there, or could not do it.
    """
    try:
        done = subprocess.run(
            ["ip", *words],  # noqa: S607 - wherever the system has it
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise NetworkUnusable(
            "expected the program ip, to make networks, got none", hint="Install iproute2."
        ) from error
    if done.returncode:
        raise NetworkUnusable(f"ip {' '.join(words)}: {done.stderr.strip()}")


def enter(path: Path) -> None:
    """Take this thread, and what it starts, into a network namespace.

    Raises:
        NetworkUnusable: it cannot be entered.
    """
    with path.open("rb") as file:
        _set(file.fileno(), str(path))


@dataclass(frozen=True)
class Spaces:
    """Three namespaces in a row; the thread that made them is in the router's."""

    mark: str

    def name(self, space: str) -> str:
        """Of a namespace, as the system knows it."""
        return f"bw{self.mark}{space}"

    @contextlib.contextmanager
    def inside(self, space: str) -> Iterator[None]:
        """Be in a namespace until the end of the block, and then in the router's."""
        enter(_FOLDER / self.name(space))
        try:
            yield
        finally:
            enter(_FOLDER / self.name(ROUTER))

    def open(
        self,
        space: str,
        family: socket.AddressFamily = V4,
        kind: socket.SocketKind = socket.SOCK_STREAM,
    ) -> socket.socket:
        """A socket of a namespace, for whichever thread."""
        with self.inside(space):
            made = socket.socket(family, kind)
        made.settimeout(2.0)
        return made


@contextlib.contextmanager
def networks() -> Iterator[Spaces]:
    """The namespaces, with addresses of both families; all goes at the end.

    Raises:
        NetworkUnusable: they cannot be made here.
    """
    made = Spaces(f"{os.getpid():x}")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        for space in (CLIENT, ROUTER, RELAY):
            ip("netns", "add", made.name(space))
            with _within(made.name(space), home):
                # Nobody else has these addresses: to find that out takes a second.
                Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
        _wire(made)
        enter(_FOLDER / made.name(ROUTER))
        for family in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            Path(f"/proc/sys/net/{family}").write_text("1")
        yield made
    finally:
        _set(home, "where we came from")
        os.close(home)
        for space in (CLIENT, ROUTER, RELAY):
            with contextlib.suppress(NetworkUnusable):  # it may not have come so far
                ip("netns", "del", made.name(space))


@contextlib.contextmanager
def _within(name: str, home: int) -> Iterator[None]:
    enter(_FOLDER / name)
    try:
        yield
    finally:
        _set(home, "where we came from")


def _set(descriptor: int, what: str) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEW_NETWORK):
        raise NetworkUnusable(f"cannot enter {what}: {os.strerror(ctypes.get_errno())}")


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
