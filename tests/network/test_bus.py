"""What every bus promises, on both; and what NATS keeps while nobody is there."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.network.conftest import NatsServer, Open, connected, on_nats, served
from tests.patience import PATIENCE_S
from tests.simulators.kme import Authority
from tests.simulators.mesh import until

from bellwire.base.errors import BellwireError
from bellwire.network.bus import MAX_DELIVERIES, MAX_MESSAGE_BYTES, Bus, Handler
from bellwire.network.errors import BusFailed, NetworkMisuse
from bellwire.network.nats_bus import NatsBus


class Ear:
    """Keeps what a node hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str | None, bytes]] = []

    async def __call__(self, topic: str | None, body: bytes) -> None:
        self.heard.append((topic, body))


@asynccontextmanager
async def listening(bus: Bus, node: str, handler: Handler) -> AsyncIterator[None]:
    task = asyncio.create_task(bus.listen(node, handler))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def told(story: Callable[[Bus], Awaitable[None]], open_bus: Open) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), open_bus() as bus:
            await story(bus)

    asyncio.run(run())


def test_an_inbox_is_one_nodes_and_a_topic_all_that_joined_it(open_bus: Open) -> None:
    async def story(bus: Bus) -> None:
        a, b = Ear(), Ear()
        await bus.join("a", ("links", "status"))
        await bus.join("b", ("links",))
        async with listening(bus, "a", a), listening(bus, "b", b):
            await bus.send("a", b"1", message_id="1")
            await bus.publish("links", b"2", message_id="2")
            await bus.publish("status", b"3", message_id="3")
            await bus.send("b", b"4", message_id="4")
            await until(lambda: len(a.heard) == 3 and len(b.heard) == 2)
            assert set(a.heard) == {(None, b"1"), ("links", b"2"), ("status", b"3")}
            assert set(b.heard) == {(None, b"4"), ("links", b"2")}

    told(story, open_bus)


def test_what_was_sent_before_a_node_listens_waits_for_it(open_bus: Open) -> None:
    async def story(bus: Bus) -> None:
        ear = Ear()
        await bus.join("a", ("links",))
        await bus.send("a", b"1", message_id="1")
        await bus.publish("links", b"2", message_id="2")
        async with listening(bus, "a", ear):
            await until(lambda: set(ear.heard) == {(None, b"1"), ("links", b"2")})

    told(story, open_bus)


def test_a_message_id_is_taken_once_for_each_place(open_bus: Open) -> None:
    async def story(bus: Bus) -> None:
        a, b = Ear(), Ear()
        await bus.join("a", ())
        await bus.join("b", ())
        for _ in range(3):
            await bus.send("a", b"1", message_id="same")
            await bus.send("b", b"2", message_id="same")
        await bus.send("a", b"3", message_id="other")
        await bus.send("b", b"3", message_id="other")
        async with listening(bus, "a", a), listening(bus, "b", b):
            await until(lambda: (None, b"3") in a.heard and (None, b"3") in b.heard)
            assert a.heard == [(None, b"1"), (None, b"3")]
            assert b.heard == [(None, b"2"), (None, b"3")]

    told(story, open_bus)


def test_a_handler_that_fails_gets_the_message_again_and_not_for_ever(open_bus: Open) -> None:
    async def story(bus: Bus) -> None:
        tried: list[bytes] = []

        async def handler(topic: str | None, body: bytes) -> None:
            tried.append(body)
            if body == b"never" or tried.count(body) < 3:
                raise BellwireError("not now")

        await bus.join("a", ())
        await bus.send("a", b"never", message_id="1")
        await bus.send("a", b"later", message_id="2")
        async with listening(bus, "a", handler):
            await until(lambda: tried.count(b"never") == MAX_DELIVERIES)
            await until(lambda: tried.count(b"later") == 3)
            await bus.send("a", b"last", message_id="3")
            await until(lambda: tried.count(b"last") == 3)
        assert tried.count(b"never") == MAX_DELIVERIES
        assert tried.count(b"later") == 3

    told(story, open_bus)


