"""What a cloud tells whoever minds it, each event once and in order."""

from dataclasses import dataclass

from bellwire.channel.messages import Transport
from bellwire.channel.protections import Protections
from bellwire.iot.identity import PublicIdentity


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A device proved who it is, `seconds` after it connected."""

    device: PublicIdentity
    protections: Protections
    seconds: float = 0.0
    transport: Transport = Transport.STREAM


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A device came with an invitation's code, and is on the list."""

    device: PublicIdentity


@dataclass(frozen=True, slots=True, repr=False)
class Arrived:
    """Readings that are durable now, as decrypted; the first is number `first` of its stream.

    They were durable `seconds` after they had come; since what arrived before, the session's
    records had `overhead_bytes` beside readings, both ways.
    """

    device: PublicIdentity
    stream: bytes
    first: int
    readings: tuple[bytes, ...]
    seconds: float = 0.0
    overhead_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Delivered:
    """A device has so many messages of its queue, durably."""

    device: PublicIdentity
    count: int


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A connection ended early; `reason` is for our own eyes, the peer was told less."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeyFileIgnored:
    """A file in the folder of admitted devices is of no use; said once for each reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class OutputDown:
    """An output does not take readings; it is tried again until it does."""

    output: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutputUp:
    """An output that was down takes readings again."""

    output: str


@dataclass(frozen=True, slots=True)
class BrokerChanged:
    """An MQTT broker is there (`lost` is None), or was lost, and why."""

    broker: str
    lost: str | None


Event = (
    SessionOpened
    | Enrolled
    | Arrived
    | Delivered
    | TurnedAway
    | KeyFileIgnored
    | OutputDown
    | OutputUp
    | BrokerChanged
)
