"""Device and cloud through a real broker, which is neither trusted nor always there."""

import asyncio
import dataclasses
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from tests.iot.broker import Mosquitto, mosquitto
from tests.iot.doubles import Bench, readings
from tests.patience import PATIENCE_S

from bellwire.base.errors import UsageError
from bellwire.base.private import PathExposed
from bellwire.channel.errors import HandshakeRefused
from bellwire.channel.handshake import Policy
from bellwire.cli.destinations import load_mqtt, parse_broker, parse_destination
from bellwire.iot.broker import Broker, read_login
from bellwire.iot.errors import (
    BrokerUnreachable,
    CloudUnreachable,
    KeyUnavailable,
    TransportMissing,
)
from bellwire.iot.events import BrokerChanged
from bellwire.iot.mqtt import MqttAddress
from bellwire.iot.mqtt_listener import MqttListener


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as found:
        yield found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(bench: Bench, broker: Broker, **options: Any) -> AsyncIterator[MqttListener]:
    """A cloud that is at the broker."""
    async with bench.running(**options) as cloud:
        listener = MqttListener(cloud.door, cloud.reception, notify=bench.events.append)
        cloud.add(listener)
        before = len(found(bench))
        listener.start(broker)
        await until(lambda: len(found(bench)) > before)
        yield listener


def found(bench: Bench) -> list[BrokerChanged]:
    return [e for e in bench.events if isinstance(e, BrokerChanged) and e.lost is None]


def client(broker: Broker) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5, timeout=PATIENCE_S
    )


def test_readings_arrive_and_the_broker_sees_none_of_them(bench: Bench, server: Mosquitto) -> None:
    async def work() -> None:
        data = readings(2000, size=50)
        seen: list[aiomqtt.Message] = []

        async def watch() -> None:
            async with client(server.broker) as eve:
                await eve.subscribe("#", qos=0)
                listening.set()
                async for message in eve.messages:
                    seen.append(message)

        listening = asyncio.Event()
        watching = asyncio.create_task(watch())
        await listening.wait()
        async with serving(bench, server.broker):
            report = await bench.device().send(data, MqttAddress(server.broker))
            await until(lambda: len(seen) > 10)
        watching.cancel()
        assert report.complete
        assert report.protections.names == ("x25519", "ml-kem-768", "qkd (simulated)")
        assert bench.files() == [data.data]
        assert data[7] not in b"".join(message.payload for message in seen)
        topics = {str(message.topic) for message in seen}
        (down,) = topics - {"test/bellwire/up", "test/bellwire/status"}
        assert re.fullmatch("test/bellwire/down/[0-9a-f]{32}", down)
        assert not any(message.retain for message in seen if str(message.topic).endswith("/up"))

    run(work())


def test_a_broker_that_restarts_in_the_middle_loses_and_doubles_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    async def work(own: Mosquitto) -> None:
        data = readings(2000, size=400)
        async with serving(bench, own.broker):
            restarted = asyncio.Event()

            def progress(sent: int) -> None:
                if not restarted.is_set():
                    restarted.set()
                    own.stop()
                    own.start()

            report = await bench.device().send(data, MqttAddress(own.broker), progress=progress)
        assert restarted.is_set()
        assert report.complete
        assert b"".join(bench.arrived) == data.data
        assert len(bench.sessions) == 1, "the session outlives the broker"

    with mosquitto(tmp_path) as own:
        run(work(own))


def test_what_a_broker_plays_again_changes_nothing(bench: Bench, server: Mosquitto) -> None:
    async def work() -> None:
        data = readings(300, size=50)
        captured: list[aiomqtt.Message] = []
        async with serving(bench, server.broker) as listener, client(server.broker) as eve:
            await eve.subscribe("test/bellwire/up", qos=0)

            async def replay() -> None:
                async for message in eve.messages:
                    if len(captured) < 40:
                        captured.append(message)
                        for retain in (False, True):
                            await eve.publish(
                                message.topic.value,
                                message.payload,
                                qos=1,
                                retain=retain,
                                properties=_again(message),
                            )

            replaying = asyncio.create_task(replay())
            report = await bench.device().send(data, MqttAddress(server.broker))
            await until(lambda: len(captured) >= 5 and not listener._desk._tasks)
            for message in list(captured):
                await eve.publish("test/bellwire/up", message.payload, properties=_again(message))
            again = await bench.device().send(
                data, MqttAddress(server.broker), stream_name="second"
            )
            replaying.cancel()
            await eve.publish("test/bellwire/up", b"", retain=True)
        assert report.complete
        assert again.complete
        assert b"".join(bench.arrived) == 2 * data.data
        assert len(bench.sessions) == 2

    run(work())


def _again(message: aiomqtt.Message) -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    made: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    topic = getattr(message.properties, "ResponseTopic", None)
    if topic is not None:
        made.ResponseTopic = topic
    return made


