"""Words over a NATS server that may lie: of the node, now, or none; and silence ends the lease."""

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from tests.guard.spaces import Spaces, until
from tests.guard.test_service import Process
from tests.network.conftest import NatsServer, served
from tests.patience import PATIENCE_S
from tests.web.test_pages import GREEN, RED

from bellwire.crypto.signatures import SigningKey, fingerprint
from bellwire.guard import nats as over_nats
from bellwire.guard.errors import StatusAbsent, StatusRefused
from bellwire.guard.nats import NatsListener
from bellwire.guard.signed import HEADER, Verifier, sign
from bellwire.keys.status import StatusView
from bellwire.node.settings_push import PushSettings
from bellwire.node.status_push import StatusPush
from bellwire.web.push import Changes

KEY, OTHER = SigningKey(bytes(32)), SigningKey(b"\x01" * 32)
SUBJECT = "bellwire.status.a"


def word(sequence: object = 1, **more: object) -> bytes:
    link = {"status": "GREEN", "keys_may_flow": True, "stale": False, "reason": "", "qber": 0.01}
    said = {"at": 5.0, "event": "heartbeat", "sequence": sequence, "links": {"link": link}, **more}
    return json.dumps(said).encode()


def verifier(key: SigningKey = KEY, subject: str = SUBJECT) -> Verifier:
    return Verifier(fingerprint(key.public_bytes), subject)


def test_words_of_the_node_are_read_once_and_in_their_order() -> None:
    reader = verifier()
    for sequence in (1, 2, 10):
        said = word(sequence)
        told = reader.read(said, sign(KEY, SUBJECT, said))
        assert told.links is not None
        assert told.links["link"].good
    for sequence in (10, 9, 1):
        said = word(sequence)
        with pytest.raises(StatusRefused, match="later word"):
            reader.read(said, sign(KEY, SUBJECT, said))


@pytest.mark.parametrize(
    "said",
    [
        word(0),
        word("1"),
        word(2, links=None),
        word(2, links={}),
        word(2, links={"link": {"status": "BLUE"}}),
        b'{"at": 5.0, "sequence": 2}',
        b"GREEN",
        b"\xff",
        b"",
        word(2, more="x" * 70_000),
    ],
    ids=range(10),
)
def test_what_the_node_signed_must_be_a_whole_word_all_the_same(said: bytes) -> None:
    reader = verifier()
    with pytest.raises(StatusRefused):
        reader.read(said, sign(KEY, SUBJECT, said))
    reader.read(word(1), sign(KEY, SUBJECT, word(1)))  # nothing counted of it


def test_what_others_signed_or_nobody_is_refused() -> None:
    reader, said = verifier(), word(7)
    right = sign(KEY, SUBJECT, said)[HEADER]
    altered = ("B" if right[-9] == "A" else "A").join((right[:-9], right[-8:]))
    refused = [
        sign(OTHER, SUBJECT, said),
        sign(KEY, "bellwire.status.b", said),
        sign(KEY, SUBJECT, word(8)),
        {HEADER: altered},
        {HEADER: right[:-4]},
        {HEADER: right + "AAAA"},
        {HEADER: "not base64"},
        {HEADER: "ä"},
        {HEADER: ""},
        {},
        None,
    ]
    for headers in refused:
        with pytest.raises(StatusRefused):
            reader.read(said, headers)
    reader.read(said, {HEADER: right})


def test_silence_of_the_node_or_of_the_server_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_nats, "SILENCE_S", 0.2)

    async def test(server: NatsServer) -> None:
        for url, why in ((server.address, "says nothing"), ("nats://127.0.0.1:1", "be reached")):
            words = NatsListener(url, SUBJECT, verifier(), {}).words()
            with pytest.raises(StatusAbsent, match=why):
                async with asyncio.timeout(PATIENCE_S):
                    await anext(words)

    with tempfile.TemporaryDirectory(prefix="bw") as name, served(Path(name)) as server:
        asyncio.run(test(server))


@contextlib.asynccontextmanager
async def telling(server: NatsServer, views: dict[str, StatusView]) -> AsyncIterator[Changes]:
    """A node tells how its links are."""
    changes = Changes()
    settings = PushSettings(nats=server.address)
    push = StatusPush(
        settings, "a", "kme-a", KEY, views=lambda: views, changes=changes, clock=time.time
    )
    task = asyncio.create_task(push.run())
    try:
        yield changes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def publish(server: NatsServer, said: bytes, headers: dict[str, str]) -> None:
    client = await nats.connect(server.address)
    await client.publish(SUBJECT, said, headers=headers)
    await client.flush()
    await client.close()


def test_packets_follow_a_node_over_nats_and_stop_at_a_forged_word_and_at_silence(
    net: Spaces, tmp_path: Path
) -> None:
    pinned = fingerprint(KEY.public_bytes).hex()

    async def test(server: NatsServer) -> None:
        line = ("--nats", server.address, "--node-identity", pinned, "--site", "a")
        process = Process((*line, "--lease", "6"), tmp_path / "state")
        try:
            await story(server, process)
        finally:
            process.process.kill()
            process.process.communicate()

    async def story(server: NatsServer, process: Process) -> None:
        views: dict[str, StatusView] = {"a-b": GREEN}

        async def comes(packets: str) -> str:
            state = await asyncio.to_thread(process.until, packets)
            return str(state["reason"])

        async with telling(server, views) as changes:
            await comes("pass")
            assert await asyncio.to_thread(net.reaches)
            views["a-b"] = RED
            changes.tell()
            assert (await comes("stop")).startswith("a-b is RED")
            assert not await asyncio.to_thread(net.reaches)
            views["a-b"] = GREEN
            changes.tell()
            await comes("pass")
            forged = word(1 << 60, at=time.time())
            await publish(server, forged, sign(OTHER, SUBJECT, forged))
            assert "identity is pinned" in await comes("stop")
            await comes("pass")
        assert "lease ran out" in await comes("stop")
        await asyncio.to_thread(until, lambda: not net.reaches(), "silence lets pass")

    with tempfile.TemporaryDirectory(prefix="bw") as name, served(Path(name)) as server:
        asyncio.run(asyncio.wait_for(test(server), PATIENCE_S))
