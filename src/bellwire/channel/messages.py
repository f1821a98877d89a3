"""Byte layouts of the channel: headers, kinds, sizes, and the sealed parts of the handshake.

Every message is `kind 1 ‖ version 1 ‖ length 2 (big-endian, of the body) ‖ body`. A parser accepts
exactly the kind, version and length that its state expects; see spec/channel.md.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bellwire.channel.errors import HandshakeFailed, SessionEnded
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES
from bellwire.crypto.kem import CIPHERTEXT_BYTES, PUBLIC_BYTES

PROTOCOL_NAME: Final = b"BW_pqIKpsk2_XWing_AESGCM_SHA256"
PROLOGUE_LABEL: Final = b"bellwire-ch"
VERSION: Final = 1
TRANSPORT_STREAM: Final = 1

ID_BYTES: Final = 32
KEY_ID_BYTES: Final = 16
QKD_KEY_BYTES: Final = 32
SESSION_ID_BYTES: Final = 16
NO_KEY: Final = bytes(KEY_ID_BYTES)

_HEADER = struct.Struct(">BBH")
HEADER_BYTES: Final = _HEADER.size

OFFER_BYTES: Final = ID_BYTES + 1 + KEY_ID_BYTES
GRANT_BYTES: Final = CIPHERTEXT_BYTES + 1
HELLO_BODY: Final = CIPHERTEXT_BYTES + PUBLIC_BYTES + OFFER_BYTES + TAG_BYTES
ANSWER_BODY: Final = CIPHERTEXT_BYTES + GRANT_BYTES + TAG_BYTES + SESSION_ID_BYTES + TAG_BYTES
CONFIRM_BODY: Final = TAG_BYTES
ALERT_BODY: Final = NONCE_BYTES + 1 + TAG_BYTES

MAX_HANDSHAKE_BYTES: Final = HEADER_BYTES + HELLO_BODY
MAX_RECORD_BYTES: Final = HEADER_BYTES + 0xFFFF
MAX_PLAINTEXT_BYTES: Final = 0xFFFF - TAG_BYTES


class Kind(IntEnum):
    """First byte of every message."""

    HELLO = 1
    ANSWER = 2
    CONFIRM = 3
    ALERT = 4
    DATA = 16
    CLOSE = 17


class Direction(IntEnum):
    """Who sends; in the associated data of each record, so that none can be reflected."""

    TO_RESPONDER = 0
    TO_INITIATOR = 1


class Policy(IntEnum):
    """What an end asks of QKD: never use it, use it when there is a key, or refuse to go without.

    The value is what travels.
    """

    OFF = 0
    PREFER = 1
    REQUIRE = 2


@dataclass(frozen=True, slots=True)
class Offer:
    """What the initiator seals into its hello.

    Attributes:
        initiator: SHA-256 of its public key.
        policy: Its own.
        key_id: Of the QKD key it drew, or None.
    """

    initiator: bytes
    policy: Policy
    key_id: bytes | None

    def encode(self) -> bytes:
        """The 49 bytes that are sealed."""
        return self.initiator + bytes([self.policy]) + (self.key_id or NO_KEY)


def parse_offer(data: bytes) -> Offer:
    """Read what `Offer.encode` wrote; HandshakeFailed for a policy that does not exist."""
    try:
        policy = Policy(data[ID_BYTES])
    except ValueError as error:
        raise HandshakeFailed(f"expected a policy from 0 to 2, got {data[ID_BYTES]}") from error
    key_id = data[ID_BYTES + 1 :]
    return Offer(data[:ID_BYTES], policy, None if key_id == NO_KEY else key_id)


def header(kind: Kind, body_bytes: int) -> bytes:
    """The 4 bytes before a body."""
    return _HEADER.pack(kind, VERSION, body_bytes)


def split_handshake(message: bytes, expected: dict[Kind, int]) -> tuple[Kind, bytes, bytes]:
    """Split a handshake message into kind, header and body.

    Args:
        message: As received.
        expected: The kinds that may come now, with the length of their bodies.

    Raises:
        HandshakeFailed: another kind, version or length.
    """
    kind, version, length = _read_header(message) or (0, 0, 0)
    if kind not in expected or version != VERSION:
        names = " or ".join(k.name.lower() for k in expected)
        raise HandshakeFailed(
            f"expected {names} of version {VERSION}, got kind {kind} of version {version}"
        )
    body = message[HEADER_BYTES:]
    wanted = expected[Kind(kind)]
    if length != wanted or len(body) != length:
        raise HandshakeFailed(
            f"expected a body of {wanted} bytes, got {len(body)} announced as {length}"
        )
    return Kind(kind), message[:HEADER_BYTES], body


def split_record(record: bytes) -> tuple[Kind, bytes, bytes]:
    """Split a record into kind, header and sealed body; SessionEnded unless it is well formed."""
    kind, version, length = _read_header(record) or (0, 0, 0)
    if kind not in (Kind.DATA, Kind.CLOSE) or version != VERSION:
        raise SessionEnded(
            f"expected a record of version {VERSION}, got kind {kind} of version {version}"
        )
    body = record[HEADER_BYTES:]
    if len(body) != length:
        raise SessionEnded(f"expected a record of {length} bytes, got {len(body)}")
    return Kind(kind), record[:HEADER_BYTES], body


def _read_header(message: bytes) -> tuple[int, int, int] | None:
    if len(message) < HEADER_BYTES:
        return None
    kind, version, length = _HEADER.unpack_from(message)
    return kind, version, length