@pytest.mark.parametrize(
    "topic", ["elsewhere/down/" + "0" * 32, "test/bellwire/up", "test/bellwire/down/x", None]
)
def test_a_cloud_publishes_only_where_devices_of_its_own_listen(
    bench: Bench, server: Mosquitto, topic: str | None
) -> None:
    from bellwire.channel.fragments import Knock, make_knock
    from bellwire.channel.messages import Suite
    from bellwire.iot.mqtt_link import MqttLink
    from bellwire.iot.mqtt_listener import _sender

    link = MqttLink(server.broker, identifier="x", listen="x", take=lambda *_: None)
    assert _sender(link, "test/bellwire", topic) is None
    assert _sender(link, "test/bellwire", "test/bellwire/down/" + "0" * 32) is not None

    async def work() -> None:
        async with serving(bench, server.broker) as listener:
            knock = make_knock(Knock(Suite.AES_256_GCM, b"d" * 32, b"m" * 16), b"k" * 1216)
            listener._take(link, server.broker, knock, topic)
            assert link._outgoing.empty()

    run(work())


def test_policies_hold_as_over_tcp(bench: Bench, server: Mosquitto) -> None:
    async def work() -> None:
        to = MqttAddress(server.broker)
        async with serving(bench, server.broker, policy=Policy.REQUIRE):
            with pytest.raises(KeyUnavailable):
                await dataclasses.replace(bench.device(), keys=None).send(readings(5), to)
            with pytest.raises(HandshakeRefused):
                await bench.device(policy=Policy.OFF).send(readings(5), to)
            bench.at_cloud.red = True
            with pytest.raises(HandshakeRefused):
                await bench.device().send(readings(5), to)
        assert not bench.sessions
        assert not bench.arrived

    run(work())


def test_a_broker_without_a_cloud_and_no_broker_are_told_apart_and_cost_no_key(
    bench: Bench, server: Mosquitto
) -> None:
    async def work() -> None:
        with pytest.raises(CloudUnreachable, match="got no answer"):
            await bench.device(timeout_s=3).send(readings(5), MqttAddress(server.broker))
        nowhere = MqttAddress(Broker("127.0.0.1", 9, "x"))
        with pytest.raises(BrokerUnreachable, match="mqtt://127"):
            await bench.device().send(readings(5), nowhere)
        assert bench.link.drawn == 0

    run(work())


def test_people_see_at_the_broker_whether_the_cloud_is_there(
    bench: Bench, server: Mosquitto
) -> None:
    async def status() -> bytes:
        async with client(server.broker) as people:
            await people.subscribe("test/bellwire/status", qos=1)
            async for message in people.messages:
                assert isinstance(message.payload, bytes)
                return message.payload
        raise AssertionError

    async def work() -> None:
        async with serving(bench, server.broker):
            assert await status() == b"online"
        assert await status() == b"offline"

    run(work())


@pytest.mark.parametrize(
    "text",
    [
        "mqtt://",
        "mqtt://user:secret@host",
        "mqtt://host/a//b",
        "mqtt://host/a+",
        "mqtt://host/#",
        "mqtt://host/$SYS",
        "mqtt://host:x",
        "http://host",
        "mqtt://host/" + "x" * 201,
    ],
)
def test_what_is_no_address_of_a_broker_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_broker(text, None)
    assert "secret" not in str(caught.value)


def test_addresses_are_read_as_people_write_them(tmp_path: Path) -> None:
    login = tmp_path / "login"
    login.touch(mode=0o600)
    login.write_text("thermometer\nsecret\n")
    broker = parse_broker("mqtts://[::1]/plant/hall", login)
    assert (broker.host, broker.port, broker.prefix) == ("::1", 8883, "plant/hall")
    assert broker.tls
    assert broker.login is not None
    assert broker.login.password.reveal() == b"secret"
    assert "secret" not in repr(broker) + str(broker) + repr(broker.login)
    assert str(parse_destination("mqtt://host")) == "mqtt://host:1883/bellwire"
    assert str(parse_destination("udp://[::1]:5")) == "udp://[::1]:5"
    assert str(parse_destination("tcp://host:5")) == str(parse_destination("host:5")) == "host:5"
    with pytest.raises(UsageError):
        parse_destination("coap://host:5")
    login.write_text("thermometer\n")
    with pytest.raises(UsageError, match="a password"):
        read_login(login)
    login.write_bytes(b"\xff\n\xff\n")
    with pytest.raises(UsageError, match="UTF-8"):
        read_login(login)
    login.chmod(0o644)
    with pytest.raises(PathExposed):
        read_login(login)


def test_without_aiomqtt_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("bellwire.iot.mqtt")
    monkeypatch.setitem(sys.modules, "bellwire.iot.mqtt", None)
    with pytest.raises(TransportMissing) as caught:
        load_mqtt()
    assert "bellwire[mqtt]" in (caught.value.hint or "")
