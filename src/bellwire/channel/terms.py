"""What both ends of a handshake share: the QKD key, the names of ends, the order of steps."""

import hashlib
from dataclasses import dataclass
from enum import Enum, auto

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.messages import (
    KEY_ID_BYTES,
    NO_KEY,
    PROLOGUE_LABEL,
    PROTOCOL_NAME,
    QKD_KEY_BYTES,
    TRANSPORT_STREAM,
    VERSION,
)
from bellwire.channel.symmetric import SymmetricState


@dataclass(frozen=True, slots=True)
class QkdKey:
    """One key from a link, for one handshake; it must never serve again.

    Attributes:
        key_id: 16 bytes, opaque, not all zero. Travels sealed.
        key: 32 bytes.
        source: Where it came from: `simulated`, `recorded`, `hardware`, `vendor` or `local`.
    """

    key_id: bytes
    key: Secret
    source: str

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_BYTES or self.key_id == NO_KEY:
            raise ChannelMisuse(
                f"expected a key id of {KEY_ID_BYTES} bytes that are not all zero, "
                f"got {len(self.key_id)} bytes"
            )
        if len(self.key) != QKD_KEY_BYTES:
            raise ChannelMisuse(f"expected a key of {QKD_KEY_BYTES} bytes, got {len(self.key)}")


class Step(Enum):
    """How far one end has come; DONE also after a failure."""

    START = auto()
    HELLO = auto()
    ANSWER = auto()
    DONE = auto()


def fingerprint(public: bytes) -> bytes:
    """The 32 bytes by which an end is known: SHA-256 of its public key."""
    return hashlib.sha256(public).digest()


def opening_state(responder_name: str, responder_public: bytes) -> SymmetricState:
    """The transcript before the first message: protocol, version, transport, responder."""
    name = responder_name.encode()
    if not 1 <= len(name) <= 255:
        raise ChannelMisuse(f"expected a name of 1 to 255 bytes, got {len(name)}")
    state = SymmetricState(PROTOCOL_NAME)
    state.mix_hash(
        PROLOGUE_LABEL + bytes([VERSION, TRANSPORT_STREAM, len(name)]) + name + responder_public
    )
    return state


def require_step(step: Step, expected: Step) -> None:
    """Raise ChannelMisuse unless the handshake is where `expected` says."""
    if step is not expected:
        raise ChannelMisuse(f"expected step {expected.name.lower()}, got {step.name.lower()}")
