"""What one console says to the other: messages, each sealed under a key of its own.

The key is of ETSI GS QKD 014: the sender draws it at its own key server for the other console, and
only that one gets it by its id, once, and with the word that this sender drew it. So whoever can
open a message knows who sent it, that nobody else read it, and that it never came before. One key
seals one request and its answer. Format: `spec/console-peering.md`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.secret import Secret
from bellwire.console.accounts import MAX_NAME
from bellwire.console.errors import PeerRefused
from bellwire.crypto.aead import open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.labels import CONSOLE_PEERING

VERSION = 1
KEY_BITS = 256
MAX_MESSAGE = 4096

_REQUEST, _ANSWER = b"\x00" * 12, b"\x00" * 11 + b"\x01"
"""Nonces: a key seals two texts, one in each direction."""

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
KeyId = Annotated[str, Meta(min_length=1, max_length=256)]
Words = Annotated[str, Meta(max_length=500)]


class Envelope(msgspec.Struct, frozen=True):
    """A request as it travels: JSON, with `sealed` in base64."""

    version: Annotated[int, Meta(ge=0, le=1 << 16)]
    key_id: KeyId
    sealed: Annotated[bytes, Meta(max_length=MAX_MESSAGE)]


class SealedAnswer(msgspec.Struct, frozen=True):
    """An answer as it travels: JSON, with `sealed` in base64."""

    sealed: Annotated[bytes, Meta(max_length=MAX_MESSAGE)]


class Call(msgspec.Struct, frozen=True, array_like=True, tag="call"):
    """A member of the sender's site calls for a session with one of the other's."""

    caller: Name
    peer: Name


class Knows(msgspec.Struct, frozen=True, array_like=True, tag="knows"):
    """Is there a member of that name?"""

    name: Name


class Given(msgspec.Struct, frozen=True, array_like=True, tag="given"):
    """The session, and the id of its key."""

    session: Annotated[str, Meta(pattern=r"\A[0-9a-f-]{36}\Z")]
    key_id: KeyId
    source: Annotated[str, Meta(max_length=32)]


class Known(msgspec.Struct, frozen=True, array_like=True, tag="known"):
    """Whether there is."""

    known: bool


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """No session, and why."""

    kind: Literal["unknown", "red", "later"]
    reason: Words


Request = Call | Knows
Answer = Given | Known | Refused

_envelopes: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(Envelope)
_sealed_answers: msgspec.json.Decoder[SealedAnswer] = msgspec.json.Decoder(SealedAnswer)
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def seal_request(request: Request, key_id: str, key: Secret, sender: str) -> bytes:
    """A request of `sender`'s console, ready to travel."""
    text = msgspec.msgpack.encode(request)
    sealed = seal(key.reveal(), _REQUEST, text, _about(b"request", sender, key_id))
    return msgspec.json.encode(Envelope(VERSION, key_id, sealed))


def read_envelope(body: bytes) -> Envelope:
    """What travelled, as yet of nobody.

    Raises:
        PeerRefused: it is no envelope of this version.
    """
    try:
        envelope = _envelopes.decode(body)
    except UNDECODABLE:
        envelope = None
    if envelope is None or envelope.version != VERSION:
        raise PeerRefused(f"expected a message between consoles, version {VERSION}, got another")
    return envelope


def open_request(envelope: Envelope, key: Secret, sender: str) -> Request:
    """The request, which is `sender`'s if it opens.

    Raises:
        PeerRefused: it does not open, or is none.
    """
    text = _opened(envelope.sealed, key, _REQUEST, _about(b"request", sender, envelope.key_id))
    try:
        return _requests.decode(text)
    except UNDECODABLE as error:
        raise PeerRefused("expected a request of the other console, got another") from error


def seal_answer(answer: Answer, key_id: str, key: Secret, sender: str) -> bytes:
    """The answer of `sender`'s console to what came under `key_id`."""
    text = msgspec.msgpack.encode(answer)
    sealed = seal(key.reveal(), _ANSWER, text, _about(b"answer", sender, key_id))
    return msgspec.json.encode(SealedAnswer(sealed))


def open_answer(body: bytes, key_id: str, key: Secret, sender: str) -> Answer:
    """The answer of `sender`'s console.

    Raises:
        PeerRefused: it does not open, or is none.
    """
    try:
        sealed = _sealed_answers.decode(body).sealed
        text = _opened(sealed, key, _ANSWER, _about(b"answer", sender, key_id))
        return _answers.decode(text)
    except UNDECODABLE as error:
        raise PeerRefused("expected an answer of the other console, got another") from error


def _opened(sealed: bytes, key: Secret, nonce: bytes, about: bytes) -> bytes:
    try:
        return open_sealed(key.reveal(), nonce, sealed, about)
    except AuthenticationFailed as error:
        raise PeerRefused("expected a message of the other console, got another") from error


def _about(what: bytes, sender: str, key_id: str) -> bytes:
    return CONSOLE_PEERING + b" ".join((what, sender.encode(), key_id.encode()))
