"""One-time pad with a one-time tag: the layer that no computing power opens or forges.

A pad is a run of key that both sides have and one of them, its owner, sends under. Its first 16
bytes are r, the point of Poly1305's hash. Behind them each message takes 16 bytes, s, and as many
as its text is long: the text is XORed with these, and the tag is the hash of everything under r,
plus s. The hash is of the text itself, not of what it became: s hides it
perfectly, and pads of the two sides that are not the same are noticed. No byte but r serves twice;
that the place reached is durable before a message leaves is the store's part. Whoever forges
succeeds with probability at most 8·⌈L/16⌉/2^106 a message of L bytes
(`bellwire.crypto.one_time_mac`).

Source: Shannon, "Communication theory of secrecy systems", 1949; Wegman and Carter, 1981;
Bernstein, FSE 2005; spec/chat.md, 4.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from bellwire.base.secret import Secret
from bellwire.chat.errors import ChatMisuse, NotAuthentic
from bellwire.crypto import one_time_mac
from bellwire.crypto.errors import TagMismatch

PAD_ID_BYTES: Final = 16
NO_PAD: Final = bytes(PAD_ID_BYTES)
POINT_BYTES: Final = one_time_mac.HASH_KEY_BYTES
"""r, at the beginning of each pad."""

OVERHEAD_BYTES: Final = one_time_mac.PAD_BYTES
"""Pad that a message takes beside its text: s."""

TAG_BYTES: Final = one_time_mac.TAG_BYTES
MIX_BYTES: Final = 32
"""Pad that a step of the ratchet mixes in."""

MAX_PAD_BYTES: Final = 1 << 30


class Policy(Enum):
    """What a sender does about one-time pad."""

    REQUIRE = "require"
    PREFER = "prefer"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Slice:
    """Some bytes of one pad, for one purpose.

    Attributes:
        pad_id: 16 bytes, not all zero.
        offset: Of the first byte, counted from the pad's beginning.
        point: r of the pad, 16 bytes. Secret.
        key: The bytes themselves. Secret.
        source: Where the pad came from: `simulated`, `recorded`, `hardware`, `vendor`, `local`.
    """

    pad_id: bytes
    offset: int
    point: Secret
    key: Secret
    source: str

    def __post_init__(self) -> None:
        if len(self.pad_id) != PAD_ID_BYTES or self.pad_id == NO_PAD:
            raise ChatMisuse(f"expected a pad id of {PAD_ID_BYTES} bytes that are not all zero")
        if not POINT_BYTES <= self.offset <= MAX_PAD_BYTES or len(self.point) != POINT_BYTES:
            raise ChatMisuse("expected bytes of a pad behind its first 16, got others")


class Pads(Protocol):
    """The pads of one conversation, as whoever keeps them shows them to a session."""

    def spend(self, length: int, *, mix: bool = False) -> Slice | None:
        """The next `length` bytes of a pad of ours, which never come again; None if none has them.

        For a step to `mix` in, only of a pad that the peer has shown to have: without that step
        nothing behind it could be opened.

        What came of the call is durable before the message leaves; that is for who keeps the pads.
        """

    def look(self, pad_id: bytes, offset: int, length: int) -> Slice:
        """Bytes of a pad of the peer's. They count as spent only when `Opened.spent` names them.

        Raises:
            PadMissing: that pad is not here.
            PadSpent: some of these bytes served before, or the pad does not have them.
        """


def lock(part: Slice, text: bytes, context: bytes) -> bytes:
    """The text under pad, and its tag behind it.

    Args:
        part: `OVERHEAD_BYTES` more than the text.
        text: Secret.
        context: Authenticated with it; names the message and the part of the pad.
    """
    key = part.key.reveal()
    hidden = _xor(text, key[OVERHEAD_BYTES:])
    tag = one_time_mac.tag(part.point, Secret(key[:OVERHEAD_BYTES]), context + text)
    return hidden + tag


def unlock(part: Slice, locked: bytes, context: bytes) -> bytes:
    """Undo `lock`.

    Raises:
        NotAuthentic: text, context or pad is not the one that was locked.
    """
    key = part.key.reveal()
    text, tag = _xor(locked[:-TAG_BYTES], key[OVERHEAD_BYTES:]), locked[-TAG_BYTES:]
    try:
        one_time_mac.verify_tag(part.point, Secret(key[:OVERHEAD_BYTES]), context + text, tag)
    except TagMismatch as error:
        raise NotAuthentic("expected the one-time tag of this message, got another") from error
    return text


def _xor(text: bytes, key: bytes) -> bytes:
    if len(text) != len(key):
        raise ChatMisuse(f"expected {len(text)} bytes of pad for as many of text, got {len(key)}")
    return (int.from_bytes(text, "big") ^ int.from_bytes(key, "big")).to_bytes(len(text), "big")
