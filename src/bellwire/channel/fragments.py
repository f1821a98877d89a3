"""A handshake over datagrams: who is there is asked before a byte is kept, and messages are cut.

A hello is larger than a datagram may be. Before it goes, the initiator knocks with the hello's
digest; the responder keeps nothing and answers with the retry that the hello itself would have met
under load. Each fragment then shows digest and cookie, so that the responder keeps only what comes
from where its answers arrive. A knock is larger than the retry that it brings.

Source: RFC 6347, 4.2.1 (a stateless cookie before the handshake); RFC 8900 (why IP fragmentation is
not relied upon).
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from bellwire.channel.errors import HandshakeFailed
from bellwire.channel.macs import MAX_HANDSHAKE_BODY, mac, mac_key, open_retry
from bellwire.channel.messages import (
    DIGEST_BYTES,
    HEADER_BYTES,
    KNOCK_BODY,
    MAC_BYTES,
    RETRY_BODY,
    Kind,
    Suite,
    header,
    split_handshake,
)

TAG_BYTES: Final = DIGEST_BYTES + MAC_BYTES
FRAGMENT_HEAD: Final = HEADER_BYTES + TAG_BYTES + 2
MAX_MESSAGE: Final = HEADER_BYTES + MAX_HANDSHAKE_BODY
MIN_DATAGRAM: Final = 1232
"""What IPv6 carries everywhere in one packet: 1,280 bytes less its header and that of UDP."""

MAX_FRAGMENTS: Final = -(-MAX_MESSAGE // (MIN_DATAGRAM - FRAGMENT_HEAD))
_BODIES: Final = range(TAG_BYTES + 3, TAG_BYTES + 2 + MAX_MESSAGE + 1)


@dataclass(frozen=True, slots=True)
class Knock:
    """What an initiator says first.

    Attributes:
        suite: Of its hello.
        digest: Of its hello.
        mac1: Of its hello.
    """

    suite: Suite
    digest: bytes
    mac1: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of a message of a handshake.

    Attributes:
        digest: Of the handshake's hello.
        cookie: That the responder gave for it.
        index: Of the piece, from 0.
        count: How many pieces the message has.
        piece: Its bytes.
    """

    digest: bytes
    cookie: bytes
    index: int
    count: int
    piece: bytes


def make_knock(knock: Knock, responder_public: bytes) -> bytes:
    """The message before a hello that has no cookie, or in the place of one that is yet to come."""
    said = header(Kind.KNOCK, knock.suite, KNOCK_BODY) + knock.digest + knock.mac1
    return said + mac(mac_key(responder_public), said)


def knock_of(hello: bytes) -> Knock:
    """What an initiator says before this hello, which has no cookie."""
    core, mac1 = hello[: -2 * MAC_BYTES], hello[-2 * MAC_BYTES : -MAC_BYTES]
    return Knock(Suite(hello[1]), hashlib.sha256(core).digest(), mac1)


def parse_knock(message: bytes, key: bytes, suites: frozenset[Suite]) -> Knock:
    """Read a knock; HandshakeFailed unless its form is right and it is for us."""
    _, suite, _, body = split_handshake(message, {Kind.KNOCK: KNOCK_BODY}, suites)
    if not hmac.compare_digest(message[-MAC_BYTES:], mac(key, message[:-MAC_BYTES])):
        raise HandshakeFailed("expected a knock for our public key, got one for another")
    return Knock(suite, body[:DIGEST_BYTES], body[DIGEST_BYTES:-MAC_BYTES])


def cut(message: bytes, digest: bytes, cookie: bytes, datagram_bytes: int) -> list[bytes]:
    """A message of a handshake as datagrams of at most so many bytes, MIN_DATAGRAM or more."""
    size = datagram_bytes - FRAGMENT_HEAD
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return [
        header(Kind.FRAGMENT, Suite(message[1]), TAG_BYTES + 2 + len(piece))
        + digest
        + cookie
        + bytes([index, len(pieces)])
        + piece
        for index, piece in enumerate(pieces)
    ]


def parse_fragment(datagram: bytes) -> Fragment:
    """Read a fragment; HandshakeFailed unless its form is right. Its cookie is not checked."""
    _, _, _, body = split_handshake(datagram, {Kind.FRAGMENT: _BODIES}, frozenset(Suite))
    digest, cookie = body[:DIGEST_BYTES], body[DIGEST_BYTES:TAG_BYTES]
    index, count = body[TAG_BYTES], body[TAG_BYTES + 1]
    if not index < count <= MAX_FRAGMENTS:
        raise HandshakeFailed(
            f"expected one of at most {MAX_FRAGMENTS} pieces, got number {index} of {count}"
        )
    return Fragment(digest, cookie, index, count, body[TAG_BYTES + 2 :])


def cookie_for(knock: Knock, retry: bytes, responder_public: bytes) -> bytes:
    """The cookie in a retry; HandshakeFailed unless it answers this knock."""
    _, _, head, body = split_handshake(retry, {Kind.RETRY: RETRY_BODY}, {knock.suite})
    return open_retry(head, body, mac_key(responder_public), knock.mac1)


class Assembly:
    """The pieces of one message; at most MAX_MESSAGE bytes are kept.

    Whoever says another number of pieces, or another piece of one number, begins it anew: what is
    put together wrongly fails at its MAC, and the sender repeats all of it.
    """

    __slots__ = ("_count", "_pieces")

    def __init__(self) -> None:
        self._count = 0
        self._pieces: dict[int, bytes] = {}

    def __repr__(self) -> str:
        return f"Assembly({len(self._pieces)} of {self._count})"

    def add(self, fragment: Fragment) -> bytes | None:
        """The message, once it is whole; HandshakeFailed if it is too long. Then it begins anew."""
        known = self._pieces.get(fragment.index, fragment.piece)
        if fragment.count != self._count or known != fragment.piece:
            self._pieces.clear()
        self._count = fragment.count
        self._pieces[fragment.index] = fragment.piece
        if sum(map(len, self._pieces.values())) > MAX_MESSAGE:
            self._pieces.clear()
            raise HandshakeFailed(f"expected a message of at most {MAX_MESSAGE} bytes, got more")
        if len(self._pieces) < self._count:
            return None
        message = b"".join(self._pieces[index] for index in range(self._count))
        self._pieces.clear()
        return message
