"""SQLite, NATS and MQTT, each a real one: readings are there, with ids, over outages."""

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

import aiomqtt
import nats
import pytest
from tests.iot.outputs.conftest import KEY, Files, brokering
from tests.network.conftest import NatsServer, served
from tests.patience import PATIENCE_S

from bellwire.base.private import PathExposed
from bellwire.iot.errors import OutputFailed
from bellwire.iot.outputs.item import Item
from bellwire.iot.outputs.mqtt import MqttOutput
from bellwire.iot.outputs.nats import NatsOutput
from bellwire.iot.outputs.place import parse_place
from bellwire.iot.outputs.pump import Pump
from bellwire.iot.outputs.sqlite import SqliteOutput

ITEMS = [Item(KEY, "thermometer", 0, b"21.5"), Item(KEY, "thermometer", 1, b"\xff\x00")]


def idents(items: Sequence[Item]) -> list[str]:
    return [item.ident for item in items]


def test_rows_are_there_once_however_often_they_come(tmp_path: Path) -> None:
    async def work() -> None:
        output = SqliteOutput(tmp_path / "readings.db")
        await output.put(ITEMS)
        await output.put(ITEMS)
        await output.close()
        await output.close()

    asyncio.run(work())
    with sqlite3.connect(tmp_path / "readings.db") as database:
        rows = database.execute("SELECT device, stream, number, name, reading FROM readings")
        assert rows.fetchall() == [
            (KEY.device.hex(), KEY.stream.hex(), 0, "thermometer", "21.5"),
            (KEY.device.hex(), KEY.stream.hex(), 1, "thermometer", b"\xff\x00"),
        ]
    database.close()
    assert (tmp_path / "readings.db").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_database_or_not_ours_fails_by_name(tmp_path: Path) -> None:
    async def put(path: Path) -> None:
        await SqliteOutput(path).put(ITEMS)

    (tmp_path / "text").write_bytes(b"not a database, and longer than its header is" * 4)
    (tmp_path / "text").chmod(0o600)
    (tmp_path / "open").touch(mode=0o644)
    for name in ("text", "open", "none/there"):
        with pytest.raises(OutputFailed, match=name.split("/", maxsplit=1)[0]) as caught:
            asyncio.run(put(tmp_path / name))
        assert name != "open" or isinstance(caught.value.__cause__, PathExposed)


async def read_nats(server: NatsServer, count: int) -> tuple[list[dict[str, object]], list[str]]:
    client = await nats.connect(server.address)
    jetstream = client.jetstream()
    subscription = await jetstream.subscribe("bellwire.readings.>", ordered_consumer=True)
    messages = [await subscription.next_msg(timeout=PATIENCE_S) for _ in range(count)]
    info = await jetstream.stream_info("bellwire-readings")
    assert info.state.messages == count
    await client.close()
    return [json.loads(m.data) for m in messages], [m.subject for m in messages]


def test_nats_stores_each_reading_once_and_an_outage_loses_none(
    tmp_path: Path, files: Files
) -> None:
    async def work(server: NatsServer) -> None:
        await NatsOutput(server.address, "bellwire.readings").put(ITEMS[:1])
        output = NatsOutput(server.address, "bellwire.readings", within_s=10)
        await output.put(ITEMS)
        documents, subjects = await read_nats(server, 2)
        assert [each["id"] for each in documents] == idents(ITEMS)
        assert documents[0] == {
            "id": ITEMS[0].ident,
            "device": KEY.device.hex(),
            "name": "thermometer",
            "stream": KEY.stream.hex(),
            "number": 0,
            "reading": "21.5",
        }
        assert documents[1]["reading_base64"] == "/wA="
        assert set(subjects) == {f"bellwire.readings.{KEY.device.hex()}"}
        server.stop()
        with pytest.raises(OutputFailed, match="JetStream"):
            await output.put(ITEMS)
        files.append(KEY, 0, b"21.5", b"\xff\x00", b"later")
        pump = Pump(
            "nats",
            output,
            cursors=files.cursors,
            folder=files.folder,
            tell=lambda _: None,
            first_wait_s=0.01,
        )
        running = asyncio.create_task(pump.run())
        server.start()
        async with asyncio.timeout(PATIENCE_S):
            while pump.sent < 3:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        documents, _ = await read_nats(server, 3)
        assert [each["number"] for each in documents] == [0, 1, 2], "the server drops repeats"

    with served(tmp_path) as server:
        asyncio.run(work(server))


def test_a_nats_server_without_jetstream_fails_by_name(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(OutputFailed, match=r"127\.0\.0\.1:1"):
            await NatsOutput("nats://127.0.0.1:1", "bellwire.readings").put(ITEMS)

    asyncio.run(work())


async def collect(port: int, count: int, ready: asyncio.Event) -> list[dict[str, object]]:
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("bellwire/readings/#", qos=1)
        ready.set()
        found = []
        async for message in client.messages:
            assert str(message.topic).startswith(f"bellwire/readings/{KEY.device.hex()}/")
            assert isinstance(message.payload, bytes)
            assert not message.retain
            found.append(json.loads(message.payload))
            if len(found) == count:
                break
        return found


def test_mqtt_brings_readings_with_ids_and_an_outage_loses_none(tmp_path: Path) -> None:
    async def work() -> None:
        with brokering(tmp_path) as broker:
            output = MqttOutput("127.0.0.1", broker.port, "bellwire/readings", within_s=10)
            for last in (False, True):
                ready = asyncio.Event()
                collecting = asyncio.create_task(collect(broker.port, 2, ready))
                await ready.wait()
                await output.put(ITEMS)
                documents = await collecting
                assert [each["id"] for each in documents] == idents(ITEMS)
                assert [each.get("reading") for each in documents] == ["21.5", None]
                if last:
                    break
                broker.stop()
                with pytest.raises(OutputFailed, match="broker"):
                    await output.put(ITEMS)
                broker.start()
            await output.close()

    asyncio.run(asyncio.wait_for(work(), PATIENCE_S))


def test_mqtt_logs_in_by_a_file(tmp_path: Path) -> None:
    secret, users = tmp_path / "password", tmp_path / "users"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    users.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(users), "cloud", "hunter2"], check=True)

    async def work() -> None:
        with brokering(tmp_path, f"password_file {users}\n") as broker:
            where = f"mqtt://127.0.0.1:{broker.port}"
            output = parse_place(f"{where}?user=cloud&password-file={secret}").open()
            await output.put(ITEMS)
            await output.close()
            with pytest.raises(OutputFailed, match="broker"):
                await parse_place(where).open().put(ITEMS)

    asyncio.run(asyncio.wait_for(work(), PATIENCE_S))
