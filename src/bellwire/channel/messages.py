"""Byte layouts of the channel: headers, kinds, sizes, and the sealed parts of the handshake.

A handshake message is `kind 1 ‖ suite 1 ‖ length 2 (big-endian, of the body) ‖ body`; a record has
its epoch where a handshake message has its suite. A parser accepts exactly the kinds, suites and
lengths that its state expects; see spec/channel.md.
"""

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bellwire.channel.errors import HandshakeFailed, SessionEnded
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, Aead, AesGcm, ChaCha20
from bellwire.crypto.kem import CIPHERTEXT_BYTES, PUBLIC_BYTES

PROLOGUE_LABEL: Final = b"bellwire-ch"

ID_BYTES: Final = 32
KEY_ID_BYTES: Final = 16
QKD_KEY_BYTES: Final = 32
SESSION_ID_BYTES: Final = 16
MAC_BYTES: Final = 16
HANDLE_BYTES: Final = 16
NO_KEY: Final = bytes(KEY_ID_BYTES)

_HEADER = struct.Struct(">BBH")
HEADER_BYTES: Final = _HEADER.size
_COUNTER = struct.Struct(">Q")
MAX_COUNTER: Final = 2**64 - 1

OFFER_BYTES: Final = ID_BYTES + 1 + KEY_ID_BYTES + _COUNTER.size
GRANT_BYTES: Final = CIPHERTEXT_BYTES + 1
SEALED_OFFER_BYTES: Final = OFFER_BYTES + TAG_BYTES
HELLO_BODY: Final = CIPHERTEXT_BYTES + PUBLIC_BYTES + SEALED_OFFER_BYTES + 2 * MAC_BYTES
ANSWER_BODY: Final = CIPHERTEXT_BYTES + GRANT_BYTES + TAG_BYTES + SESSION_ID_BYTES + TAG_BYTES
CONFIRM_BODY: Final = TAG_BYTES
ALERT_BODY: Final = NONCE_BYTES + 1 + TAG_BYTES
RETRY_BODY: Final = 2 * MAC_BYTES
RESUME_BODY: Final = HANDLE_BYTES + PUBLIC_BYTES + 1 + KEY_ID_BYTES + TAG_BYTES + 2 * MAC_BYTES
RESUME_ANSWER_BODY: Final = CIPHERTEXT_BYTES + 1 + TAG_BYTES + SESSION_ID_BYTES + TAG_BYTES
UNKNOWN_BODY: Final = MAC_BYTES
DIGEST_BYTES: Final = 32
KNOCK_BODY: Final = DIGEST_BYTES + 2 * MAC_BYTES

MAX_BODY: Final = 0xFFFF
MAX_RECORD_BYTES: Final = HEADER_BYTES + MAX_BODY
MAX_PLAINTEXT_BYTES: Final = MAX_BODY - TAG_BYTES


class Kind(IntEnum):
    """First byte of every message."""

    HELLO = 1
    ANSWER = 2
    CONFIRM = 3
    ALERT = 4
    RETRY = 5
    CERTIFIED_HELLO = 6
    RESUME = 7
    RESUME_ANSWER = 8
    UNKNOWN = 9
    KNOCK = 10
    FRAGMENT = 11
    DATA = 16
    CLOSE = 17
    PADDED = 18
    REFRESH_OFFER = 19
    REFRESH_ANSWER = 20
    REFRESH_SWITCH = 21


class Transport(IntEnum):
    """What carries the messages; in the prologue, so that no handshake changes its carrier."""

    STREAM = 1
    UDP = 2
    MQTT = 3


