"""Sessions that the cloud ends: when it drains, and when their device may no longer come."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.iot.broker import Mosquitto, mosquitto
from tests.iot.doubles import DEVICE, Bench, readings
from tests.iot.test_hostile import connection, enrolled
from tests.patience import PATIENCE_S

from bellwire.base.frames import ConnectionEnded
from bellwire.channel.certificates import Role
from bellwire.channel.errors import HandshakeRefused, Truncated
from bellwire.iot import authority as authorities
from bellwire.iot import limits as limits_module
from bellwire.iot.authority import REVOKED_FILE
from bellwire.iot.destination import Destination
from bellwire.iot.errors import CloudUnreachable
from bellwire.iot.events import Arrived, Event
from bellwire.iot.limits import Limits
from bellwire.iot.messages import Batch, Holding, Open, decode_from_cloud, encode
from bellwire.iot.mqtt import MqttAddress
from bellwire.iot.mqtt_listener import MqttListener
from bellwire.iot.rates import Rate
from bellwire.iot.trust_files import TrustFiles
from bellwire.iot.udp import UdpAddress

OFTEN = Limits(handshake_s=PATIENCE_S, idle_s=PATIENCE_S, recheck_s=0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


def test_who_writes_hears_of_an_end_that_was_read_first(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(limits=OFTEN), connection(bench) as stream:
            line = await enrolled(stream)
            stream[0].feed_eof()  # the connection breaks
            with pytest.raises(Truncated):
                await line.receive(PATIENCE_S)
            with pytest.raises(ConnectionEnded):
                await line.send(encode(Open(b"s" * 32)), PATIENCE_S)

    run(work())


def test_a_drained_cloud_answers_the_batch_that_came_and_says_that_it_closes(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(limits=OFTEN) as cloud, connection(bench) as stream:
            line = await enrolled(stream)
            await line.send(encode(Open(b"s" * 32)), PATIENCE_S)
            assert await line.receive(PATIENCE_S) == encode(Holding(0, readings(5).sha256(0)))
            draining: list[asyncio.Task[int]] = []

            def drain(event: Event) -> None:
                bench.events.append(event)
                if isinstance(event, Arrived):
                    draining.append(asyncio.create_task(cloud.drain(PATIENCE_S)))

            bench.notify = drain
            await line.send(encode(Batch(0, (b"a",))), PATIENCE_S)
            stored = await line.receive(PATIENCE_S)
            assert stored is not None
            assert decode_from_cloud(stored).count == 1  # type: ignore[union-attr] # Stored
            assert await line.receive(PATIENCE_S) is None, "a close, not the end of the connection"
            await line.finish(PATIENCE_S)
            assert await draining[0] == 0
        assert bench.reasons == ""

    run(work())


@pytest.mark.parametrize("transport", ["tcp", "udp", "mqtt"])
def test_over_every_transport_a_drained_cloud_ends_sessions_and_takes_no_new_ones(
    transport: str, bench: Bench, tmp_path: Path
) -> None:
    async def work(broker: Mosquitto) -> None:
        async with bench.running(limits=OFTEN) as cloud:
            to: Destination = bench.address
            if transport == "udp":
                to = UdpAddress(*await cloud.start_udp("127.0.0.1", 0))
            elif transport == "mqtt":
                listener = MqttListener(cloud.door, cloud.reception, notify=lambda event: None)
                cloud.add(listener)
                listener.start(broker.broker)
                to = MqttAddress(broker.broker)
            follows = asyncio.create_task(
                bench.device().follow(b"s" * 32, lambda: readings(5), _for_ever, to)
            )
            await until(lambda: len(bench.arrived) == 5)
            assert await cloud.drain(PATIENCE_S) == 0
            with pytest.raises(CloudUnreachable):
                await follows
            with pytest.raises(CloudUnreachable):
                await bench.device(timeout_s=1).send(readings(5), to)
            assert len(bench.sessions) == 1

    with mosquitto(tmp_path) as broker:
        run(work(broker))


async def _for_ever(count: int, within_s: float) -> bool:
    """Readings come, and none after the fifth; the device asks whether its cloud is there."""
    await asyncio.sleep(0.05)
    return True


def test_a_drained_cloud_ends_idle_sessions_and_takes_no_new_ones(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(limits=OFTEN) as cloud, connection(bench) as stream:
            line = await enrolled(stream)
            await until(lambda: len(bench.sessions) == 1)
            draining = asyncio.create_task(cloud.drain(PATIENCE_S))
            assert await line.receive(PATIENCE_S) is None
            await line.finish(PATIENCE_S)
            assert await draining == 0
            with pytest.raises(CloudUnreachable):
                await bench.device().send(readings(5), bench.address)

    run(work())


def test_who_does_not_end_in_time_is_counted(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(limits=OFTEN) as cloud, connection(bench):
            await until(lambda: len(cloud.reception) == 1)
            assert await cloud.drain(0.01) == 1

    run(work())


def test_a_device_whose_key_file_is_removed_loses_its_session(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(limits=OFTEN), connection(bench) as stream:
            line = await enrolled(stream)
            await until(lambda: len(bench.sessions) == 1)
            (bench.folder / "allowed" / "one.pub").unlink()
            assert await line.receive(PATIENCE_S) is None
            with pytest.raises(HandshakeRefused):
                await bench.device().send(readings(5), bench.address)

    run(work())


def test_a_device_whose_certificate_is_revoked_loses_its_session(
    bench: Bench, tmp_path: Path
) -> None:
    async def work() -> None:
        authority = authorities.create(tmp_path / "ca", "ed25519")
        certificate = authority.issue(DEVICE, 1)
        trust = TrustFiles(tmp_path / "ca" / "authority.pub", tmp_path / "ca" / REVOKED_FILE)
        running = bench.running(limits=OFTEN, admit=False, trust=trust)
        async with running, connection(bench) as stream:
            line = await enrolled(stream, certificate)
            await line.send(encode(Open(b"s" * 32)), PATIENCE_S)
            assert await line.receive(PATIENCE_S) is not None
            authority.revoke(certificate, Role.DEVICE)
            assert await line.receive(PATIENCE_S) is None

    run(work())


def test_a_device_with_many_sessions_keeps_the_newest(bench: Bench) -> None:
    async def work() -> None:
        limits = dataclasses.replace(OFTEN, sessions_each=2)
        async with (
            bench.running(limits=limits),
            connection(bench) as first,
            connection(bench) as second,
            connection(bench) as third,
        ):
            oldest, other = await enrolled(first), await enrolled(second)
            newest = await enrolled(third)
            assert await oldest.receive(PATIENCE_S) is None
            for line in (other, newest):
                await line.send(encode(Open(b"s" * 32)), PATIENCE_S)
                assert await line.receive(PATIENCE_S) is not None

    run(work())


def test_a_device_over_its_rate_is_answered_later_and_loses_nothing(bench: Bench) -> None:
    async def work() -> None:
        limits = dataclasses.replace(OFTEN, device_rate=Rate(1000, 100))
        async with bench.running(limits=limits):
            loop = asyncio.get_running_loop()
            began = loop.time()
            report = await bench.device().send(readings(400), bench.address)
            assert report.complete
            assert loop.time() - began >= 0.3, "300 readings at 1,000 a second"

    run(work())


def test_a_crowd_from_one_address_makes_room_for_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "MAX_WAITING", 4)

    async def work() -> None:
        async with bench.running(limits=OFTEN) as cloud:
            entrance = cloud.entrance
            out: list[str] = []

            async def wait(host: str, name: str) -> None:
                try:
                    async with entrance.enter(host):
                        await asyncio.Event().wait()
                except BaseException as error:
                    out.append(f"{name}: {type(error).__name__}")
                    raise

            async def come(host: str, name: str) -> asyncio.Task[None]:
                before = entrance.waiting
                task = asyncio.create_task(wait(host, name))
                await until(lambda: entrance.waiting > before or task.done() or bool(out))
                return task

            tasks = [await come("a", "a1"), await come("a", "a2"), await come("b", "b1")]
            tasks += [await come("b", "b2")]
            assert entrance.waiting == 4
            tasks.append(await come("c", "c1"))
            await until(lambda: bool(out))
            assert out == ["a1: TooManyHandshakes"], "who has waited longest where most wait"
            await until(lambda: entrance.waiting == 4)
            tasks.append(await come("a", "a3"))
            await until(lambda: len(out) == 2)
            assert out[1] == "a3: TooManyHandshakes", "no address pushes out one with as few"
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert entrance.waiting == 0
            assert (await bench.device().send(readings(5), bench.address)).complete

    run(work())
