"""The two MACs at the end of a hello, and the cookie: what is checked before any public-key work.

`mac1` is keyed by the responder's public key: it keeps out whoever knows nothing of the responder.
`mac2` is keyed by a cookie that the responder gave to the sender's address, and is zero without
one: under load it keeps out whoever does not receive at the address it sends from. Neither is part
of the handshake's secrecy, and neither joins the transcript: a hello that is sent again with a
cookie is the same hello.

Source: Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", NDSS 2017, 5.3 and 5.4.4.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bellwire.channel.certificates import MAX_CERTIFICATE_BYTES, MIN_CERTIFICATE_BYTES
from bellwire.channel.errors import HandshakeFailed
from bellwire.channel.messages import (
    HANDLE_BYTES,
    HELLO_BODY,
    MAC_BYTES,
    RESUME_BODY,
    RETRY_BODY,
    UNKNOWN_BODY,
    Kind,
    Suite,
    header,
    split_handshake,
)
from bellwire.crypto.kem import CIPHERTEXT_BYTES, PUBLIC_BYTES
from bellwire.crypto.labels import CHANNEL_MAC1

NO_MAC: Final = bytes(MAC_BYTES)

HELLOS: Final[Mapping[Kind, int | range]] = {
    Kind.HELLO: HELLO_BODY,
    Kind.CERTIFIED_HELLO: range(
        HELLO_BODY + MIN_CERTIFICATE_BYTES, HELLO_BODY + MAX_CERTIFICATE_BYTES + 1
    ),
    Kind.RESUME: RESUME_BODY,
}
"""How a handshake may begin, with the lengths of bodies."""

MAX_HANDSHAKE_BODY: Final = HELLO_BODY + MAX_CERTIFICATE_BYTES


def mac_key(responder_public: bytes) -> bytes:
    """The key of `mac1`: public, yet known only to who knows the responder."""
    return hashlib.sha256(CHANNEL_MAC1 + responder_public).digest()


def mac(key: bytes, text: bytes) -> bytes:
    """HMAC-SHA256, its first 16 bytes."""
    return hmac.digest(key, text, "sha256")[:MAC_BYTES]


@dataclass(frozen=True, slots=True)
class Hello:
    """A hello whose form and `mac1` are right, in its parts.

    Attributes:
        kind: Whether it comes with a certificate, or resumes a session.
        suite: What its sender picked.
        core: All of it but the MACs.
        mac1: As it came, and right.
        mac2: As it came, unchecked.
    """

    kind: Kind
    suite: Suite
    core: bytes
    mac1: bytes
    mac2: bytes

    @property
    def head(self) -> bytes:
        """The header."""
        return self.core[:4]

    @property
    def _cut(self) -> int:
        return 4 + (HANDLE_BYTES if self.kind is Kind.RESUME else CIPHERTEXT_BYTES)

    @property
    def opening(self) -> bytes:
        """Encapsulated to the responder's static key; or the handle of a ticket."""
        return self.core[4 : self._cut]

    @property
    def ephemeral(self) -> bytes:
        """The initiator's ephemeral public key."""
        return self.core[self._cut : self._cut + PUBLIC_BYTES]

    @property
    def sealed_offer(self) -> bytes:
        """Who calls, and with what."""
        return self.core[self._cut + PUBLIC_BYTES :]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the core: by which retries, cookies and alerts name this hello."""
        return hashlib.sha256(self.core).digest()


def finish_hello(core: bytes, key: bytes, cookie: bytes | None) -> bytes:
    """The hello with its MACs; without a cookie the second is zero."""
    mac1 = mac(key, core)
    return core + mac1 + (NO_MAC if cookie is None else mac(cookie, core + mac1))


def parse_hello(message: bytes, key: bytes, suites: frozenset[Suite]) -> Hello:
    """Read a hello; HandshakeFailed unless its form and `mac1` are right."""
    kind, suite, _, _ = split_handshake(message, HELLOS, suites)
    core, mac1, mac2 = message[: -2 * MAC_BYTES], message[-32:-16], message[-16:]
    if not hmac.compare_digest(mac1, mac(key, core)):
        raise HandshakeFailed("expected a hello to our public key, got one to another")
    return Hello(kind, suite, core, mac1, mac2)


def make_retry(suite: Suite, mac1: bytes, key: bytes, cookie: bytes) -> bytes:
    """The message that asks for the hello that has this `mac1`, with this cookie."""
    head = header(Kind.RETRY, suite, RETRY_BODY)
    return head + cookie + mac(key, head + mac1 + cookie)


def open_retry(head: bytes, body: bytes, key: bytes, mac1: bytes) -> bytes:
    """The cookie in a retry; HandshakeFailed unless it answers the hello that has this `mac1`."""
    cookie, found = body[:MAC_BYTES], body[MAC_BYTES:]
    if not hmac.compare_digest(found, mac(key, head + mac1 + cookie)):
        raise HandshakeFailed("expected a retry of our hello, got another")
    return cookie


def answer_retry(message: bytes, core: bytes, key: bytes, suite: Suite) -> bytes:
    """The same hello with the cookie of a retry; HandshakeFailed unless it is of this hello."""
    _, _, head, body = split_handshake(message, {Kind.RETRY: RETRY_BODY}, {suite})
    return finish_hello(core, key, open_retry(head, body, key, mac(key, core)))


def make_unknown(hello: Hello, key: bytes) -> bytes:
    """The message that asks for a full handshake, because a ticket is not known."""
    head = header(Kind.UNKNOWN, hello.suite, UNKNOWN_BODY)
    return head + mac(key, head + hello.mac1)


def check_unknown(head: bytes, body: bytes, key: bytes, mac1: bytes) -> None:
    """Check that this message answers the hello that has this `mac1`; else HandshakeFailed."""
    if not hmac.compare_digest(body, mac(key, head + mac1)):
        raise HandshakeFailed("expected an answer to our hello, got another")
