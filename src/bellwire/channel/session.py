"""Records of an established session: in strict order, each exactly once, with an explicit end.

A record's number never travels: it is counted on both sides, so that a lost, repeated, reordered,
reflected or altered record does not open, and the session is over. The end is a record too; a
transport that ends without it has truncated the session. A nonce is its direction's mask XOR the
record number: it cannot repeat, because numbers only grow and keys die with the process.

Source: RFC 8446, 5.3 (nonces) and 5.5 (limit: 2^24.5 records of 2^10 blocks; ours have 2^12).
"""

import os
from dataclasses import dataclass

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, SessionEnded, Truncated
from bellwire.channel.messages import (
    MAX_PLAINTEXT_BYTES,
    Direction,
    Kind,
    header,
    split_record,
)
from bellwire.channel.symmetric import TrafficKeys
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed

MAX_RECORDS = 2**22
"""Per direction; a new handshake gives the next session its own keys."""


@dataclass(frozen=True, slots=True)
class Protections:
    """What a session's keys rest on: they fall only if everything named here falls.

    Attributes:
        x25519: Elliptic-curve Diffie–Hellman, always.
        ml_kem_768: Lattice key encapsulation, always.
        qkd_source: Source label of the QKD key that was mixed in, or None without one.
    """

    qkd_source: str | None
    x25519: bool = True
    ml_kem_768: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """For people: `x25519`, `ml-kem-768`, and `qkd (source)` if there is one."""
        qkd = () if self.qkd_source is None else (f"qkd ({self.qkd_source})",)
        return ("x25519", "ml-kem-768", *qkd)


class _Half:
    """One direction: its key, its mask and how many records it has had."""

    __slots__ = ("_context", "_iv", "_key", "count")

    def __init__(self, key: Secret, iv: Secret, session_id: bytes, direction: Direction) -> None:
        self._key = key
        self._iv = iv
        self._context = session_id + bytes([direction])
        self.count = 0

    def seal(self, kind: Kind, plaintext: bytes) -> bytes:
        head = header(kind, len(plaintext) + TAG_BYTES)
        return head + seal(self._key.reveal(), self._take_nonce(), plaintext, head + self._context)

    def open(self, head: bytes, sealed: bytes) -> bytes:
        return open_sealed(self._key.reveal(), self._take_nonce(), sealed, head + self._context)

    def wipe(self) -> None:
        self._key.wipe()
        self._iv.wipe()

    def _take_nonce(self) -> bytes:
        mask = int.from_bytes(self._iv.reveal(), "big")
        nonce = (mask ^ self.count).to_bytes(NONCE_BYTES, "big")
        self.count += 1
        return nonce


class Session:
    """One end of an established session.

    Attributes:
        session_id: 16 bytes, the same at both ends, known to nobody else.
        peer: SHA-256 of the peer's public key.
        protections: What the keys rest on.
    """

    __slots__ = (
        "_ended",
        "_peer_closed",
        "_pid",
        "_receive",
        "_send",
        "_we_closed",
        "peer",
        "protections",
        "session_id",
    )

    def __init__(
        self,
        keys: TrafficKeys,
        *,
        sending: Direction,
        session_id: bytes,
        peer: bytes,
        protections: Protections,
    ) -> None:
        halves = (
            _Half(keys.to_responder, keys.to_responder_iv, session_id, Direction.TO_RESPONDER),
            _Half(keys.to_initiator, keys.to_initiator_iv, session_id, Direction.TO_INITIATOR),
        )
        self._send = halves[sending]
        self._receive = halves[1 - sending]
        self._pid = os.getpid()
        self._peer_closed = False
        self._we_closed = False
        self._ended = False
        self.session_id = session_id
        self.peer = peer
        self.protections = protections

    def __repr__(self) -> str:
        return f"Session(protections={self.protections.names})"

    @property
    def peer_closed(self) -> bool:
        """Whether the peer said that nothing more comes."""
        return self._peer_closed

    def seal(self, plaintext: bytes) -> bytes:
        """The next record, to be sent exactly once and in order.

        Args:
            plaintext: At most 65,519 bytes. Secret.

        Raises:
            ChannelMisuse: too long, the session has ended or spent its records, or this process
                is a fork that would use the nonces of its parent.
        """
        if len(plaintext) > MAX_PLAINTEXT_BYTES:
            raise ChannelMisuse(
                f"expected at most {MAX_PLAINTEXT_BYTES} bytes in a record, got {len(plaintext)}"
            )
        self._check_sending()
        if self._send.count >= MAX_RECORDS:
            raise ChannelMisuse(
                f"expected at most {MAX_RECORDS} records in a session",
                hint="Close this session and open another.",
            )
        return self._send.seal(Kind.DATA, plaintext)

    def close(self) -> bytes:
        """The last record: nothing more follows from this end, and nothing more is sealed.

        Raises:
            ChannelMisuse: the session has ended already.
        """
        self._check_sending()
        record = self._send.seal(Kind.CLOSE, b"")
        self._we_closed = True
        self._send.wipe()
        return record

    def open(self, record: bytes) -> bytes | None:
        """The plaintext of the peer's next record, or None if that record closes the session.

        Raises:
            SessionEnded: it is not the peer's next record; the session is over for both directions.
        """
        if self._peer_closed or self._ended:
            raise SessionEnded("expected nothing after the end of the session, got a record")
        try:
            kind, head, sealed = split_record(record)
            plaintext = self._receive.open(head, sealed)
        except SessionEnded:
            self._abort()
            raise
        except AuthenticationFailed as error:
            self._abort()
            raise SessionEnded(
                f"expected the peer's record {self._receive.count - 1}, "
                "got one that was altered, repeated, reordered or left out"
            ) from error
        if kind is Kind.CLOSE:
            self._peer_closed = True
            self._receive.wipe()
            return None
        return plaintext

    def transport_ended(self) -> None:
        """Say that no more bytes come; returns only if the peer had closed the session.

        Raises:
            Truncated: it had not: records may be missing at the end.
        """
        if not self._peer_closed:
            self._abort()
            raise Truncated("expected the peer's close, got the end of the transport")

    def _check_sending(self) -> None:
        if self._ended or self._we_closed:
            raise ChannelMisuse("expected an open session, got one that has ended")
        if os.getpid() != self._pid:
            raise ChannelMisuse("expected the process that made the session, got a fork of it")

    def _abort(self) -> None:
        self._ended = True
        self._send.wipe()
        self._receive.wipe()