def test_names_and_sizes_are_bounded(open_bus: Open) -> None:
    async def story(bus: Bus) -> None:
        for name in ("", "a.b", "a*", ">", "a b", "a\n", "x" * 65):
            with pytest.raises(NetworkMisuse):
                await bus.send(name, b"", message_id="1")
            with pytest.raises(NetworkMisuse):
                await bus.publish(name, b"", message_id="1")
            with pytest.raises(NetworkMisuse):
                await bus.join(name, ())
            with pytest.raises(NetworkMisuse):
                await bus.join("a", (name,))
        with pytest.raises(NetworkMisuse):
            await bus.send("a", bytes(MAX_MESSAGE_BYTES + 1), message_id="1")
        ear = Ear()
        await bus.join("a", ())
        await bus.send("a", bytes(MAX_MESSAGE_BYTES), message_id="2")
        async with listening(bus, "a", ear):
            await until(lambda: ear.heard == [(None, bytes(MAX_MESSAGE_BYTES))])

    told(story, open_bus)


def test_a_message_for_who_never_joined_is_dropped(open_bus: Open) -> None:
    async def story(bus: Bus) -> None:
        ear = Ear()
        await bus.send("a", b"early", message_id="1")
        await bus.join("a", ())
        await bus.send("a", b"1", message_id="2")
        async with listening(bus, "a", ear):
            await until(lambda: bool(ear.heard))
            assert ear.heard == [(None, b"1")]

    told(story, open_bus)


def test_messages_outlive_the_node_and_the_server(nats_server: NatsServer) -> None:
    async def story() -> None:
        async with asyncio.timeout(PATIENCE_S):
            async with on_nats(nats_server, "lives") as before:
                await before.join("a", ("links",))
                await before.send("a", b"kept", message_id="1")
            nats_server.stop()
            nats_server.start()
            bus = await connected(nats_server, "lives")
            ear = Ear()
            await bus.join("a", ("links",))
            async with listening(bus, "a", ear):
                await until(lambda: ear.heard == [(None, b"kept")])
                nats_server.stop()
                nats_server.start()
                # The connection comes back by itself, and what is said meanwhile is refused.
                async for _ in attempts():
                    try:
                        await bus.send("a", b"after", message_id="2")
                        break
                    except BusFailed:
                        continue
                await until(lambda: (None, b"after") in ear.heard)
            await bus.close()

    asyncio.run(story())


async def attempts() -> AsyncIterator[None]:
    while True:
        yield
        await asyncio.sleep(0.05)


def test_a_server_that_is_not_there_is_named_as_the_reason() -> None:
    async def story() -> None:
        with pytest.raises(BusFailed, match="expected the NATS server to connect"):
            await NatsBus.connect(["nats://127.0.0.1:1"], within_s=0.3)

    asyncio.run(story())


def test_a_server_asks_for_our_certificate_and_we_for_its(tmp_path: Path) -> None:
    authority, foreign = Authority(tmp_path, "ca"), Authority(tmp_path, "other")
    certificate, key = authority.issue("nats")
    config = tmp_path / "nats.conf"
    config.write_text(
        f'tls {{ cert_file: "{certificate}", key_file: "{key}", '
        f'ca_file: "{authority.file}", verify: true }}'
    )

    def context(trusted: Authority, member: Authority | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(trusted.file))
        if member is not None:
            made.load_cert_chain(*member.issue("node"))
        return made

    async def story(address: str) -> None:
        with pytest.raises(BusFailed):
            await NatsBus.connect([address], tls=context(foreign, authority), within_s=0.5)
        for stranger in (None, foreign):
            with pytest.raises(BusFailed):
                await NatsBus.connect([address], tls=context(authority, stranger), within_s=0.5)
        bus = await NatsBus.connect([address], tls=context(authority, authority))
        ear = Ear()
        await bus.join("a", ())
        await bus.send("a", b"1", message_id="1")
        async with listening(bus, "a", ear):
            await until(lambda: ear.heard == [(None, b"1")])
        await bus.close()

    with served(tmp_path, "-c", str(config)) as server:
        asyncio.run(story(server.address.replace("nats:", "tls:")))
