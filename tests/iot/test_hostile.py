"""Clients and clouds that do not play by the rules; each is turned away alone."""

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.iot.doubles import CLOUD, CLOUD_KEY, DEVICE, DEVICE_KEY, PATIENT, Bench, readings
from tests.patience import PATIENCE_S

from bellwire.base.errors import BellwireError
from bellwire.base.frames import ConnectionEnded
from bellwire.channel.errors import HandshakeFailed, SessionEnded
from bellwire.channel.handshake import Gate, GateLimits, Initiator, Policy, TicketBox
from bellwire.channel.macs import MAX_HANDSHAKE_BODY, finish_hello, mac_key
from bellwire.channel.messages import HELLO_BODY, Kind
from bellwire.iot import limits as limits_module
from bellwire.iot.answering import Door, Guests, respond
from bellwire.iot.calling import Call, initiate
from bellwire.iot.destination import Address
from bellwire.iot.errors import CloudUnreachable, ProtocolError
from bellwire.iot.limits import Limits, Places
from bellwire.iot.line import StreamLine, StreamWire, read_message, write_message
from bellwire.iot.messages import Batch, Finish, Holding, Open, Stored, encode

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


@contextlib.asynccontextmanager
async def connection(bench: Bench) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection(bench.address.host, bench.address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def enrolled(stream: Stream, certificate: bytes = b"") -> StreamLine:
    call = Call(
        identity=DEVICE_KEY,
        pin=CLOUD,
        policy=Policy.OFF,
        qkd=None,
        counter=time.time_ns,
        within_s=PATIENCE_S,
        certificate=certificate,
    )
    line = await initiate(StreamWire(*stream), call)
    assert isinstance(line, StreamLine)
    return line


async def check_others_are_served(bench: Bench) -> None:
    report = await bench.device().send(readings(5), bench.address)
    assert report.complete


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\x01\x02" + struct.pack(">H", MAX_HANDSHAKE_BODY + 1) + bytes(100),
        b"\x01\x02\x00\x00",
        b"\x01\x02\x00\x04abcd",
        bytes(2) + struct.pack(">H", MAX_HANDSHAKE_BODY) + bytes(MAX_HANDSHAKE_BODY),
        b"\x01\x02" + struct.pack(">H", HELLO_BODY) + bytes(HELLO_BODY),
        finish_hello(
            b"\x01\x02" + struct.pack(">H", HELLO_BODY) + bytes(HELLO_BODY - 32),
            mac_key(CLOUD.public),
            None,
        ),
    ],
    ids=["http", "ones", "oversized", "empty", "short", "zeros", "zero-hello", "with-mac"],
)
def test_garbage_is_turned_away_and_others_are_served(bench: Bench, garbage: bytes) -> None:
    async def work() -> None:
        async with bench.running(limits=PATIENT):
            async with connection(bench) as (reader, writer):
                writer.write(garbage)
                await bench.turned_away()
                await reader.read()
            await check_others_are_served(bench)

    run(work())


async def _half_a_frame(stream: Stream) -> None:
    stream[1].write(b"\x00\x00")


async def _half_a_handshake(stream: Stream) -> None:
    initiator = Initiator(
        identity=DEVICE_KEY,
        responder_name=CLOUD.name,
        responder_public=CLOUD.public,
        policy=Policy.OFF,
        qkd=None,
        counter=1,
    )
    await write_message(stream[1], initiator.hello())
    await read_message(stream[0], MAX_HANDSHAKE_BODY)


async def _silence_in_session(stream: Stream) -> None:
    await enrolled(stream)


@pytest.mark.parametrize(
    ("stop", "limits"),
    [
        (_half_a_frame, Limits(handshake_s=0.05, idle_s=PATIENCE_S)),
        (_half_a_handshake, Limits(handshake_s=0.5, idle_s=PATIENCE_S)),
        (_silence_in_session, Limits(handshake_s=PATIENCE_S, idle_s=0.05)),
    ],
)
def test_slow_clients_are_turned_away(
    bench: Bench, stop: Callable[[Stream], Awaitable[None]], limits: Limits
) -> None:
    async def work() -> None:
        async with bench.running(limits=limits), connection(bench) as stream:
            # On a slow machine the client may be cut off before it gets as far as it means.
            with contextlib.suppress(ConnectionEnded):
                await stop(stream)
            await bench.turned_away()
        assert "too slow" in bench.reasons

    run(work())


@pytest.mark.parametrize("stop", [_half_a_frame, _half_a_handshake, _silence_in_session])
def test_clients_that_leave_are_forgotten(
    bench: Bench, stop: Callable[[Stream], Awaitable[None]]
) -> None:
    async def work() -> None:
        async with bench.running(limits=PATIENT) as cloud:
            async with connection(bench) as stream:
                await stop(stream)
            await bench.turned_away()
            await check_others_are_served(bench)
        assert len(cloud.streams) == 0
        assert len(cloud.reception) == 0

    run(work())


