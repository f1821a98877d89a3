"""Attacks on a cloud's door, over every transport: each ends by name, and others are served."""

import asyncio
import contextlib
import gc
import itertools
import shutil
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.iot.broker import Mosquitto, mosquitto
from tests.iot.doubles import CLOUD, DEVICE, DEVICE_KEY, Bench, readings
from tests.iot.relay import Relay
from tests.patience import PATIENCE_S

from bellwire.base.errors import BellwireError
from bellwire.channel.fragments import (
    MIN_DATAGRAM,
    cookie_for,
    cut,
    knock_of,
    make_knock,
    parse_fragment,
)
from bellwire.channel.handshake import Initiator, Policy, SessionOptions, Suite
from bellwire.channel.messages import Kind, Transport
from bellwire.iot import limits as limits_module
from bellwire.iot.answering import Guests, respond
from bellwire.iot.calling import Call, initiate
from bellwire.iot.cloud import Cloud
from bellwire.iot.datagram_desk import DatagramDesk, Sender
from bellwire.iot.datagram_wire import CallingWire
from bellwire.iot.destination import Destination
from bellwire.iot.device import Device
from bellwire.iot.limits import Limits
from bellwire.iot.line import StreamWire, Wire
from bellwire.iot.mqtt import MqttAddress
from bellwire.iot.mqtt_listener import MqttListener
from bellwire.iot.sending import SendReport
from bellwire.iot.tickets import TicketFile
from bellwire.iot.udp import UdpAddress

TRANSPORTS = ["tcp", "udp", "mqtt"]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as found:
        yield found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


@contextlib.asynccontextmanager
async def serving(
    bench: Bench, transport: str, broker: Mosquitto, limits: Limits | None = None
) -> AsyncIterator[Destination]:
    """A cloud, and where it is over one transport."""
    async with bench.running(limits=limits) as cloud:
        if transport == "tcp":
            yield bench.address
        elif transport == "udp":
            yield UdpAddress(*await cloud.start_udp("127.0.0.1", 0))
        else:
            listener = MqttListener(cloud.door, cloud.reception, notify=lambda event: None)
            cloud.add(listener)
            listener.start(broker.broker)
            yield MqttAddress(broker.broker)


async def others_are_served(bench: Bench, to: Destination) -> None:
    assert (await bench.device().send(readings(5), to)).complete


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_of_two_sessions_with_one_ticket_one_resumes(
    transport: str, bench: Bench, broker: Mosquitto, tmp_path: Path
) -> None:
    async def work() -> None:
        async with serving(bench, transport, broker) as to:
            await bench.device(tickets=TicketFile(tmp_path / "ticket")).send(readings(5), to)
            shutil.copy(tmp_path / "ticket", tmp_path / "copy")
            both = [bench.device(tickets=TicketFile(tmp_path / n)) for n in ("ticket", "copy")]

            async def send(device: Device, count: int) -> SendReport:
                return await device.send(readings(count), to)

            done = await asyncio.gather(*(send(each, 7 + n) for n, each in enumerate(both)))
            assert sorted(report.protections.resumed for report in done) == [0, 1]
            assert all(report.complete for report in done)
            await others_are_served(bench, to)

    run(work())


def _initiator(transport: Transport) -> Initiator:
    return Initiator(
        identity=DEVICE_KEY,
        responder_name=CLOUD.name,
        responder_public=CLOUD.public,
        policy=Policy.OFF,
        qkd=None,
        counter=time.time_ns(),
        options=SessionOptions(transport=transport),
    )


async def _drip(wire: Wire, initiator: Initiator) -> None:
    """Say a hello without end: a byte after the other, or its first piece again and again."""
    if isinstance(wire, StreamWire):
        for byte in initiator.hello()[:-1]:
            wire._writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        return
    assert isinstance(wire, CallingWire)
    carry = wire._carry

    def first_piece(datagram: bytes) -> None:
        if datagram[0] != Kind.FRAGMENT or not parse_fragment(datagram).index:
            carry(datagram)

    wire._datagram_bytes = MIN_DATAGRAM
    wire._carry = first_piece
    await wire.write(initiator.hello())
    again, _ = initiator.receive(await wire.read())
    await wire.write(again)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_hello_that_drips_ends_in_time(transport: str, bench: Bench, broker: Mosquitto) -> None:
    async def work() -> None:
        limits = Limits(handshake_s=0.5, idle_s=PATIENCE_S)
        async with (
            serving(bench, transport, broker, limits) as to,
            to.reach(CLOUD.public, Suite.AES_256_GCM) as wire,
        ):
            dripping = asyncio.create_task(_drip(wire, _initiator(to.transport)))
            await bench.turned_away()
            dripping.cancel()
            await asyncio.wait([dripping])
        assert "too slow" in bench.reasons
        bench.events.clear()
        async with serving(bench, transport, broker) as to:
            await others_are_served(bench, to)

    run(work())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_session_that_falls_silent_ends_in_time(
    transport: str, bench: Bench, broker: Mosquitto
) -> None:
    async def work() -> None:
        limits = Limits(handshake_s=PATIENCE_S, idle_s=0.2)
        async with (
            serving(bench, transport, broker, limits) as to,
            to.reach(CLOUD.public, Suite.AES_256_GCM) as wire,
        ):
            call = Call(
                identity=DEVICE_KEY,
                pin=CLOUD,
                policy=Policy.OFF,
                qkd=None,
                counter=time.time_ns,
                within_s=PATIENCE_S,
                options=SessionOptions(transport=to.transport),
            )
            line = await initiate(wire, call)
            # Over datagrams the confirmation goes with the first record.
            with contextlib.suppress(BellwireError, TimeoutError):
                await line.send(b"", 5)
            await bench.turned_away()
        assert bench.reasons

    run(work())


