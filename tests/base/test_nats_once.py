"""A connection to a NATS server comes within its time or not at all, and says why not."""

import asyncio
import contextlib
import socket

import pytest

from bellwire.base.nats_once import connect_once, heed_cancellation

WITHIN_S = 0.3


async def served(greeting: bytes) -> str:
    """What is said of a server that sends these bytes to whoever connects, and then nothing."""
    over = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError) as refused:
            await connect_once(f"nats://127.0.0.1:{port}", {}, within_s=WITHIN_S)
        await over.wait()
    return str(refused.value)


def test_a_server_that_takes_connections_and_says_nothing() -> None:
    assert "cannot be reached" in asyncio.run(served(b""))


def test_a_server_that_greets_and_does_not_answer() -> None:
    greeting = b'INFO {"server_id":"x","version":"2.9.0","max_payload":1048576}\r\n'
    assert "cannot be reached" in asyncio.run(served(greeting))


def test_a_server_that_speaks_something_else() -> None:
    assert "cannot be reached" in asyncio.run(served(b"HTTP/1.1 400 Bad Request\r\n\r\n"))


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(ConnectionError, match=r"(?i)refused|connect call failed|no servers"):
        asyncio.run(connect_once(f"nats://127.0.0.1:{port}", {}, within_s=WITHIN_S))


def test_a_cancellation_that_was_lost_is_heeded_and_an_end_by_time_is_none() -> None:
    async def loses() -> None:
        # As `asyncio.wait_for` does where a result comes together with the cancellation.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        heed_cancellation()

    async def waits() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.0):
                await asyncio.Event().wait()
        heed_cancellation()

    async def test() -> None:
        task = asyncio.create_task(loses())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await waits()

    asyncio.run(test())
