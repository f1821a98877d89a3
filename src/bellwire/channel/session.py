"""Records of an established session: in strict order, each exactly once, with an explicit end.

A record's number never travels: it is counted on both sides, so that a lost, repeated, reordered,
reflected or altered record does not open, and the session is over. The end is a record too; a
transport that ends without it has truncated the session. A sender steps to its next epoch on its
own, by records, bytes and age; the receiver sees the epoch in the header and follows, one by one.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bellwire.channel.errors import ChannelMisuse, SessionEnded, Truncated
from bellwire.channel.messages import (
    MAX_PLAINTEXT_BYTES,
    Direction,
    Kind,
    Suite,
    split_record,
)
from bellwire.channel.padding import Padding, pad, unpad
from bellwire.channel.records import MAX_EPOCH_RECORDS, MAX_EPOCHS, Chain, RekeyLimits
from bellwire.channel.symmetric import SessionSecrets
from bellwire.crypto.errors import AuthenticationFailed

_KINDS: Final = frozenset({Kind.DATA, Kind.PADDED, Kind.CLOSE})


@dataclass(frozen=True, slots=True)
class Protections:
    """What a session's keys rest on: they fall only if everything named here falls.

    Attributes:
        qkd_source: Source label of the QKD key that was mixed in, or None without one.
        suite: Which cipher seals the records.
        x25519: Elliptic-curve Diffie–Hellman, always.
        ml_kem_768: Lattice key encapsulation, always.
    """

    qkd_source: str | None
    suite: Suite = Suite.AES_256_GCM
    x25519: bool = True
    ml_kem_768: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """For people: `x25519`, `ml-kem-768`, and `qkd (source)` if there is one."""
        qkd = () if self.qkd_source is None else (f"qkd ({self.qkd_source})",)
        return ("x25519", "ml-kem-768", *qkd)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """One end's own choices for a session; the other end follows.

    Attributes:
        padding: What it does about the length of its texts.
        rekey: When it steps to the next epoch.
        clock: Seconds, never going back.
    """

    padding: Padding = Padding.OFF
    rekey: RekeyLimits = field(default_factory=RekeyLimits)
    clock: Callable[[], float] = time.monotonic


class Session:
    """One end of an established session.

    Attributes:
        session_id: 16 bytes, the same at both ends, known to nobody else.
        peer: SHA-256 of the peer's public key.
        protections: What the keys rest on.
    """

    __slots__ = (
        "_began",
        "_ended",
        "_options",
        "_peer_closed",
        "_pid",
        "_receive",
        "_send",
        "_sent_bytes",
        "_we_closed",
        "peer",
        "protections",
        "session_id",
    )

    def __init__(
        self,
        secrets: SessionSecrets,
        *,
        sending: Direction,
        session_id: bytes,
        peer: bytes,
        protections: Protections,
        options: SessionOptions | None = None,
    ) -> None:
        suite = protections.suite
        chains = (
            Chain(suite, secrets.up, session_id, Direction.TO_RESPONDER),
            Chain(suite, secrets.down, session_id, Direction.TO_INITIATOR),
        )
        self._send = chains[sending]
        self._receive = chains[1 - sending]
        self._options = options or SessionOptions()
        self._began = self._options.clock()
        self._sent_bytes = 0
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

    @property
    def epochs(self) -> tuple[int, int]:
        """The epochs of what we send and of what we receive, each from 0."""
        return self._send.epoch, self._receive.epoch

    def seal(self, plaintext: bytes) -> bytes:
        """The next record, to be sent exactly once and in order.

        Args:
            plaintext: At most 65,519 bytes, one less when texts are padded. Secret.

        Raises:
            ChannelMisuse: too long, the session has ended or spent its epochs, or this process
                is a fork that would use the nonces of its parent.
        """
        padded = self._options.padding is not Padding.OFF
        limit = MAX_PLAINTEXT_BYTES - padded
        if len(plaintext) > limit:
            raise ChannelMisuse(f"expected at most {limit} bytes in a record, got {len(plaintext)}")
        self._check_sending()
        self._keep_fresh()
        self._sent_bytes += len(plaintext)
        if padded:
            return self._send.seal(Kind.PADDED, pad(plaintext, MAX_PLAINTEXT_BYTES))
        return self._send.seal(Kind.DATA, plaintext)

    def close(self) -> bytes:
        """The last record: nothing more follows from this end, and nothing more is sealed.

        Raises:
            ChannelMisuse: the session has ended already.
        """
        self._check_sending()
        self._keep_fresh()
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
            kind, epoch, head, sealed = split_record(record, _KINDS)
            self._follow(epoch)
            plaintext = self._receive.open(head, sealed)
            return self._take(kind, plaintext)
        except SessionEnded:
            self._abort()
            raise
        except AuthenticationFailed as error:
            number = self._receive.number - 1
            self._abort()
            raise SessionEnded(
                f"expected the peer's record {number}, "
                "got one that was altered, repeated, reordered or left out"
            ) from error

    def transport_ended(self) -> None:
        """Say that no more bytes come; returns only if the peer had closed the session.

        Raises:
            Truncated: it had not: records may be missing at the end.
        """
        if not self._peer_closed:
            self._abort()
            raise Truncated("expected the peer's close, got the end of the transport")

    def _follow(self, epoch: int) -> None:
        """Be in the epoch that a header names, if it is this one or the next."""
        chain = self._receive
        if epoch == (chain.epoch + 1) & 0xFF:
            chain.step()
        elif epoch != chain.epoch & 0xFF:
            raise SessionEnded(
                f"expected a record of epoch {chain.epoch & 0xFF} or the next, got {epoch}"
            )
        if chain.number >= MAX_EPOCH_RECORDS:
            raise SessionEnded(f"expected at most {MAX_EPOCH_RECORDS} records in an epoch")

    def _take(self, kind: Kind, plaintext: bytes) -> bytes | None:
        if kind is Kind.CLOSE:
            if plaintext:
                raise SessionEnded(f"expected an empty close, got {len(plaintext)} bytes")
            self._peer_closed = True
            self._receive.wipe()
            return None
        if kind is Kind.DATA:
            return plaintext
        text = unpad(plaintext)
        if text is None:
            raise SessionEnded("expected a padded text, got one without a mark")
        return text

    def _keep_fresh(self) -> None:
        """Step to the next epoch when this one has had enough."""
        limits, now = self._options.rekey, self._options.clock()
        spent = (
            self._send.number >= limits.records
            or self._sent_bytes >= limits.text_bytes
            or now - self._began >= limits.seconds
        )
        if not spent:
            return
        if self._send.epoch + 1 >= MAX_EPOCHS:
            raise ChannelMisuse(
                f"expected at most {MAX_EPOCHS} epochs in a session",
                hint="Close this session and open another.",
            )
        self._send.step()
        self._began, self._sent_bytes = now, 0

    def _check_sending(self) -> None:
        if self._ended or self._we_closed:
            raise ChannelMisuse("expected an open session, got one that has ended")
        if os.getpid() != self._pid:
            raise ChannelMisuse("expected the process that made the session, got a fork of it")

    def _abort(self) -> None:
        self._ended = True
        for chain in (self._send, self._receive):
            chain.wipe()
