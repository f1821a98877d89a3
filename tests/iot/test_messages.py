import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.channel.messages import MAX_PLAINTEXT_BYTES
from bellwire.iot.errors import ProtocolError
from bellwire.iot.messages import (
    MAX_BATCH_BYTES,
    MAX_BATCH_READINGS,
    MAX_MESSAGE_BYTES,
    MAX_NUMBER,
    MAX_PUSH_BYTES,
    MAX_PUSH_MESSAGES,
    MAX_READING_BYTES,
    MAX_READINGS,
    Batch,
    Finish,
    FromCloud,
    FromDevice,
    Holding,
    Item,
    Listen,
    Open,
    Push,
    Rejected,
    Stored,
    Taken,
    Waiting,
    decode_from_cloud,
    decode_from_device,
    encode,
    stream_of_content,
    stream_of_name,
)

ITEM = Item(b"i" * 16, 1, 1_700_000_000_000, b"hello")


@pytest.mark.parametrize(
    "message", [Open(b"s" * 32), Batch(7, (b"a", b"b")), Finish(), Listen(b"q" * 16, 0), Taken(5)]
)
def test_a_device_s_messages_survive_the_wire(message: FromDevice) -> None:
    assert decode_from_device(encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [Holding(3, b"h" * 32), Stored(4), Rejected("full"), Waiting(2), Push(b"q" * 16, (ITEM, ITEM))],
)
def test_the_cloud_s_messages_survive_the_wire(message: FromCloud) -> None:
    assert decode_from_cloud(encode(message)) == message


@settings(deadline=None)
@given(data=st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    for decode in (decode_from_device, decode_from_cloud):
        try:
            message = decode(data)
        except ProtocolError:
            continue
        assert msgspec.msgpack.decode(encode(message)) == msgspec.msgpack.decode(data)


@pytest.mark.parametrize(
    "message",
    [
        Open(b"s" * 31),
        Batch(0, ()),
        Batch(0, (b"",)),
        Batch(-1, (b"a",)),
        Batch(MAX_READINGS + 1, (b"a",)),
        Batch(0, (b"a",) * (MAX_BATCH_READINGS + 1)),
        Batch(0, (b"a" * (MAX_READING_BYTES + 1),)),
        Holding(1, b"h" * 32),
        Listen(b"q" * 15, 0),
        Listen(b"q" * 16, -1),
        Listen(b"q" * 16, MAX_NUMBER + 1),
        Taken(0),
        Taken(MAX_NUMBER + 1),
        Push(b"q" * 16, (ITEM,)),
    ],
)
def test_a_device_s_messages_out_of_bounds_are_refused(message: FromDevice) -> None:
    with pytest.raises(ProtocolError):
        decode_from_device(encode(message))


@pytest.mark.parametrize(
    "message",
    [
        Waiting(-1),
        Push(b"q" * 16, ()),
        Push(b"q" * 17, (ITEM,)),
        Push(b"q" * 16, (ITEM,) * (MAX_PUSH_MESSAGES + 1)),
        Push(b"q" * 16, (Item(b"i" * 16, 0, 0, b"x"),)),
        Push(b"q" * 16, (Item(b"i" * 15, 1, 0, b"x"),)),
        Push(b"q" * 16, (Item(b"i" * 16, 1, -1, b"x"),)),
        Push(b"q" * 16, (Item(b"i" * 16, 1, 0, b""),)),
        Push(b"q" * 16, (Item(b"i" * 16, 1, 0, b"x" * (MAX_MESSAGE_BYTES + 1)),)),
        Taken(1),
    ],
)
def test_the_cloud_s_messages_out_of_bounds_are_refused(message: FromCloud) -> None:
    with pytest.raises(ProtocolError):
        decode_from_cloud(encode(message))


def test_the_largest_push_fits_a_record() -> None:
    share = MAX_PUSH_BYTES // MAX_PUSH_MESSAGES
    for count, size in ((1, MAX_MESSAGE_BYTES), (MAX_PUSH_MESSAGES, share)):
        item = Item(b"i" * 16, MAX_NUMBER, MAX_NUMBER, b"x" * size)
        assert len(encode(Push(b"q" * 16, (item,) * count))) <= MAX_PLAINTEXT_BYTES


def test_the_largest_batch_fits_a_record() -> None:
    share = MAX_BATCH_BYTES // MAX_BATCH_READINGS
    for readings in ((b"a" * MAX_READING_BYTES,), (b"a" * share,) * MAX_BATCH_READINGS):
        assert len(encode(Batch(MAX_READINGS, readings))) <= MAX_PLAINTEXT_BYTES


def test_streams_of_other_devices_contents_and_names_are_other_streams() -> None:
    streams = {
        stream_of_content(b"d" * 32, b"one"),
        stream_of_content(b"d" * 32, b"two"),
        stream_of_content(b"e" * 32, b"one"),
        stream_of_name(b"d" * 32, "one"),
        stream_of_name(b"d" * 32, "two"),
    }
    assert len(streams) == 5
    assert {len(stream) for stream in streams} == {32}
    assert stream_of_content(b"d" * 32, b"one") in streams
