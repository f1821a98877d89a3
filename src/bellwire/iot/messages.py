"""What travels in the records between device and cloud: MessagePack, one message a record.

    device → cloud   Open, then Batch …, then Finish
    cloud → device   Holding (to Open and Finish), Stored (to each Batch), or Rejected and the end

A stream's readings are numbered from 0. The cloud answers a batch only when it is durable, so that
the count it tells is what survives a crash.
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

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Count = Annotated[int, Meta(ge=0, le=MAX_READINGS)]
Reading = Annotated[bytes, Meta(min_length=1, max_length=MAX_READING_BYTES)]


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


FromDevice = Open | Batch | Finish
FromCloud = Holding | Stored | Rejected

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
