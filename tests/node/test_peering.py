"""A connection between two KMEs that ends while something that the peer said is being done."""

import asyncio
import threading
from pathlib import Path

import pytest
from tests.keys.links import MAC_KEY, Now, link_keys
from tests.keys.stores import new_store
from tests.node.nodes import framed
from tests.patience import PATIENCE_S

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.peering.line import Line
from bellwire.keys.peering.messages import VERSION, Sync, encode
from bellwire.node.peering import Peering


async def mac_key() -> Secret:
    return MAC_KEY


def said_by_the_peer(fence: Sync) -> tuple[Line, asyncio.StreamReader]:
    """Our end of a connection on which the peer has said this."""
    ours, theirs = Line(Side.ALICE, MAC_KEY), Line(Side.BOB, MAC_KEY)
    ours.receive_hello(theirs.hello())
    theirs.receive_hello(ours.hello())
    reader = asyncio.StreamReader()
    reader.feed_data(framed(theirs.seal(encode(fence))))
    return ours, reader


async def cancelled_while_it_is_done(keys: LinkKeys, noted: list[str]) -> None:
    """Hear that the peer fences; be cancelled while somebody else is in the store."""
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with keys._store._database.transaction():
            inside.set()
            assert leave.wait(PATIENCE_S)

    session = keys.meet(lambda messages: None)
    session.start()
    line, reader = said_by_the_peer(Sync(VERSION, "b", 0, 0, 0, 0, [], fence=True))
    staying = asyncio.create_task(asyncio.to_thread(stay))
    assert await asyncio.to_thread(inside.wait, PATIENCE_S)
    peering = Peering(keys, mac_key, frozenset, noted.append)
    reading = asyncio.create_task(peering._read(line, reader, session, None))
    while not keys._committer._turn.locked():
        await asyncio.sleep(0)
    reading.cancel()
    for _ in range(10):  # all that can go on without the store goes on
        await asyncio.sleep(0)
    leave.set()
    await staying
    with pytest.raises(asyncio.CancelledError):
        await reading


def test_a_pool_that_is_voided_while_its_connection_ends_is_noted_all_the_same(
    tmp_path: Path,
) -> None:
    store = new_store(tmp_path)
    noted: list[str] = []

    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), link_keys(store, "a", Now()) as keys:
            await cancelled_while_it_is_done(keys, noted)
            assert keys._pool.marks.epoch == 1

    asyncio.run(run())
    assert noted == ["the two sides numbered the same bits differently"]
    store.close()
