"""What services and their clients read alike: addresses, the policy for QKD, the socket of keys."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bellwire.base.errors import UsageError

if TYPE_CHECKING:
    from bellwire.iot.keys import KeySource

QkdChoice = Literal["require", "prefer", "off"]

QkdOption = Annotated[
    QkdChoice,
    typer.Option(help="QKD keys: insist on one, use one when there is one, or use none."),
]


def parse_address(text: str) -> tuple[str, int]:
    """Split HOST:PORT; an IPv6 host may stand in brackets.

    Raises:
        UsageError: it is not that.
    """
    host, _, port = text.rpartition(":")
    is_number = port.isascii() and port.isdecimal() and len(port) <= 5
    if not host or not is_number or int(port) > 65535:
        raise UsageError(f"expected HOST:PORT, got '{text:.300}'")
    return host.removeprefix("[").removesuffix("]"), int(port)


def key_source(socket: Path | None) -> "KeySource | None":
    """The source of keys behind a node's delivery socket, if one is named."""
    if socket is None:
        return None
    from bellwire.keys.delivery import DeliveryClient
    from bellwire.node.key_source import NodeKeySource

    return NodeKeySource(DeliveryClient(socket))
