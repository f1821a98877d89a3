"""Messages to devices over the channel: once, in order, and only to who asked for them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.iot.broker import mosquitto
from tests.iot.doubles import DEVICE, Bench, readings
from tests.iot.relay import Relay
from tests.patience import PATIENCE_S

from bellwire.iot.destination import Destination
from bellwire.iot.events import Delivered
from bellwire.iot.gateway.queue import MessageQueue
from bellwire.iot.inbox import Inbox
from bellwire.iot.line import Line
from bellwire.iot.messages import (
    FromCloud,
    FromDevice,
    Listen,
    Push,
    Taken,
    Waiting,
    decode_from_cloud,
    encode,
)
from bellwire.iot.mqtt import MqttAddress
from bellwire.iot.mqtt_listener import MqttListener
from bellwire.iot.received import ReceivedFile
from bellwire.iot.udp import UdpAddress

SECONDS = 60.0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def post(bench: Bench, *messages: bytes) -> None:
    """As another process does."""
    with MessageQueue(bench.folder) as queue:
        queue.post(DEVICE.fingerprint, DEVICE.name, messages, 600)


def states(bench: Bench) -> list[str]:
    with MessageQueue(bench.folder) as queue:
        return [route.state for route in queue.routes()]


def came(path: Path) -> list[str]:
    if not path.exists():
        return []
    return [json.loads(line)["message"] for line in path.read_bytes().splitlines()]


@contextlib.asynccontextmanager
async def session(bench: Bench) -> AsyncIterator[Line]:
    """A device's session whose messages are the test's own."""
    async with contextlib.AsyncExitStack() as stack:
        yield (await bench.device()._reach(bench.address, stack))[0]


async def say(line: Line, message: FromDevice) -> None:
    await line.send(encode(message), PATIENCE_S)


async def hear(line: Line) -> FromCloud | None:
    data = await line.receive(PATIENCE_S)
    return None if data is None else decode_from_cloud(data)


@pytest.mark.parametrize("transport", ["tcp", "udp", "mqtt"])
def test_a_device_that_comes_to_send_takes_what_waited(
    transport: str, bench: Bench, tmp_path: Path
) -> None:
    async def work() -> None:
        path = tmp_path / "received"
        with contextlib.ExitStack() as stack:
            async with bench.running(messages=True) as cloud:
                to: Destination = bench.address
                if transport == "udp":
                    to = UdpAddress(*await cloud.start_udp("127.0.0.1", 0))
                if transport == "mqtt":
                    broker = stack.enter_context(mosquitto(tmp_path)).broker
                    listener = MqttListener(cloud.door, cloud.reception, notify=bench.notify)
                    cloud.add(listener)
                    listener.start(broker)
                    await until(lambda: bench.events)
                    to = MqttAddress(broker)
                post(bench, *(b"%d" % number for number in range(150)))
                inbox = Inbox(tmp_path / "device", ReceivedFile(path))
                report = await bench.device(inbox=inbox).send(readings(50), to)
                again = await bench.device(inbox=inbox).send(readings(60), to)
        assert report.complete
        assert again.complete
        assert came(path) == [str(number) for number in range(150)]
        assert states(bench) == ["DELIVERED"] * 150
        delivered = [event.count for event in bench.events if isinstance(event, Delivered)]
        assert sum(delivered) == 150
        with MessageQueue(bench.folder) as queue:
            protections = queue.routes()[0].protections
        assert protections == ("x25519", "ml-kem-768", "qkd (simulated)")

    run(work())


def test_a_device_with_nothing_to_send_has_each_message_soon(bench: Bench, tmp_path: Path) -> None:
    async def work() -> None:
        path, done = tmp_path / "received", asyncio.Event()

        async def wanted(within_s: float) -> bool:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await done.wait()
            return done.is_set()

        async with bench.running(messages=True):
            inbox = Inbox(tmp_path / "device", ReceivedFile(path))
            task = asyncio.create_task(bench.device().attend(inbox, wanted, bench.address))
            for number in range(3):
                post(bench, b"%d" % number)
                await until(lambda sent=number: len(came(path)) > sent)  # type: ignore[misc]
            done.set()
            await task
        assert came(path) == ["0", "1", "2"]

    run(work())


def test_a_wire_that_loses_doubles_and_reorders_changes_no_order(
    bench: Bench, tmp_path: Path
) -> None:
    async def work() -> None:
        path = tmp_path / "received"
        async with bench.running(messages=True) as cloud:
            relay = Relay(
                await cloud.start_udp("127.0.0.1", 0), loss=0.1, double=0.2, jitter_s=0.01, seed=5
            )
            post(bench, *(b"%d" % number * 300 for number in range(200)))
            async with relay.open() as address:
                inbox = Inbox(tmp_path / "device", ReceivedFile(path))
                await bench.device(inbox=inbox).send(readings(300), address)
        assert came(path) == [str(number) * 300 for number in range(200)]
        assert states(bench) == ["DELIVERED"] * 200

    run(work())


def test_an_acknowledgement_that_is_lost_costs_no_message_and_doubles_none(
    bench: Bench, tmp_path: Path
) -> None:
    async def work() -> None:
        post(bench, b"a", b"b")
        path = tmp_path / "received"
        inbox = Inbox(tmp_path / "device", ReceivedFile(path))
        async with bench.running(messages=True):
            async with session(bench) as line:
                await say(line, inbox.listen())
                pushes = [m for m in (await hear(line), await hear(line)) if isinstance(m, Push)]
                inbox.take(pushes[0])
            assert states(bench) == ["QUEUED", "QUEUED"]
            await bench.device(inbox=inbox).send(readings(1), bench.address)
        assert came(path) == ["a", "b"]
        assert states(bench) == ["DELIVERED", "DELIVERED"]

    run(work())


def test_a_device_that_does_not_listen_gets_nothing(bench: Bench) -> None:
    async def work() -> None:
        post(bench, b"a")
        async with bench.running(messages=True):
            assert (await bench.device().send(readings(5), bench.address)).complete
        assert states(bench) == ["QUEUED"]

    run(work())


def test_a_cloud_without_a_queue_says_that_nothing_waits(bench: Bench, tmp_path: Path) -> None:
    async def work() -> None:
        inbox = Inbox(tmp_path / "device", ReceivedFile(tmp_path / "received"))
        async with bench.running():
            assert (await bench.device(inbox=inbox).send(readings(5), bench.address)).complete
            async with session(bench) as line:
                await say(line, Taken(1))
                await bench.turned_away()
        assert "no push" in bench.reasons
        assert not (tmp_path / "received").exists()

    run(work())


@pytest.mark.parametrize("taken", [1, 3, 2**53])
def test_a_device_that_takes_what_it_was_not_given_is_cut_off(bench: Bench, taken: int) -> None:
    async def work() -> None:
        post(bench, b"a", b"b")
        async with bench.running(messages=True):
            async with session(bench) as line:
                await say(line, Listen(bytes(16), 0))
                heard = [await hear(line), await hear(line)]
                assert {type(each) for each in heard} == {Waiting, Push}
                await say(line, Taken(taken))
                await bench.turned_away()
            assert "push" in bench.reasons
        assert states(bench) == ["QUEUED", "QUEUED"]

    run(work())


def test_the_session_that_listened_last_gets_the_pushes(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(messages=True), session(bench) as old, session(bench) as new:
            for line in (old, new):
                await say(line, Listen(bytes(16), 0))
                assert await hear(line) == Waiting(0)
            post(bench, b"a")
            assert isinstance(await hear(new), Push)
            with pytest.raises(TimeoutError):
                await old.receive(0.3)

    run(work())


def test_what_waits_for_one_device_goes_to_no_other(bench: Bench) -> None:
    async def work() -> None:
        with MessageQueue(bench.folder) as queue:
            queue.post(b"other device" + bytes(20), "other", [b"secret"], 600)
        async with bench.running(messages=True), session(bench) as line:
            await say(line, Listen(bytes(16), 0))
            assert await hear(line) == Waiting(0)
            post(bench, b"mine")
            pushed = await hear(line)
            assert isinstance(pushed, Push)
            assert [item.data for item in pushed.messages] == [b"mine"]

    run(work())
