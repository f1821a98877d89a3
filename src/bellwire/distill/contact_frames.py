"""Frames of a signed first contact: a header, then a body of one length for each kind.

    "bwfc" ‖ version 1 ‖ kind 1 ‖ body

A first frame of the line is a MessagePack array, which never begins so. Lengths are exact, hence no
two texts of a transcript run into one another. Wire format: spec/first-contact.md.
"""

from enum import IntEnum
from typing import Final

from bellwire.crypto import kem
from bellwire.crypto.signatures import PUBLIC_BYTES, SIGNATURE_BYTES
from bellwire.distill.errors import ContactRefused, MalformedMessage, PeerMismatch, Refusal
from bellwire.distill.messages import NONCE_BYTES

VERSION: Final = 1
CONFIRMATION_BYTES: Final = 32

_MAGIC: Final = b"bwfc"
HEADER_BYTES: Final = len(_MAGIC) + 2


class Kind(IntEnum):
    """Last byte of a frame's header."""

    HELLO = 1
    ANSWER = 2
    PROOF = 3
    STORED = 4
    REFUSED = 5


ANSWER_OPEN_BYTES: Final = NONCE_BYTES + PUBLIC_BYTES + kem.CIPHERTEXT_BYTES
"""The part of an answer's body that is signed; the proof follows."""

_BODIES: Final = {
    Kind.HELLO: NONCE_BYTES + PUBLIC_BYTES + kem.PUBLIC_BYTES,
    Kind.ANSWER: ANSWER_OPEN_BYTES + SIGNATURE_BYTES + CONFIRMATION_BYTES,
    Kind.PROOF: SIGNATURE_BYTES + CONFIRMATION_BYTES,
    Kind.STORED: CONFIRMATION_BYTES,
    Kind.REFUSED: 1,
}
MAX_FRAME: Final = HEADER_BYTES + max(_BODIES.values())

_WORDS: Final = {
    Refusal.VERSION: "it speaks another version",
    Refusal.IDENTITY: "it expects another identity than ours",
    Refusal.KEY_HELD: "it holds a key already and does not give it up",
    Refusal.NOT_ACCEPTED: "it did not accept what we sent",
}


def is_first_contact(frame: bytes) -> bool:
    """Whether a connection's first frame belongs to an exchange, and not to the line."""
    return frame.startswith(_MAGIC)


def header(kind: Kind) -> bytes:
    """The 6 bytes before a body."""
    return _MAGIC + bytes([VERSION, kind])


def refusal(why: Refusal) -> bytes:
    """What Bob sends in place of his next message."""
    return header(Kind.REFUSED) + bytes([why])


def split(frame: bytes, kind: Kind) -> bytes:
    """The body of a frame that must be of this kind.

    Raises:
        ContactRefused: it is a refusal, where one may come.
        PeerMismatch: another version.
        MalformedMessage: another kind or length, or no message of first contact.
    """
    if len(frame) < HEADER_BYTES or not is_first_contact(frame):
        raise MalformedMessage(
            "expected a message of first contact, got another",
            hint="Both nodes must have first_contact.method = signed, and no key yet.",
        )
    version, got = frame[HEADER_BYTES - 2 : HEADER_BYTES]
    body = frame[HEADER_BYTES:]
    # A refusal has one form in every version.
    if got == Kind.REFUSED and kind in (Kind.ANSWER, Kind.STORED) and len(body) == 1:
        why = Refusal(body[0]) if body[0] in list(Refusal) else Refusal.NOT_ACCEPTED
        raise ContactRefused(
            f"the other end refuses first contact: {_WORDS[why]}",
            reason=why,
            hint="Nobody vouches for this answer: ask the other site what its node logged.",
        )
    if version != VERSION:
        raise PeerMismatch(f"expected version {VERSION} of first contact, got {version}")
    if got != kind or len(body) != _BODIES[kind]:
        raise MalformedMessage(
            f"expected {kind.name.lower()} with {_BODIES[kind]} bytes, got kind {got} with "
            f"{len(body)}"
        )
    return body
