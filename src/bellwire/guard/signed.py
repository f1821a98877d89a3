"""Words of a node over a server that need not be trusted: signed by the node, each after the last.

A word is JSON as `/status/ws` has it, but always whole, with the status of each link: whoever drops
one holds back no more than that one. It has a `sequence` that only goes up, also over the node's
restarts. Beside it, as a header, goes the node's public key and its signature of subject and word
(ML-DSA-65, FIPS 204); which key is right, an operator says by its fingerprint.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.crypto.errors import LengthError, SignatureInvalid
from bellwire.crypto.labels import STATUS_WORD
from bellwire.crypto.signatures import (
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    SigningKey,
    fingerprint,
    verify,
)
from bellwire.guard.errors import StatusRefused
from bellwire.guard.messages import MAX_MESSAGE, LinkTold, Told, read_told

HEADER: Final = "Bellwire-Signature"
"""Base64 of the public key, 1952 bytes, and the signature, 3309 bytes."""

_PROOF_BYTES = PUBLIC_BYTES + SIGNATURE_BYTES


class _Sequenced(msgspec.Struct, frozen=True):
    sequence: Annotated[int, Meta(ge=1)]
    links: dict[str, LinkTold]


def sign(key: SigningKey, subject: str, word: bytes) -> dict[str, str]:
    """The header that goes with a word."""
    signature = key.sign(_text(subject, word), STATUS_WORD)
    return {HEADER: base64.b64encode(key.public_bytes + signature).decode()}


class Verifier:
    """Lets words of one node pass, each once and in their order.

    Args:
        pinned: Fingerprint of the node's identity, 32 bytes.
        subject: On which it speaks.
    """

    def __init__(self, pinned: bytes, subject: str) -> None:
        self._pinned = pinned
        self._subject = subject
        self._last = 0

    def read(self, word: bytes, headers: Mapping[str, str] | None) -> Told:
        """A word of now or before, by the node.

        Raises:
            StatusRefused: it is none, another has signed it or nobody, or it came before.
        """
        if len(word) > MAX_MESSAGE:
            raise StatusRefused(f"expected a word of up to {MAX_MESSAGE} bytes, got {len(word)}")
        self._check(word, (headers or {}).get(HEADER, ""))
        try:
            sequence = msgspec.json.decode(word, type=_Sequenced).sequence
        except UNDECODABLE as error:
            raise StatusRefused("expected a whole status in sequence, got another word") from error
        if sequence <= self._last:
            raise StatusRefused("expected a later word than the one before, got one said earlier")
        told = read_told(word)
        self._last = sequence
        return told

    def _check(self, word: bytes, header: str) -> None:
        try:
            proof = base64.b64decode(header, validate=True)
        except (binascii.Error, ValueError) as error:
            raise StatusRefused("expected a signature of the node, got none") from error
        if len(proof) != _PROOF_BYTES:
            raise StatusRefused("expected a signature of the node, got none")
        public, signature = proof[:PUBLIC_BYTES], proof[PUBLIC_BYTES:]
        if not hmac.compare_digest(fingerprint(public), self._pinned):
            raise StatusRefused("expected the node whose identity is pinned, got another")
        try:
            verify(public, signature, _text(self._subject, word), STATUS_WORD)
        except (SignatureInvalid, LengthError, ValueError) as error:
            raise StatusRefused(
                "expected the node's signature of this word, got another"
            ) from error


def _text(subject: str, word: bytes) -> bytes:
    return subject.encode() + b"\n" + word
