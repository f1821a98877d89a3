"""Where a cloud listens, as people write it: HOST:PORT, tcp://, udp:// or mqtt://."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError, get_extra
from bellwire.cli.addresses import parse_address

if TYPE_CHECKING:
    from bellwire.iot.broker import Broker
    from bellwire.iot.destination import Destination

LoginOption = Annotated[
    Path | None,
    typer.Option(
        "--broker-login",
        metavar="FILE",
        help="Name and password for the MQTT broker, a line each, in a file of yours alone.",
    ),
]


def parse_destination(text: str, login: Path | None = None) -> "Destination":
    """What a device's `--to` names.

    Raises:
        UsageError: it is none of the forms.
        TransportMissing: it is MQTT, and aiomqtt is not installed.
    """
    from bellwire.iot.destination import Address, Destination
    from bellwire.iot.udp import UdpAddress

    scheme, mark, rest = text.partition("://")
    if not mark or scheme == "tcp":
        return Address(*parse_address(rest if mark else text))
    if scheme == "udp":
        return UdpAddress(*parse_address(rest))
    if scheme in {"mqtt", "mqtts"}:
        made: Destination = load_mqtt().MqttAddress(parse_broker(text, login))
        return made
    raise UsageError(f"expected HOST:PORT, tcp://…, udp://… or mqtt://…, got '{text}'")


def destination_of(
    to: str | None, login: Path | None, folder: Path, default: tuple[str, int]
) -> "Destination":
    """Where a device's cloud is: as the option says, else as admission told it, else `default`.

    Args:
        to: `--to`.
        login: `--broker-login`.
        folder: The device's.
        default: Of the settings.

    Raises:
        UsageError, TransportMissing: as `parse_destination`.
        IdentityError: what admission told is malformed.
    """
    from bellwire.iot import admitted
    from bellwire.iot.destination import Address

    told = to or admitted.cloud_address(folder)
    return parse_destination(told, login) if told else Address(*default)


def parse_broker(text: str, login: Path | None) -> "Broker":
    """mqtt://HOST[:PORT][/PREFIX], or mqtts:// for TLS; UsageError if it is not that."""
    from bellwire.iot.broker import PORT, TLS_PORT, Broker, check_prefix, read_login

    scheme, mark, rest = text.partition("://")
    where, _, prefix = rest.partition("/")
    if scheme not in {"mqtt", "mqtts"} or not mark or not where:
        raise UsageError(f"expected mqtt://HOST[:PORT][/PREFIX] or mqtts://…, got '{text}'")
    if "@" in where:
        raise UsageError(
            "expected the address of a broker without a password, got one with @",
            hint="Name and password belong in a file: --broker-login FILE.",
        )
    tls = scheme == "mqtts"
    bare = where.endswith("]") or ":" not in where
    host, port = parse_address(f"{where}:{TLS_PORT if tls else PORT}" if bare else where)
    known = None if login is None else read_login(login)
    return Broker(host, port, check_prefix(prefix or "bellwire"), tls=tls, login=known)


def load_mqtt() -> ModuleType:
    """`bellwire.iot.mqtt`; TransportMissing without aiomqtt."""
    from bellwire.iot.errors import TransportMissing

    try:
        from bellwire.iot import mqtt
    except ImportError as error:
        raise TransportMissing(
            "expected the package aiomqtt for MQTT, got none",
            hint=get_extra("mqtt"),
        ) from error
    return mqtt