def test_connections_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "MAX_CONNECTIONS", 1)

    async def work() -> None:
        async with bench.running(limits=PATIENT), connection(bench) as first:
            await enrolled(first)
            async with connection(bench) as (reader, _):
                assert await reader.read() == b""
            assert "more than 1 connections" in bench.reasons

    run(work())


def test_unfinished_handshakes_are_bounded_and_sessions_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "MAX_WAITING", 4)

    async def work() -> None:
        async with bench.running(limits=PATIENT) as cloud, connection(bench) as stream:
            line = await enrolled(stream)
            async with connection(bench), connection(bench):
                async with asyncio.timeout(PATIENCE_S):
                    while cloud.entrance.waiting < 2:
                        await asyncio.sleep(0)
                async with connection(bench) as (reader, _):
                    assert await reader.read() == b"", "half of all is the most for one address"
                assert "unfinished" in bench.reasons
                await line.send(encode(Open(b"s" * 32)), PATIENCE_S)
                assert await line.receive(PATIENCE_S) is not None
            async with asyncio.timeout(PATIENCE_S):
                while cloud.entrance.waiting:
                    await asyncio.sleep(0)
            await check_others_are_served(bench)

    run(work())


@pytest.mark.parametrize(
    ("descriptors", "places"),
    [
        (None, Places(10_240, 2048, 10_240)),
        (20_000, Places(10_240, 2048, 2492)),
        (1024, Places(720, 180, 120)),
        (256, Places(144, 36, 24)),
        (3, Places(1, 2, 1)),
    ],
)
def test_connections_and_files_never_take_all_descriptors(
    descriptors: int | None, places: Places
) -> None:
    assert Places.of(descriptors) == places
    taken = places.connections + 2 * places.streams + 64
    assert descriptors is None or places.connections == 1 or taken <= descriptors


def test_too_many_handshakes_are_asked_for_a_cookie_and_then_turned_away(bench: Bench) -> None:
    few = GateLimits(network_per_s=1e-9, network_burst=2, total_per_s=1e-9, total_burst=1)

    async def work() -> None:
        async with bench.running(limits=Limits(PATIENCE_S, PATIENCE_S, few)):
            for _ in range(3):
                await check_others_are_served(bench)
            with pytest.raises(CloudUnreachable):
                await bench.device().send(readings(5), bench.address)
        assert "too many" in bench.reasons

    run(work())


def test_a_recorded_hello_is_turned_away_once_its_handshake_was_confirmed(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(limits=PATIENT):
            recorded = b""
            async with connection(bench) as stream:
                write = stream[1].write

                def record(data: bytes) -> None:
                    nonlocal recorded
                    recorded = recorded or data
                    write(data)

                stream[1].write = record  # type: ignore[method-assign, assignment] # listens in
                line = await enrolled(stream)
                await line.send(encode(Open(b"s" * 32)), PATIENCE_S)
                await line.receive(PATIENCE_S)
            async with connection(bench) as (reader, writer):
                await write_message(writer, recorded)
                answer = await read_message(reader, MAX_HANDSHAKE_BODY)
                assert answer[0] == Kind.ALERT
            assert "replay" in bench.reasons
        bench.events.clear()
        async with bench.running(limits=PATIENT):
            async with connection(bench) as (reader, writer):
                await write_message(writer, recorded)
                assert (await read_message(reader, MAX_HANDSHAKE_BODY))[0] == Kind.ALERT
            assert "replay" in bench.reasons, "also after a restart"

    run(work())


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([encode(Batch(0, (b"a",)))], "opened first"),
        ([encode(Finish())], "opened first"),
        ([b"rubbish"], "message of a device"),
        ([b"\x92\xa2\xff\xfe\x00"], "message of a device"),
        ([encode(Open(b"s" * 32)), encode(Open(b"s" * 32))], "one stream a session"),
        ([encode(Open(b"s" * 32)), encode(Stored(1))], "message of a device"),
        ([encode(Open(b"s" * 32)), encode(Batch(1, (b"a",)))], "expected reading 0"),
    ],
    ids=[
        "batch-first",
        "finish-first",
        "rubbish",
        "no-utf8",
        "two-streams",
        "not-a-device-s",
        "gap",
    ],
)
def test_enrolled_devices_that_break_the_protocol_are_turned_away(
    bench: Bench, messages: list[bytes], reason: str
) -> None:
    async def work() -> None:
        async with bench.running(limits=PATIENT):
            async with connection(bench) as stream:
                line = await enrolled(stream)
                for message in messages:
                    await line.send(message, PATIENCE_S)
                await bench.turned_away()
            assert reason in bench.reasons
            await check_others_are_served(bench)
        assert [b for b in bench.files() if b] == [readings(5).data]

    run(work())