class Suite(IntEnum):
    """Version of the handshake together with its cipher: one byte, and nothing is negotiated.

    The initiator picks one, and the responder takes it or not. Both are of one strength.
    """

    AES_256_GCM = 2
    CHACHA20_POLY1305 = 3

    @property
    def protocol_name(self) -> bytes:
        """What the transcript begins with."""
        cipher = b"AESGCM" if self is Suite.AES_256_GCM else b"ChaChaPoly"
        return b"BW_pqIKpsk2_XWing_" + cipher + b"_SHA256"

    @property
    def resumption_name(self) -> bytes:
        """What the transcript of a resumption begins with."""
        return self.protocol_name.replace(b"pqIKpsk2", b"pqNNpsk0psk2")

    @property
    def label(self) -> str:
        """The cipher's name for people."""
        return self.name.lower().replace("_", "-")

    def cipher(self, key: bytes) -> Aead:
        """The suite's AEAD under a key of 32 bytes."""
        return AesGcm(key) if self is Suite.AES_256_GCM else ChaCha20(key)


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
        counter: Higher than that of any hello it made before; 1 to 2⁶⁴ − 1.
    """

    initiator: bytes
    policy: Policy
    key_id: bytes | None
    counter: int

    def encode(self) -> bytes:
        """The 57 bytes that are sealed."""
        head = self.initiator + bytes([self.policy]) + (self.key_id or NO_KEY)
        return head + _COUNTER.pack(self.counter)


def parse_policy(value: int) -> Policy:
    """The policy that travels as `value`; HandshakeFailed if there is none."""
    try:
        return Policy(value)
    except ValueError as error:
        raise HandshakeFailed(f"expected a policy from 0 to 2, got {value}") from error


def parse_offer(data: bytes) -> Offer:
    """Read what `Offer.encode` wrote; HandshakeFailed for a policy that does not exist."""
    policy = parse_policy(data[ID_BYTES])
    key_id = data[ID_BYTES + 1 : -_COUNTER.size]
    (counter,) = _COUNTER.unpack(data[-_COUNTER.size :])
    return Offer(data[:ID_BYTES], policy, None if key_id == NO_KEY else key_id, counter)


def header(kind: Kind, second: int, body_bytes: int) -> bytes:
    """The 4 bytes before a body; the second is a suite, or a record's epoch."""
    return _HEADER.pack(kind, second, body_bytes)


def body_length(head: bytes) -> int:
    """How long the body after these 4 bytes says it is."""
    return int(_HEADER.unpack(head)[2])


def split_handshake(
    message: bytes, expected: Mapping[Kind, int | range], suites: Collection[Suite]
) -> tuple[Kind, Suite, bytes, bytes]:
    """Split a handshake message into kind, suite, header and body.

    Args:
        message: As received.
        expected: The kinds that may come now, with the lengths that their bodies may have.
        suites: Those that may come now.

    Raises:
        HandshakeFailed: another kind, suite or length.
    """
    kind, suite, length = _read_header(message) or (0, 0, 0)
    if kind not in expected or suite not in suites:
        names = " or ".join(k.name.lower() for k in expected)
        allowed = " or ".join(str(int(each)) for each in sorted(suites))
        raise HandshakeFailed(
            f"expected {names} of suite {allowed}, got kind {kind} of suite {suite}"
        )
    body = message[HEADER_BYTES:]
    wanted = expected[Kind(kind)]
    lengths = wanted if isinstance(wanted, range) else range(wanted, wanted + 1)
    if length not in lengths or len(body) != length:
        raise HandshakeFailed(
            f"expected a body of {lengths[0]} to {lengths[-1]} bytes, "
            f"got {len(body)} announced as {length}"
        )
    return Kind(kind), Suite(suite), message[:HEADER_BYTES], body


def split_record(record: bytes, kinds: Collection[Kind]) -> tuple[Kind, int, bytes, bytes]:
    """Split a record into kind, low byte of its epoch, header and sealed body.

    Raises:
        SessionEnded: it is not well formed, or of no kind that may come.
    """
    kind, epoch, length = _read_header(record) or (0, 0, 0)
    if kind not in kinds:
        raise SessionEnded(f"expected a record, got a message of kind {kind}")
    body = record[HEADER_BYTES:]
    if len(body) != length:
        raise SessionEnded(f"expected a record of {length} bytes, got {len(body)}")
    return Kind(kind), epoch, record[:HEADER_BYTES], body


def _read_header(message: bytes) -> tuple[int, int, int] | None:
    if len(message) < HEADER_BYTES:
        return None
    kind, second, length = _HEADER.unpack_from(message)
    return kind, second, length
