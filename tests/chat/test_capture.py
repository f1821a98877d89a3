"""What crosses the relay and the classical channel has no word, no pad and no bit of key in it."""

import asyncio
import base64
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.chat.messenger.pairs import User, reachable, until
from tests.chat.relay.running import relay_at
from tests.chat.store.people import open_person
from tests.chat.tapping import Tap, found
from tests.node.nodes import framed
from tests.node.test_door import Doors, doors
from tests.node.test_fresh import warm
from tests.patience import PATIENCE_S

from bellwire.base.detections import Side
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.keys import Site
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.messenger.views import Mode
from bellwire.chat.pads import Policy
from bellwire.etsi014.exchange import Key
from bellwire.etsi014.fresh import FreshClient, FreshPad
from bellwire.etsi014.messages import Status

FROM_ALICE = ["the vault opens at noon", "bring both of the keys"]
FROM_BOB = ["understood, at noon, with the keys"]


class Noted:
    """A site's key server, whose every pad and key the test notes."""

    def __init__(self, server: FreshClient) -> None:
        self._server = server
        self.given: dict[str, bytes] = {}

    async def fresh(self, slave: str, bits: int) -> FreshPad:
        return self._note(await self._server.fresh(slave, bits))

    async def pad(self, master: str, pad_id: str) -> FreshPad:
        return self._note(await self._server.pad(master, pad_id))

    async def get_keys(self, slave: str, number: int = 1, bits: int | None = None) -> list[Key]:
        return await self._server.get_keys(slave, number, bits)

    async def get_keys_with_ids(self, master: str, key_ids: Sequence[str]) -> list[Key]:
        return await self._server.get_keys_with_ids(master, key_ids)

    async def status(self, slave: str) -> Status:
        return await self._server.status(slave)

    def _note(self, made: FreshPad) -> FreshPad:
        self.given[made.pad_id] = made.pad.reveal()
        return made


def overheard(kmes: Doors) -> bytearray:
    """All frames between the two nodes from now on: of distilling, and of the key service."""
    heard = bytearray()

    def tamper(_: Side, __: int, frame: bytes) -> bytes:
        heard.extend(frame)
        return frame

    def mangle(_: Side, __: int, frame: bytes) -> bytes:
        heard.extend(frame)
        return framed(frame)

    kmes.pair.wire.tamper, kmes.pair.wire.mangle = tamper, mangle
    return heard


def test_no_word_no_pad_and_no_key_bit_crosses_relay_or_classical_channel(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            doors(tmp_path) as kmes,
            relay_at(tmp_path / "relay", now=time.time()) as url,
            contextlib.AsyncExitStack() as stack,
        ):
            tap = Tap(int(url.rsplit(":", 1)[1]))
            wire = await stack.enter_async_context(
                await asyncio.start_server(tap.take, "127.0.0.1", 0)
            )
            address = f"ws://127.0.0.1:{wire.sockets[0].getsockname()[1]}"
            classical = overheard(kmes)
            servers = {name: Noted(kmes.clients[name]) for name in ("alice", "bob")}
            users = {}
            for name, server in servers.items():
                person = await asyncio.to_thread(open_person, tmp_path / f"{name} at home")
                stack.push_async_callback(asyncio.to_thread, person.close)
                setup = Setup(name.title(), address, Site(server, name))
                messenger = await stack.enter_async_context(Messenger(person, setup))
                users[name] = User(messenger, person)
            alice, bob = users["alice"], users["bob"]
            await bob.messenger.add(await alice.messenger.invite())
            for one, texts in ((alice, FROM_ALICE), (bob, FROM_BOB)):
                await until(lambda one=one: reachable(one))  # type: ignore[misc]
                peer = await one.peer()
                await one.messenger.set_mode(peer, Mode.FRESH)
                await one.messenger.set_policy(peer, Policy.REQUIRE)
                for text in texts:
                    await one.messenger.send(peer, text)
            for one, texts in ((alice, FROM_BOB), (bob, FROM_ALICE)):
                await until(lambda one=one, texts=texts: has(one, texts))  # type: ignore[misc]
            assert all(each.protection.is_one_time for each in await alice.lines())
            pads = servers["alice"].given
            assert pads == servers["bob"].given
            assert len(pads) == len(FROM_ALICE) + len(FROM_BOB)
        relayed = tap.heard()
        words = [each.encode() for each in FROM_ALICE + FROM_BOB]
        assert len(relayed) > 50_000
        assert len(classical) > 100_000
        assert b"Upgrade: websocket" in relayed  # that it is the wire, after all
        for crossed in (relayed, bytes(classical)):
            assert found(pads.values(), crossed) is None
            assert found(words, crossed) is None

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    warm()
    asyncio.run(bounded())


async def has(one: User, texts: list[str]) -> bool:
    return await one.texts() == texts


def _in_bits(secret: bytes) -> bytes:
    return np.unpackbits(np.frombuffer(secret, np.uint8)).tobytes()


def _moved(secret: bytes) -> bytes:
    """Its bits, three places on, the low bit of each byte first."""
    bits = np.concatenate([np.ones(3, np.uint8), np.unpackbits(np.frombuffer(secret, np.uint8))])
    return np.packbits(bits, bitorder="little").tobytes()


@pytest.mark.parametrize(
    "form",
    [
        bytes,
        lambda each: each[10:20],
        _moved,
        _in_bits,
        lambda each: each.hex().encode(),
        lambda each: each.hex().upper().encode(),
        base64.b64encode,
        lambda each: base64.b64encode(b"x" + each),
        lambda each: base64.urlsafe_b64encode(b"xy" + each),
    ],
)
def test_a_secret_in_a_capture_would_be_found(form: Callable[[bytes], bytes]) -> None:
    drawn = random.Random(3)
    secret, noise = drawn.randbytes(40), drawn.randbytes(50_000)
    assert found([secret], noise) is None
    assert found([secret], noise[:777] + form(secret) + noise[777:]) is not None
