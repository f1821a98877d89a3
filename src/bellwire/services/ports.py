"""Ports that services need: which are free, and who has those that are not."""

import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from bellwire.services.errors import PortTaken


@dataclass(frozen=True, slots=True)
class Port:
    """An address that a service listens on.

    Attributes:
        what: What is there, for people.
        setting: The setting that names it.
        host: Host name or address.
        number: Port; 0 stands for any free one.
    """

    what: str
    setting: str
    host: str
    number: int


def check_ports(ports: Iterable[Port]) -> None:
    """Raise PortTaken for the first that nobody could listen on."""
    for port in ports:
        trouble = trouble_of(port.host, port.number)
        if trouble is not None:
            raise PortTaken(
                f"expected port {port.number} of {port.host} for the {port.what}, got: {trouble}",
                hint=f"Stop what has it, or choose another with the setting {port.setting}.",
            )


def trouble_of(host: str, number: int) -> str | None:
    """Why nobody could listen on an address; None if one could."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            return f"{os.strerror(errno.EADDRINUSE)}{_holder(number)}"
        return reason
    return None


def _holder(number: int) -> str:
    """Who listens on a port, as far as we may know."""
    try:
        for each in psutil.net_connections("tcp"):
            if each.laddr and each.laddr.port == number and each.status == psutil.CONN_LISTEN:
                if each.pid is None:  # seen, but whose it is stays hidden from us
                    break
                return f", held by {psutil.Process(each.pid).name()} (process {each.pid})"
    except (psutil.Error, OSError):
        pass  # another user's process: the port is taken all the same
    return ""
