"""What accounts and their owners say to each other is sealed, whatever the line to the relay is.

The relay offers a key that serves for an hour, signed by its own identity; the client encapsulates
to it, and both have keys of this connection alone. So a listener learns neither handles nor tokens
nor what is searched for, what was recorded cannot be opened later, and who knows the relay's
identity from before notices another's. Records fill up to four sizes and are numbered by counting;
one that is altered, repeated, left out or out of order does not open.

Sans-I/O. Source: spec/accounts.md, 2.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from bellwire.chat.errors import BundleRefused, RelayMisbehaved
from bellwire.chat.identity import PUBLIC_BYTES, SIGNATURE_BYTES, Identity, IdentityPublic
from bellwire.crypto import kem
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, AesGcm
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import CHAT_ACCOUNT_LINE, CHAT_ACCOUNT_OFFER

OFFER_BYTES: Final = PUBLIC_BYTES + kem.PUBLIC_BYTES + SIGNATURE_BYTES
HELLO_BYTES: Final = kem.CIPHERTEXT_BYTES
REQUEST_SIZES: Final = (512, 4096, 16_384)
ANSWER_SIZES: Final = (*REQUEST_SIZES, 65_536)
BINDING_BYTES: Final = 32

_LENGTH: Final = struct.Struct(">I")
MAX_REQUEST_BYTES: Final = REQUEST_SIZES[-1] - TAG_BYTES - _LENGTH.size
MAX_ANSWER_BYTES: Final = ANSWER_SIZES[-1] - TAG_BYTES - _LENGTH.size


@dataclass(frozen=True, slots=True)
class Offer:
    """A key pair that a relay offers, and what it says of it."""

    key: kem.XWingPrivateKey
    encoded: bytes


class _Direction:
    """Seals, or opens, the records of one direction in their order."""

    def __init__(self, key: bytes, sizes: tuple[int, ...]) -> None:
        self._cipher = AesGcm(key)
        self._sizes = sizes
        self._count = 0

    def _nonce(self) -> bytes:
        nonce = self._count.to_bytes(NONCE_BYTES, "big")
        self._count += 1
        return nonce

    def seal(self, text: bytes) -> bytes:
        """The next record."""
        size = next(s for s in self._sizes if s - TAG_BYTES - _LENGTH.size >= len(text))
        plain = (_LENGTH.pack(len(text)) + text).ljust(size - TAG_BYTES, b"\0")
        return self._cipher.seal(self._nonce(), plain, b"")

    def open(self, record: bytes) -> bytes:
        """What the next record says.

        Raises:
            RelayMisbehaved: it is not the next one, or not the peer's.
        """
        if len(record) not in self._sizes:
            raise RelayMisbehaved(f"expected a record of {self._sizes} bytes, got {len(record)}")
        try:
            plain = self._cipher.open(self._nonce(), record, b"")
        except AuthenticationFailed as error:
            raise RelayMisbehaved("expected the next sealed record, got another") from error
        (length,) = _LENGTH.unpack_from(plain)
        text = plain[_LENGTH.size : _LENGTH.size + length]
        if len(text) != length or any(plain[_LENGTH.size + length :]):
            raise RelayMisbehaved("expected a record filled with zeros, got another")
        return text


@dataclass(frozen=True, slots=True)
class Line:
    """One side of a sealed line.

    Attributes:
        outward: Seals what we say.
        inward: Opens what the peer says.
        binding: 32 bytes that both sides have of this line alone; what is signed names them.
    """

    outward: _Direction
    inward: _Direction
    binding: bytes


def make_offer(relay: Identity, relay_id: bytes) -> Offer:
    """A new key to encapsulate to, signed by the relay's identity."""
    key = kem.XWingPrivateKey.generate()
    signature = relay.sign(relay_id + key.public_bytes, CHAT_ACCOUNT_OFFER)
    return Offer(key, relay.public.public_bytes + key.public_bytes + signature)


def take_offer(offer: bytes, nonce: bytes, relay_id: bytes) -> tuple[bytes, Line, IdentityPublic]:
    """The client's answer to an offer, its side of the line, and who the relay says it is.

    Args:
        offer: As it came.
        nonce: Of the connection's challenge.
        relay_id: Of the connection's challenge.

    Raises:
        RelayMisbehaved: it is malformed, or not signed by the identity that it names.
    """
    if len(offer) != OFFER_BYTES:
        raise RelayMisbehaved(f"expected an offer of {OFFER_BYTES} bytes, got {len(offer)}")
    relay = IdentityPublic(offer[:PUBLIC_BYTES])
    public = offer[PUBLIC_BYTES : PUBLIC_BYTES + kem.PUBLIC_BYTES]
    try:
        relay.verify(
            offer[PUBLIC_BYTES + kem.PUBLIC_BYTES :], relay_id + public, CHAT_ACCOUNT_OFFER
        )
        hello, shared = kem.encapsulate(public)
    except (BundleRefused, KemRefused) as error:
        raise RelayMisbehaved("expected an offer that its relay signed, got another") from error
    up, down, binding = _keys(shared.reveal(), nonce, relay_id, offer, hello)
    line = Line(_Direction(up, REQUEST_SIZES), _Direction(down, ANSWER_SIZES), binding)
    return hello, line, relay


def answer_hello(offer: Offer, hello: bytes, nonce: bytes, relay_id: bytes) -> Line:
    """The relay's side of the line.

    Raises:
        RelayMisbehaved: it is no encapsulation.
    """
    try:
        shared = offer.key.decapsulate(hello)
    except KemRefused as error:
        raise RelayMisbehaved("expected an encapsulation to the offer, got none") from error
    up, down, binding = _keys(shared.reveal(), nonce, relay_id, offer.encoded, hello)
    return Line(_Direction(down, ANSWER_SIZES), _Direction(up, REQUEST_SIZES), binding)


def _keys(
    shared: bytes, nonce: bytes, relay_id: bytes, offer: bytes, hello: bytes
) -> tuple[bytes, bytes, bytes]:
    transcript = hashlib.sha256(nonce + relay_id + offer + hello).digest()
    okm = hkdf(shared, salt=transcript, info=CHAT_ACCOUNT_LINE, length=64 + BINDING_BYTES)
    return okm[:32], okm[32:64], okm[64:]