def test_tampered_repeated_and_foreign_records_end_the_session(bench: Bench) -> None:
    async def tamper(line: StreamLine, writer: asyncio.StreamWriter) -> None:
        record = line.session.seal(encode(Open(b"s" * 32)))
        await write_message(writer, record[:-1] + bytes([record[-1] ^ 1]))

    async def repeat(line: StreamLine, writer: asyncio.StreamWriter) -> None:
        record = line.session.seal(encode(Open(b"s" * 32)))
        await write_message(writer, record)
        await write_message(writer, record)

    async def other_kind(line: StreamLine, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x01\x02\x00\x00")

    async def work() -> None:
        for attack in (tamper, repeat, other_kind):
            bench.events.clear()
            async with bench.running(limits=PATIENT), connection(bench) as stream:
                await attack(await enrolled(stream), stream[1])
                await bench.turned_away()
            assert "record" in bench.reasons
        assert bench.arrived == []

    run(work())


def test_closing_a_cloud_again_is_harmless(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(limits=PATIENT) as cloud:
            await cloud.close()
            await cloud.close()

    run(work())


def test_a_session_that_only_closes_is_no_failure(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(limits=PATIENT):
            async with connection(bench) as stream:
                line = await enrolled(stream)
                await line.send(encode(Open(b"s" * 32)), PATIENCE_S)
                await line.receive(PATIENCE_S)
                await line.finish(PATIENCE_S)
                assert await stream[0].read() == b""
            assert bench.reasons == ""

    run(work())


Cheat = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def send_to(bench: Bench, cheat: Cheat, timeout_s: float = PATIENCE_S) -> BellwireError:
    """What the device raises when `cheat` stands where the cloud should."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionEnded):
            await cheat(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        address = Address(*server.sockets[0].getsockname()[:2])
        device = bench.device(policy=Policy.OFF, timeout_s=timeout_s)
        with pytest.raises(BellwireError) as caught:
            await device.send(readings(5), address)
    return caught.value


def test_devices_survive_whatever_stands_in_the_cloud_s_place(bench: Bench) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        return

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await write_message(writer, b"HTTP/1.1 400 Bad Request")
        await reader.read()

    async def oversized(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x02\x02\xff\xff")
        await reader.read()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await write_message(writer, await read_message(reader, MAX_HANDSHAKE_BODY))
        await reader.read()

    async def work() -> None:
        assert isinstance(await send_to(bench, hang_up), CloudUnreachable)
        assert isinstance(await send_to(bench, silent, timeout_s=0.05), CloudUnreachable)
        for cheat in (garbage, oversized, echo):
            assert isinstance(await send_to(bench, cheat), HandshakeFailed)

    run(work())


def answering(*answers: bytes | None) -> Cheat:
    """A cloud with the right key that answers as given; None closes the session."""

    async def cheat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = await respond(
            StreamWire(reader, writer),
            door=Door(
                identity=CLOUD_KEY,
                name=CLOUD.name,
                policy=Policy.OFF,
                keys=None,
                gate=Gate(CLOUD.public),
                last_counter=lambda _: 0,
                confirmed=lambda *_: None,
                within_s=PATIENCE_S,
                tickets=TicketBox(time.monotonic),
            ),
            source="127.0.0.1",
            guests=Guests(admitted={DEVICE.fingerprint: DEVICE}),
        )
        assert opened is not None
        line, _ = opened
        for answer in answers:
            await line.receive(PATIENCE_S)
            if answer is None:
                await line.finish(PATIENCE_S)
                return
            await line.send(answer, PATIENCE_S)
        with contextlib.suppress(SessionEnded):
            await line.receive(PATIENCE_S)

    return cheat


EMPTY = encode(Holding(0, readings(5).sha256(0)))


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([b"rubbish"], ProtocolError),
        ([encode(Stored(0))], ProtocolError),
        ([EMPTY, EMPTY], ProtocolError),
        ([EMPTY, encode(Stored(4))], ProtocolError),
        ([EMPTY, encode(Stored(5)), EMPTY], ProtocolError),
        ([EMPTY, None], CloudUnreachable),
        ([EMPTY], CloudUnreachable),
    ],
    ids=["rubbish", "wrong-kind", "no-ack", "short-ack", "forgets", "closes", "leaves"],
)
def test_a_cloud_that_lies_is_not_believed(
    bench: Bench, answers: list[bytes | None], error: type[BellwireError]
) -> None:
    async def work() -> None:
        found = await send_to(bench, answering(*answers))
        assert isinstance(found, error)

    run(work())
