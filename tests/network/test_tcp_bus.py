"""The bus over TCP: who is no member is not heard, and broken connections lose nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.patience import PATIENCE_S
from tests.simulators.mesh import identities, until

from bellwire.base.frames import ConnectionEnded, read_frame, write_frame
from bellwire.network import tcp_bus
from bellwire.network.errors import BusFailed
from bellwire.network.identity import sign
from bellwire.network.tcp_bus import MAX_WAITING_BYTES, PURPOSE, Address, TcpBus

KEYS, ROSTER = identities(("a", "b"))
STRANGERS, _ = identities(("c",))


class Ear:
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def __call__(self, topic: str | None, body: bytes) -> None:
        self.heard.append(body)


@asynccontextmanager
async def two() -> AsyncIterator[tuple[TcpBus, TcpBus, Ear, dict[str, Address]]]:
    """Bus a, which sends to b; b listens."""
    addresses: dict[str, Address] = {}
    a, b = (TcpBus(name, KEYS[name], ROSTER, addresses) for name in "ab")
    addresses["b"] = await b.start("127.0.0.1", 0)
    await b.join("b", ("links",))
    ear = Ear()
    task = asyncio.create_task(b.listen("b", ear))
    try:
        yield a, b, ear, addresses
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await a.close()
        await b.close()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story()

    asyncio.run(bounded())


def hello(nonce: bytes, name: str = "a", receiver: str = "b") -> bytes:
    key = KEYS.get(name) or STRANGERS[name]
    return sign(key, name, PURPOSE, msgspec.msgpack.encode([receiver, nonce]))


def test_a_stranger_a_replay_and_noise_are_cut_off() -> None:
    async def story() -> None:
        async with two() as (_, _, ear, addresses):
            reader, writer = await asyncio.open_connection(*addresses["b"])
            earlier = await read_frame(reader, 32)
            writer.close()
            said_by: list[Callable[[bytes], bytes]] = [
                lambda nonce: hello(nonce, "c"),
                lambda nonce: hello(earlier),
                lambda nonce: hello(nonce, receiver="a"),
                lambda nonce: hello(nonce)[:-1],
                lambda nonce: sign(KEYS["a"], "a", b"links", msgspec.msgpack.encode(["b", nonce])),
                lambda nonce: sign(KEYS["a"], "a", PURPOSE, b"noise"),
                lambda nonce: b"\xff" * 100,
                lambda nonce: b"",
            ]
            for said in said_by:
                reader, writer = await asyncio.open_connection(*addresses["b"])
                nonce = await read_frame(reader, 32)
                await write_frame(writer, said(nonce))
                await speak(writer)
                assert await reader.read() == b""
                writer.close()
            assert ear.heard == []

    run(story)


async def speak(writer: asyncio.StreamWriter) -> None:
    """Say a message, though nobody has asked us in."""
    with contextlib.suppress(ConnectionEnded):
        await write_frame(writer, msgspec.msgpack.encode([1, None, b"forged"]))


@pytest.mark.parametrize("frame", [b"noise", msgspec.msgpack.encode([0, None, b""])])
def test_a_member_that_says_something_else_is_cut_off_and_others_go_on(frame: bytes) -> None:
    async def story() -> None:
        async with two() as (a, _, ear, addresses):
            reader, writer = await asyncio.open_connection(*addresses["b"])
            await write_frame(writer, hello(await read_frame(reader, 32)))
            await write_frame(writer, msgspec.msgpack.encode([1, None, b"first"]))
            assert msgspec.msgpack.decode(await read_frame(reader, 64)) == [1]
            await write_frame(writer, frame)
            assert await reader.read() == b""
            writer.close()
            await a.send("b", b"second", message_id="2")
            await until(lambda: ear.heard == [b"first", b"second"])

    run(story)


def test_what_was_said_while_nobody_listened_comes_when_somebody_does() -> None:
    async def story() -> None:
        async with two() as (a, b, ear, addresses):
            where = addresses["b"]
            await b.close()
            with capture_logs() as told:
                for number in range(5):
                    await a.send("b", bytes([number]), message_id=str(number))
                await until(lambda: any(each["event"] == "site not reached" for each in told))
            assert await b.start(*where) == where
            await until(lambda: ear.heard == [bytes([number]) for number in range(5)])

    run(story)


def test_a_connection_that_breaks_before_the_acknowledgement_is_made_up_for() -> None:
    async def story() -> None:
        calls = 0

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal calls
            calls += 1
            await write_frame(writer, bytes(32))
            await read_frame(reader, 1 << 20)
            with contextlib.suppress(ConnectionEnded):
                await read_frame(reader, 1 << 20)  # the first message, which is lost here
            writer.close()

        async with two() as (a, _, ear, addresses):
            good = addresses["b"]
            server = await asyncio.start_server(deaf, "127.0.0.1", 0)
            addresses["b"] = server.sockets[0].getsockname()[:2]
            for number in range(3):
                await a.send("b", bytes([number]), message_id=str(number))
            await until(lambda: calls > 0)
            addresses["b"] = good
            server.close()
            await until(lambda: ear.heard == [bytes([number]) for number in range(3)])

    run(story)


def test_what_waits_for_a_node_that_is_away_is_bounded() -> None:
    outbox = tcp_bus._Outbox

    async def story() -> None:
        waits = outbox()
        for number in range(40):
            waits.put(None, bytes(500_000), float(number))
        first = waits.after(0, 40.0)
        assert first is not None
        assert first.number == 40 - MAX_WAITING_BYTES // 500_000 + 1
        assert waits.after(first.number, 40.0) is not None
        waits.taken(39)
        last = waits.after(0, 40.0)
        assert last is not None
        assert last.number == 40
        assert waits.after(40, 40.0) is None
        assert waits.after(0, 400.0) is None, "too old to be of use"

    run(story)


def test_an_address_that_cannot_be_listened_on_is_named() -> None:
    async def story() -> None:
        async with two() as (a, _, _, addresses):
            host, port = addresses["b"]
            with pytest.raises(BusFailed, match=f"listen on {host} port {port}"):
                await a.start(host, port)

    run(story)
