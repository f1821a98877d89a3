"""What is kept of a message to a device, from its queueing on: its routing record."""

from dataclasses import dataclass
from typing import Literal

State = Literal["QUEUED", "DELIVERED", "EXPIRED"]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message is.

    Attributes:
        id: Of the message, 16 bytes.
        device: Fingerprint of the device, 32 bytes.
        name: What the device was called when it was queued.
        number: In the device's queue, from 1.
        size: Bytes of the message.
        queued: When it was queued, seconds since the epoch.
        expires: When it is given up.
        state: QUEUED until the device has it durably, or until it expires.
        finished: When it was delivered or given up, or None.
        protections: Of the session that it last went under, or empty: it never went out.
    """

    id: bytes
    device: bytes
    name: str
    number: int
    size: int
    queued: float
    expires: float
    state: State
    finished: float | None
    protections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Queued:
    """What waits for a device: how many messages, and their bytes."""

    device: bytes
    name: str
    messages: int
    bytes: int
