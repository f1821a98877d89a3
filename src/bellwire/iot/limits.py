"""What devices may take of a cloud: time, places, and how often they may come."""

from dataclasses import dataclass, field
from typing import Final

from bellwire.channel.handshake import GateLimits
from bellwire.iot.rates import Rate

MAX_CONNECTIONS = 10_240
"""Sessions and handshakes together."""

MAX_WAITING = 2048
"""Connections without a session yet, and never more than a quarter of all; half of them from one
address at most. So nobody who only connects can keep others out of sessions."""

SPARE_DESCRIPTORS = 64
FILES_EACH = 2
"""Of a stream."""

SHARE_OF_STREAMS = 8
"""Of so many descriptors one stream has its two files open; those of the others rest. A quarter of
all is for files, the rest for connections."""

MAX_WORKING = 256
"""Handshakes between a hello that the gate let through and its confirmation; more have to wait."""

DEVICE_RATE: Final = Rate(20_000, 100_000)
TOTAL_RATE: Final = Rate(200_000, 400_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device may take.

    Attributes:
        handshake_s: Seconds for each message of a handshake.
        idle_s: Seconds between messages of a session.
        gate: Handshakes a second.
        device_rate: Readings of one device.
        total_rate: Readings of all devices.
        sessions_each: Sessions of one device at once; a further one ends its oldest.
        recheck_s: Seconds between looks at who is still admitted.
    """

    handshake_s: float = 5.0
    idle_s: float = 60.0
    gate: GateLimits = field(default_factory=GateLimits)
    device_rate: Rate = DEVICE_RATE
    total_rate: Rate = TOTAL_RATE
    sessions_each: int = 8
    recheck_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Places:
    """How many connections, how many of them without a session, and streams with open files."""

    connections: int
    waiting: int
    streams: int

    @classmethod
    def of(cls, descriptors: int | None) -> "Places":
        """What a process has room for that may open this many files; None for no limit."""
        if descriptors is None:
            return cls(MAX_CONNECTIONS, MAX_WAITING, MAX_CONNECTIONS)
        streams = max(1, (descriptors - SPARE_DESCRIPTORS) // SHARE_OF_STREAMS)
        room = descriptors - SPARE_DESCRIPTORS - FILES_EACH * streams
        most = max(1, min(MAX_CONNECTIONS, room))
        return cls(most, max(2, min(MAX_WAITING, most // 4)), streams)
