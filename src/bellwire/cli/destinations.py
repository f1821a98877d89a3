"""Where a cloud listens, as people write it: HOST:PORT, tcp://, udp:// or mqtt://."""

from typing import TYPE_CHECKING

from bellwire.base.errors import UsageError
from bellwire.cli.addresses import parse_address

if TYPE_CHECKING:
    from bellwire.iot.destination import Destination


def parse_destination(text: str) -> "Destination":
    """What a device's `--to` names.

    Raises:
        UsageError: it is none of the forms.
    """
    from bellwire.iot.destination import Address
    from bellwire.iot.udp import UdpAddress

    scheme, mark, rest = text.partition("://")
    if not mark or scheme == "tcp":
        return Address(*parse_address(rest if mark else text))
    if scheme == "udp":
        return UdpAddress(*parse_address(rest))
    raise UsageError(f"expected HOST:PORT, tcp://… or udp://…, got '{text}'")
