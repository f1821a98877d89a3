"""Messages of the delivery socket: what a consumer of keys asks, and what the node answers.

`spec/key-delivery-socket.md` is the format. Each message is one frame (`base.frames`) of
MessagePack; each request has exactly one answer.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

from bellwire.keys.model import MAX_KEY_BITS, KeySourceKind
from bellwire.keys.status import StatusView

REQUEST_LIMIT = 64
"""Bytes of the largest request, with room."""

ANSWER_LIMIT = 256 * 1024
"""Bytes of the largest answer: a status with its whole history and the longest reasons."""

KeyIdBytes = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class Refusal(StrEnum):
    """Why a request got no key."""

    LINK_RED = "link-red"
    NOT_ENOUGH_KEY = "not-enough-key"
    KEY_GONE = "key-gone"
    KEY_NOT_READY = "key-not-ready"
    BAD_REQUEST = "bad-request"
    FAILED = "failed"


class Draw(msgspec.Struct, frozen=True, array_like=True, tag="draw"):
    """Ask for a new key of `bits` bits."""

    bits: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


class Fetch(msgspec.Struct, frozen=True, array_like=True, tag="fetch"):
    """Ask for the key that the peer's consumer drew."""

    key_id: KeyIdBytes


class GetStatus(msgspec.Struct, frozen=True, array_like=True, tag="get-status"):
    """Ask for the status of the link."""


class GetStock(msgspec.Struct, frozen=True, array_like=True, tag="get-stock"):
    """Ask for how much key there is."""


class Key(msgspec.Struct, frozen=True, array_like=True, tag="key"):
    """A key; `key` is secret and stays out of the repr."""

    key_id: KeyIdBytes
    key: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_KEY_BITS // 8)]
    source: KeySourceKind

    def __repr__(self) -> str:
        return f"Key({len(self.key)} bytes, {self.source.value})"


class Status(msgspec.Struct, frozen=True, array_like=True, tag="status"):
    """The status of the link."""

    view: StatusView


class Stock(msgspec.Struct, frozen=True, array_like=True, tag="stock"):
    """Key that consumers of this node may draw now, and where it comes from."""

    bits: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    source: KeySourceKind


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """No key; `there` is how many bits one key could have now (not-enough-key)."""

    kind: Refusal
    message: Annotated[str, msgspec.Meta(max_length=2000)]
    there: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


Request = Draw | Fetch | GetStatus | GetStock
Answer = Key | Status | Stock | Refused

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def encode(message: Request | Answer) -> bytes:
    """The body of a frame."""
    return _encoder.encode(message)


def decode_request(body: bytes) -> Request:
    """Read a request; one of UNDECODABLE where it is none."""
    return _requests.decode(body)


def decode_answer(body: bytes) -> Answer:
    """Read an answer; one of UNDECODABLE where it is none."""
    return _answers.decode(body)
