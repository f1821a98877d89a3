"""What one client may cost a door, so that no client is felt by another."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Bounds of a door; times are in seconds.

    Attributes:
        head_bytes: Request line and header fields; 10,000 characters of an id fit, escaped.
        head_fields: Header fields of one request.
        body_bytes: Content of one request.
        head_s: From the first byte of a request to the end of its head.
        body_s: From there to the end of its body.
        idle_s: A connection kept without a request.
        stalled_s: How long a client may leave what is written to it unread.
        handshake_s: For the handshake of TLS.
        linger_s: How long a connection is still read that is refused in the middle of a request.
        connections: In all; with the files of a node they stay below the usual 1024.
        connections_per_caller: Of certificates with one name.
        handshakes: Under way at once; the oldest gives way.
        waiting: Requests of one connection that were read and not begun; no more is read then.
        requests_per_s: Of one SAE, in the mean.
        burst: Requests of one SAE at once.
    """

    head_bytes: int = 64 << 10
    head_fields: int = 100
    body_bytes: int = 1 << 20
    head_s: float = 10.0
    body_s: float = 20.0
    idle_s: float = 75.0
    stalled_s: float = 10.0
    handshake_s: float = 10.0
    linger_s: float = 1.0
    connections: int = 700
    connections_per_caller: int = 256
    handshakes: int = 100
    waiting: int = 16
    requests_per_s: float = 20_000.0
    burst: float = 20_000.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name}: expected a positive number, got {value}")
