"""Frames: what is written is read, and no reader takes more than it asked for."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.frames import ConnectionEnded, FrameTooLarge, read_frame, write_frame


async def reading(data: bytes, limit: int) -> bytes:
    """The first frame of a stream that ends after `data`."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_frame(reader, limit)


async def carried(bodies: list[bytes], limit: int) -> list[bytes]:
    """All frames, written at one end of a socket pair and read at the other."""
    here, there = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=here)
    reader, closing = await asyncio.open_connection(sock=there)
    got = []
    for body in bodies:
        await write_frame(writer, body)
        got.append(await read_frame(reader, limit))
    for end in (writer, closing):
        end.close()
        await end.wait_closed()
    return got


async def writing(writer: asyncio.StreamWriter) -> None:
    """Write until the stream is gone."""
    while True:
        await write_frame(writer, b"x")


@given(bodies=st.lists(st.binary(max_size=50), max_size=5))
def test_what_is_written_is_read(bodies: list[bytes]) -> None:
    assert asyncio.run(carried(bodies, 50)) == bodies


@given(body=st.binary(min_size=1, max_size=40), data=st.data())
def test_a_stream_that_ends_inside_a_frame_has_ended(body: bytes, data: st.DataObject) -> None:
    whole = struct.pack(">I", len(body)) + body
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(ConnectionEnded) as caught:
        asyncio.run(reading(whole[:cut], 40))
    assert caught.value.exit_code == 4


def test_a_length_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(FrameTooLarge, match="at most 7 bytes, got one of 8"):
        asyncio.run(reading(struct.pack(">I", 8), 7))


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_stream_that_is_gone_takes_no_frame(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def run() -> None:
        here, there = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=here)
        there.close()
        with pytest.raises(ConnectionEnded):
            await writing(writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        with pytest.raises(ConnectionEnded):
            await write_frame(writer, b"x")

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())