ROUND = 2500
CROWD = 50
"""So many come at once: tables of all who are there keep the size of their largest crowd."""
QUIET = Limits(handshake_s=PATIENCE_S, idle_s=PATIENCE_S, recheck_s=PATIENCE_S)
"""The cloud looks at its list for newcomers alone: what is counted are their looks."""
WAITING = 256
"""Fewer than a cloud lets wait: what is looked at is the rest."""


async def check_bounded(
    cloud: Cloud, more: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 half-open handshakes keep no more than the first that were let in."""
    kept = []
    others = len(asyncio.all_tasks())
    in_turn = cloud.entrance.guests
    let_in = 0

    async def guests() -> Guests:
        nonlocal let_in
        found = await in_turn()
        let_in += 1
        return found

    def is_settled() -> bool:
        # Who still waits for the list of devices keeps less, or more, than who has it.
        return let_in == WAITING and len(asyncio.all_tasks()) == others + WAITING

    async def are_looked_at() -> None:
        # Who is turned away leaves in the same turn of the loop, or in the one after it.
        while len(asyncio.all_tasks()) > others + WAITING:
            await asyncio.sleep(0)

    monkeypatch.setattr(cloud.entrance, "guests", guests)
    tracemalloc.start()
    try:
        for number in range(4 * ROUND):
            more(number)
            if number % CROWD == CROWD - 1:
                await are_looked_at()
            if number % ROUND == ROUND - 1:
                async with asyncio.timeout(PATIENCE_S):
                    while not is_settled():
                        await asyncio.sleep(0.01)
                gc.collect()
                kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert cloud.entrance.waiting == WAITING
    first, *later = kept
    assert first > WAITING * 1024
    assert max(later) < 1.1 * first, kept


def test_ten_thousand_half_open_handshakes_over_tcp_keep_bounded_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "MAX_WAITING", WAITING)
    hello = _initiator(Transport.STREAM).hello()

    async def work() -> None:
        bench.notify = lambda event: None
        async with bench.running(limits=QUIET) as cloud:
            tasks: set[asyncio.Task[None]] = set()

            def more(number: int) -> None:
                reader = asyncio.StreamReader()
                reader.feed_data(hello[:1000])
                wire = StreamWire(reader, None)  # type: ignore[arg-type] # nothing is answered
                host = f"2001:db8:{number:x}::1"
                answer = partial(respond, wire, door=cloud.door, source=host)
                task = asyncio.create_task(
                    cloud.reception.host(host, host, lambda guests: answer(guests=guests))
                )
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            await check_bounded(cloud, more, monkeypatch)

    run(work())


def test_ten_thousand_half_open_handshakes_in_datagrams_keep_bounded_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The desk is the same over UDP and MQTT.
    monkeypatch.setattr(limits_module, "MAX_WAITING", WAITING)
    hello = _initiator(Transport.UDP).hello()
    knock = knock_of(hello)

    async def work() -> None:
        bench.notify = lambda event: None
        async with bench.running(limits=QUIET) as cloud:
            desk = DatagramDesk(
                cloud.door, cloud.reception, transport=Transport.UDP, datagram_bytes=MIN_DATAGRAM
            )

            def more(number: int) -> None:
                host = f"2001:db8:{number:x}::1"
                retries: list[bytes] = []
                sender = Sender(f"udp {host}", host, retries.append)
                desk.receive(make_knock(knock, CLOUD.public), sender)
                cookie = cookie_for(knock, retries[0], CLOUD.public)
                desk.receive(cut(hello, knock.digest, cookie, MIN_DATAGRAM)[0], sender)

            await check_bounded(cloud, more, monkeypatch)
            assert len(desk._visits) == WAITING
            await cloud.reception.close()
            await desk.close()

    run(work())


def test_who_listens_cannot_tell_by_the_bytes_that_a_device_calls_again(
    bench: Bench, tmp_path: Path
) -> None:
    def windows(datagrams: list[tuple[bool, bytes]]) -> set[bytes]:
        """Eight bytes from anywhere; records are numbered from 0, and these are no news."""
        found = set()
        for _, each in datagrams:
            text = each if each[0] < Kind.DATA else each[4:8].ljust(8, b"i") + each[16:]
            found |= {text[at : at + 8] for at in range(len(text) - 7)}
        return found

    async def work() -> None:
        async with bench.running() as cloud:
            at, seen = await cloud.start_udp("127.0.0.1", 0), []
            tickets = TicketFile(tmp_path / "ticket")
            # In full, by a ticket, and in full once more: the same device, the same readings.
            for kept, name in ((tickets, "a"), (tickets, "b"), (None, "c")):
                relay = Relay(at)
                async with relay.open() as to:
                    await bench.device(tickets=kept).send(readings(3), to, stream_name=name)
                seen.append(windows(relay.passed))
        assert [session.protections.resumed for session in bench.sessions] == [0, 1, 0]
        for one, other in itertools.combinations(seen, 2):
            assert sorted(one & other) == []
        for secret in (DEVICE.public, DEVICE.fingerprint, CLOUD.fingerprint):
            for one in seen:
                assert not one & {secret[at : at + 8] for at in range(len(secret) - 7)}

    run(work())
