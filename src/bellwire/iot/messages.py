"""What travels in the records between device and cloud: MessagePack, one message a record.

    device → cloud   Open, then Batch …, then Finish
    cloud → device   Holding (to Open and Finish), Stored (to each Batch), or Rejected and the end

A stream's readings are numbered from 0. The cloud answers a batch only when it is durable, so that
the count it tells is what survives a crash.

The other way, at any time beside these, for a device that takes messages:

    device → cloud   Listen, as often as it likes; Taken to each Push, once it is durable
    cloud → device   Waiting to each Listen; Push, the next one after Taken
"""

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.iot.errors import ProtocolError

MAX_READING_BYTES: Final = 32 * 1024
MAX_READINGS: Final = 2**21
MAX_STREAM_BYTES: Final = 64 * 2**20
MAX_BATCH_READINGS: Final = 1024
MAX_BATCH_BYTES: Final = 48 * 1024
"""Of the readings in a batch; with MessagePack's heads it stays below a record's limit."""

MAX_MESSAGE_BYTES: Final = 32 * 1024
MAX_PUSH_MESSAGES: Final = 64
MAX_PUSH_BYTES: Final = 48 * 1024
"""Of the messages in a push together, unless it is a single one."""

MAX_NUMBER: Final = 2**53

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Count = Annotated[int, Meta(ge=0, le=MAX_READINGS)]
Reading = Annotated[bytes, Meta(min_length=1, max_length=MAX_READING_BYTES)]

QueueId = Annotated[bytes, Meta(min_length=16, max_length=16)]
Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]


class Open(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """Which stream the device will send."""

    stream: Digest


class Batch(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """The next readings, the first of them numbered `first`."""

    first: Count
    readings: Annotated[tuple[Reading, ...], Meta(min_length=1, max_length=MAX_BATCH_READINGS)]


class Finish(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """The device has no more readings."""


class Holding(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """What the cloud holds of the stream, durably: how many readings, and their SHA-256."""

    count: Count
    sha256: Digest


class Stored(msgspec.Struct, array_like=True, frozen=True, tag=5):
    """How many readings of the stream are durable now."""

    count: Count


class Rejected(msgspec.Struct, array_like=True, frozen=True, tag=6):
    """Nothing more is stored in this session, and why."""

    reason: Annotated[str, Meta(max_length=500)]


class Listen(msgspec.Struct, array_like=True, frozen=True, tag=7):
    """The device takes messages, and has those of this queue up to `last`, durably."""

    queue: QueueId
    last: Number


class Waiting(msgspec.Struct, array_like=True, frozen=True, tag=8):
    """How many messages wait for the device."""

    count: Number


class Item(msgspec.Struct, array_like=True, frozen=True):
    """A message to a device: its id, its number in the queue, when it was queued (ms), itself."""

    id: Annotated[bytes, Meta(min_length=16, max_length=16)]
    number: Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
    time: Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
    data: Annotated[bytes, Meta(min_length=1, max_length=MAX_MESSAGE_BYTES)]


class Push(msgspec.Struct, array_like=True, frozen=True, tag=9):
    """The next messages of a queue; their numbers grow, and those that expired are left out."""

    queue: QueueId
    messages: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=MAX_PUSH_MESSAGES)]


class Taken(msgspec.Struct, array_like=True, frozen=True, tag=10):
    """All of the push whose last message has this number are durable."""

    last: Annotated[int, Meta(ge=1, le=MAX_NUMBER)]


FromDevice = Open | Batch | Finish | Listen | Taken
FromCloud = Holding | Stored | Rejected | Waiting | Push

_from_device: msgspec.msgpack.Decoder[FromDevice] = msgspec.msgpack.Decoder(FromDevice)
_from_cloud: msgspec.msgpack.Decoder[FromCloud] = msgspec.msgpack.Decoder(FromCloud)


def encode(message: FromDevice | FromCloud) -> bytes:
    """The bytes of a message."""
    return msgspec.msgpack.encode(message)


def decode_from_device(data: bytes) -> FromDevice:
    """Read a device's message; ProtocolError unless it is one, within its bounds."""
    try:
        return _from_device.decode(data)
    except UNDECODABLE as error:
        raise ProtocolError(f"expected a message of a device, got another: {error}") from error


def decode_from_cloud(data: bytes) -> FromCloud:
    """Read the cloud's message; ProtocolError unless it is one, within its bounds."""
    try:
        return _from_cloud.decode(data)
    except UNDECODABLE as error:
        raise ProtocolError(f"expected a message of the cloud, got another: {error}") from error


def stream_of_content(device: bytes, content: bytes) -> bytes:
    """The name of a file's stream: the same content from the same device is the same stream."""
    inner = hashlib.sha256(content).digest()
    return hashlib.sha256(b"bellwire stream of content" + device + inner).digest()


def stream_of_name(device: bytes, name: str) -> bytes:
    """The name of a stream that a person named, whose content may grow."""
    return hashlib.sha256(b"bellwire stream of name" + device + name.encode()).digest()
