"""The status of a link reaches whoever listens at a NATS server, whatever becomes of the server."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import nats
import pytest
import uvloop
from tests.keys.test_status_log import GREEN, RED
from tests.network.conftest import NatsServer, served
from tests.patience import PATIENCE_S

from bellwire.base.errors import UsageError
from bellwire.crypto.signatures import SigningKey
from bellwire.keys.status import StatusView
from bellwire.node import status_push
from bellwire.node.errors import ConfigError
from bellwire.node.settings import load
from bellwire.node.settings_push import PushSettings
from bellwire.node.status_push import StatusPush, open_push
from bellwire.web.push import Changes

KEY = SigningKey(bytes(32))
Told = asyncio.Queue[dict[str, Any]]


@asynccontextmanager
async def listening(server: NatsServer, subject: str) -> AsyncIterator[Told]:
    """What is said on a subject."""
    told: Told = asyncio.Queue()
    client = await nats.connect(server.address)

    async def hear(message: Any) -> None:
        told.put_nowait(json.loads(message.data))

    await client.subscribe(subject, cb=hear)
    await client.flush()
    try:
        yield told
    finally:
        await client.close()


async def statuses(told: Told, status: str) -> dict[str, Any]:
    """The next message that says so."""
    while True:
        message = await told.get()
        if message["event"] == "status" and message["links"]["link"]["status"] == status:
            return message


def test_each_change_is_told_at_once_and_all_of_it_again_when_the_server_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status_push, "AGAIN_S", 0.05)
    views: dict[str, StatusView] = {"link": GREEN}
    changes = Changes()

    async def test(server: NatsServer) -> None:
        settings = PushSettings(nats=server.address, subject="site.status")
        push = StatusPush(
            settings, "a", "kme-a", KEY, views=lambda: views, changes=changes, clock=lambda: 5.0
        )
        async with listening(server, "site.status.a") as told:
            task = asyncio.create_task(push.run())
            first = await statuses(told, "GREEN")
            assert (first["kme"], first["at"]) == ("kme-a", 5.0)
            assert first["links"]["link"]["reason"] == GREEN.reason
            views["link"] = RED
            changes.tell()
            assert (await statuses(told, "RED"))["links"]["link"]["keys_may_flow"] is False
            beat = await told.get()
            assert (beat["event"], beat["links"]["link"]["status"]) == ("heartbeat", "RED")
            assert beat["sequence"] > first["sequence"] == 5_000_000
        await asyncio.to_thread(server.stop)
        views["link"] = GREEN
        changes.tell()
        await asyncio.to_thread(server.start)
        assert await asyncio.to_thread(server.answers)
        async with listening(server, "site.status.*") as told:
            views["link"] = RED
            changes.tell()
            await statuses(told, "RED")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def bounded(server: NatsServer) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test(server)

    with tempfile.TemporaryDirectory(prefix="bw") as name, served(Path(name)) as server:
        asyncio.run(bounded(server))


def test_who_tells_ends_when_told_to_whenever_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library loses some cancellations; a node would then never end."""
    monkeypatch.setattr(status_push, "AGAIN_S", 0.01)
    random = Random(1)

    async def test(server: NatsServer) -> None:
        for _ in range(100):
            changes = Changes()
            settings = PushSettings(nats=server.address)
            push = StatusPush(
                settings, "a", "kme-a", KEY, views=dict, changes=changes, clock=lambda: 5.0
            )
            task = asyncio.create_task(push.run())
            until = time.monotonic() + random.uniform(0.0, 0.05)
            while time.monotonic() < until:
                changes.tell()
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
            assert done

    with tempfile.TemporaryDirectory(prefix="bw") as name, served(Path(name)) as server:
        uvloop.run(test(server))


def test_without_a_server_nothing_is_told() -> None:
    nobody = open_push(
        PushSettings(), "a", "kme-a", lambda: KEY, views=dict, changes=Changes(), clock=lambda: 0.0
    )
    assert nobody is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4222", "nats://me:hunter2@127.0.0.1:4222", "nats://", "127.0.0.1"]
)
def test_a_server_that_is_none_is_refused_and_a_password_is_not_told(url: str) -> None:
    with pytest.raises(ConfigError, match=r"push\.nats") as caught:
        load(overrides={"push": {"nats": url}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("subject", ["", "a b", "a.", ">", "a.*", "ä"])
def test_a_subject_is_plain_words(subject: str) -> None:
    with pytest.raises(ConfigError, match=r"push\.subject"):
        load(overrides={"push": {"subject": subject}})


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    for name, words in (("ca", "push.ca"), ("credentials", "push.credentials")):
        settings = PushSettings(nats="tls://127.0.0.1:4222", **{name: tmp_path / "none"})  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=words):
            StatusPush(
                settings, "a", "kme-a", KEY, views=dict, changes=Changes(), clock=lambda: 0.0
            )
