"""A service of `bellwire up`, and what services have said of themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bellwire.services.ports import Port

Known = Mapping[str, Mapping[str, Any]]
"""What each service said when it was ready last, by its name."""

LOOPBACKS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - names, nobody listens here


@dataclass(frozen=True, slots=True)
class Program:
    """One service.

    Attributes:
        name: Of its log, and in everything that people see.
        arguments: Its command line, from what is known.
        ports: It listens on these.
        needs: Services that must have been ready before.
        environment: Variables of its own, in the place of ours, from what is known.
        before: Called before each start, with what is known.
    """

    name: str
    arguments: Callable[[Known], list[str]]
    ports: tuple[Port, ...] = ()
    needs: tuple[str, ...] = ()
    environment: Callable[[Known], Mapping[str, str]] = lambda _: {}
    before: Callable[[Known], None] = lambda _: None


def said(known: Known, service: str, field: str) -> str:
    """What a service said in a field of its ready line; empty if it did not."""
    return str(known.get(service, {}).get(field, ""))


def reached(url: str) -> str:
    """The address by which this machine reaches who listens on all of its own."""
    parts = urlsplit(url)
    host, _, port = parts.netloc.rpartition(":")
    return urlunsplit(parts._replace(netloc=f"{LOOPBACKS.get(host, host)}:{port}"))
