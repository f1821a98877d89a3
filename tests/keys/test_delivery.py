"""Keys for consumers: nothing on RED, each bit once, and a socket that outlives bad consumers."""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.links import BITS, MAC_KEY, Now, link_keys, meet, outcome
from tests.keys.stores import add_pending, add_ready, new_store, pair, pool_of
from tests.patience import PATIENCE_S

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.detections import Side
from bellwire.base.errors import BellwireError, UsageError
from bellwire.base.frames import read_frame, write_frame
from bellwire.base.local import SocketUnusable
from bellwire.base.private import PathExposed
from bellwire.base.secret import Secret
from bellwire.keys import committer, delivery, delivery_server
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.delivery_server import DeliveryServer
from bellwire.keys.errors import (
    DeliveryFailed,
    KeyGone,
    KeyNotReady,
    KeySizeUnsupported,
    LinkRed,
    NodeUnreachable,
    NotEnoughKey,
    PeerAbsent,
)
from bellwire.keys.grants import LOCAL
from bellwire.keys.key_ids import KeyIds
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.lives import UnitLife
from bellwire.keys.messages import (
    ANSWER_LIMIT,
    Answer,
    Draw,
    Key,
    Refusal,
    Refused,
    Status,
    decode_answer,
    decode_request,
    encode,
)
from bellwire.keys.model import DeliveredKey, KeyId, KeySourceKind
from bellwire.keys.service import FlowCheck, KeyService
from bellwire.keys.status import HISTORY, LinkStatus
from bellwire.keys.status import Status as Level


def of_alice(first: int, bits: int) -> KeyId:
    """The id of a key that Alice's consumer has drawn."""
    return KeyId(KeyIds(MAC_KEY, Side.ALICE, 0).make([first], bits // 8, LOCAL))


def of_bob(first: int, bits: int) -> KeyId:
    """The id of a key that Bob's consumer has drawn."""
    return KeyId(KeyIds(MAC_KEY, Side.BOB, 0).make([first], bits // 8, LOCAL))


class Nodes(NamedTuple):
    """Two nodes' services, with block 1 ready at both, 2 at Bob alone."""

    alice: KeyService
    bob: KeyService
    status: LinkStatus
    now: Now


def with_nodes(folder: Path, test: Callable[[Nodes], Awaitable[None]]) -> None:
    """Run `test` with two nodes that have met; the status is Alice's."""
    alice, bob = pair(folder)
    for store in (alice, bob):
        add_ready(store, 1, BITS)
        add_pending(store, 2, BITS)

    async def run() -> None:
        now = Now()
        flows = []
        for _ in Side:
            status = LinkStatus(now=now())
            status.decide(outcome(0.02, now()))
            flows.append((status, FlowCheck(status, now)))
        (status, of_a), (_, of_b) = flows
        async with (
            link_keys(alice, "kme-a", now, check_flow=of_a) as a,
            link_keys(bob, "kme-b", now, check_flow=of_b) as b,
            meet(a, b),
        ):
            kind = KeySourceKind.SIMULATED
            await test(Nodes(KeyService(a, of_a, kind), KeyService(b, of_b, kind), status, now))

    asyncio.run(run())
    alice.close()
    bob.close()


def served(
    folder: Path, test: Callable[[DeliveryClient, LinkStatus, Now], Awaitable[None]]
) -> None:
    """Run `test` against Alice's node."""

    async def run(nodes: Nodes) -> None:
        async with DeliveryServer(folder / "s", nodes.alice):
            await test(DeliveryClient(folder / "s"), nodes.status, nodes.now)

    with_nodes(folder, run)
    assert not (folder / "s").exists()


def test_what_alices_consumer_draws_bobs_fetches(folder: Path) -> None:
    async def test(nodes: Nodes) -> None:
        async with (
            DeliveryServer(folder / "a", nodes.alice) as server,
            DeliveryServer(folder / "b", nodes.bob),
        ):
            of_a, of_b = DeliveryClient(folder / "a"), DeliveryClient(folder / "b")
            drawn = await of_a.draw(264)
            assert drawn.key_id == of_alice(0, 264)
            assert drawn.source is KeySourceKind.SIMULATED
            assert await of_b.fetch(drawn.key_id) == drawn
            with pytest.raises(KeyGone, match="before"):
                await of_b.fetch(drawn.key_id)
            with pytest.raises(KeyGone):
                await of_a.fetch(drawn.key_id)
            back = await of_b.draw(8192)
            assert await of_a.fetch(back.key_id) == back
            await server.close()
            with pytest.raises(NodeUnreachable):
                await of_a.status()

    with_nodes(folder, test)


def test_tasks_drawing_at_once_never_get_the_same_bits(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        keys = await asyncio.gather(*(client.draw(256) for _ in range(30)))
        assert len({key.key_id for key in keys}) == 30
        assert len({key.key.reveal() for key in keys}) == 30

    served(folder, test)


def test_on_red_and_without_a_fresh_verdict_no_key_leaves(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        status.decide(outcome(0.25, now()))
        for attempt in (client.draw(256), client.fetch(of_bob(400, 256))):
            with pytest.raises(LinkRed, match=r"RED: QBER 25\.0%") as caught:
                await attempt
            assert caught.value.exit_code == 3
        for _ in range(3):
            status.decide(outcome(0.02, now()))
        assert (await client.draw(256)).key_id == of_alice(0, 256)
        now.time += 60.0
        with pytest.raises(LinkRed, match="YELLOW, stale: no block decided"):
            await client.draw(256)

    served(folder, test)


def test_nothing_leaves_once_the_status_has_turned_red_though_it_was_asked_for_before(
    folder: Path,
) -> None:
    async def test(nodes: Nodes) -> None:
        key_id = (await nodes.bob.draw(256)).key_id
        drawing = asyncio.create_task(nodes.alice.draw(256))
        fetching = asyncio.create_task(nodes.alice.fetch(key_id))
        await asyncio.sleep(0)  # Both pass the first check and wait for their commit.
        nodes.status.decide(outcome(0.25, nodes.now()))
        for task in (drawing, fetching):
            with pytest.raises(LinkRed):
                await task
        for _ in range(3):
            nodes.status.decide(outcome(0.02, nodes.now()))
        assert (await nodes.alice.fetch(key_id)).key_id == key_id
        assert (await nodes.alice.draw(256)).key_id == of_alice(0, 256)

    with_nodes(folder, test)


def test_before_the_peers_kme_was_met_no_key_leaves(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, BITS)

    async def run() -> None:
        now = Now()
        status = LinkStatus(now=now())
        status.decide(outcome(0.02, now()))
        flow = FlowCheck(status, now)
        async with link_keys(store, "kme-a", now, check_flow=flow) as keys:
            service = KeyService(keys, flow, KeySourceKind.SIMULATED)
            for attempt in (service.draw(256), service.fetch(of_bob(400, 256))):
                with pytest.raises(PeerAbsent, match="not met"):
                    await attempt

    asyncio.run(run())
    store.close()


def test_nothing_is_given_up_before_the_peers_kme_was_met(folder: Path) -> None:
    """It would count, and hide from the peer that the store was put back."""
    stores = pair(folder)
    for store in stores:
        add_ready(store, 1, BITS)
    pool = pool_of(stores[0])
    pool.exchange.take_report(0, [(304, 308)], 0.0)

    async def run() -> None:
        now = Now()
        now.time = 1e6
        async with link_keys(stores[0], "kme-a", now) as a, link_keys(stores[1], "kme-b", now) as b:
            before = a._pool.marks.sequence
            await a.tend()
            assert a._pool.marks.sequence == before
            async with meet(a, b):
                pass
            await a.tend()
            assert a._pool.marks.sequence == before + 1
            assert a._pool.account()[UnitLife.THEIRS] == 300

    asyncio.run(run())
    for store in stores:
        store.close()


def test_a_key_asked_for_by_its_id_before_the_store_was_read_waits_for_the_peer(
    folder: Path,
) -> None:
    store = new_store(folder)

    async def run() -> None:
        keys = LinkKeys(store, "kme-a", check_flow=lambda: None, serves=lambda _: True, clock=Now())
        with pytest.raises(PeerAbsent, match="not met"):
            keys.read(of_bob(400, 256).data, own=False)
        await keys.close()

    asyncio.run(run())
    store.close()


def test_refusals_come_back_as_the_errors_they_were(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "READY_WITHIN_S", 0.01)

    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        for _ in range(BITS // 2 // 8192):
            there = (await client.draw(8192)).key
            assert len(there) == 1024
        with pytest.raises(NotEnoughKey) as caught:
            await client.draw(8192)
        assert caught.value.wanted == 8192
        assert 0 < caught.value.there < 8192
        with pytest.raises(KeyNotReady):
            await client.fetch(of_bob(700, 256))
        with pytest.raises(KeyGone, match="never was here"):
            await client.fetch(of_bob(0, 256))
        with pytest.raises(KeySizeUnsupported):
            await client.draw(12)
        with pytest.raises(KeySizeUnsupported):
            await client.draw(8200)

    served(folder, test)


def test_what_goes_wrong_in_the_store_is_reported_as_the_nodes_failure(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        refused = delivery_server._to_refused(BellwireError("it broke"))
        assert refused.kind is Refusal.FAILED
        with pytest.raises(DeliveryFailed, match="it broke"):
            raise delivery._refusal(refused)
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        await write_frame(writer, encode(Draw(12)))
        answer = decode_answer(await read_frame(reader, ANSWER_LIMIT))
        assert isinstance(answer, Refused)
        assert answer.kind is Refusal.BAD_REQUEST
        assert isinstance(delivery._refusal(answer), UsageError)
        writer.close()

    served(folder, test)


def test_a_key_id_that_was_made_up_leads_to_nothing_and_is_said_to_be_gone(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        good = of_bob(400, 256)
        changed = bytes([good.data[0] ^ 1]) + good.data[1:]
        for data in (bytes(16), changed):
            with pytest.raises(KeyGone, match=str(KeyId(data))):
                await client.fetch(KeyId(data))
        assert (await client.fetch(good)).key_id == good

    served(folder, test)


def test_an_id_of_the_peers_under_a_grant_that_is_not_here_ends_in_a_fence(folder: Path) -> None:
    """Only the peer can make it, after this side agreed: so this side's store was put back."""

    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        of_a_grant = KeyIds(MAC_KEY, Side.BOB, 0).make([400], 32, LOCAL + 1)
        with pytest.raises(KeyGone):
            await client.fetch(KeyId(of_a_grant))
        async with asyncio.timeout(PATIENCE_S):
            for unit in range(400, 600, 4):
                try:
                    await client.fetch(of_bob(unit, 256))
                except KeyGone:  # an id of the epoch before
                    return
                except DeliveryFailed:
                    pass  # the two are about to meet again
                await asyncio.sleep(0.05)
        raise AssertionError("keys went on leaving")

    served(folder, test)


def test_no_error_tells_where_bits_lie(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "READY_WITHIN_S", 0.01)

    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        for key_id in (of_bob(700, 256), of_bob(0, 256)):
            with pytest.raises((KeyGone, KeyNotReady)) as caught:
                await client.fetch(key_id)
            text = str(caught.value).replace(str(key_id), "")
            assert len(text) < len(str(caught.value))
            assert not any(character.isdigit() for character in text)

    served(folder, test)


def test_the_longest_status_fits_an_answer(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        for _ in range(HISTORY):
            status.decide(outcome(0.08, now(), reason="\N{GRINNING FACE}" * 500))
        view = await client.status()
        assert view == status.at(now())
        assert view.status is Level.YELLOW

    served(folder, test)


FRAMED = [
    b"",
    b"\xc1",
    msgspec.msgpack.encode(["draw", -1]),
    msgspec.msgpack.encode(["draw", "256"]),
    msgspec.msgpack.encode(["draw"]),
    msgspec.msgpack.encode(["fetch", bytes(15)]),
    msgspec.msgpack.encode(["steal", 256]),
    msgspec.msgpack.encode({"draw": 256}),
]


@pytest.mark.parametrize(
    "sent",
    [struct.pack(">I", len(body)) + body for body in FRAMED]
    + [struct.pack(">I", 2**32 - 1), struct.pack(">I", 65), b"\0\0", b""],
)
def test_whoever_sends_anything_else_is_cut_off_and_the_service_lives(
    folder: Path, sent: bytes
) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert (await client.status()).keys_may_flow

    served(folder, test)


def test_the_socket_is_open_to_its_owner_alone(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        assert (folder / "s").stat().st_mode & 0o777 == 0o600

    served(folder, test)


def test_the_folder_of_the_socket_is_its_owners_and_a_live_node_keeps_it(folder: Path) -> None:
    async def test(nodes: Nodes) -> None:
        async with DeliveryServer(folder / "s", nodes.alice):
            with pytest.raises(SocketUnusable, match="listens there"):
                await DeliveryServer(folder / "s", nodes.alice).start()
        (folder / "open").mkdir(mode=0o750)
        with pytest.raises(PathExposed):
            await DeliveryServer(folder / "open" / "s", nodes.alice).start()

    with_nodes(folder, test)


A_KEY = DeliveredKey(of_alice(0, 64), Secret(bytes(8)), KeySourceKind.LOCAL)


def test_answers_that_do_not_fit_the_request_are_refused(folder: Path) -> None:
    key_id = A_KEY.key_id
    right = Key(key_id.data, bytes(8), KeySourceKind.LOCAL)
    view = LinkStatus(now=0.0).at(0.0)
    wrong: list[tuple[Answer | bytes, Callable[[DeliveryClient], Coroutine[Any, Any, object]]]] = [
        (right, lambda c: c.draw(72)),
        (right, lambda c: c.fetch(of_alice(8, 64))),
        (right, lambda c: c.status()),
        (Key(key_id.data, bytes(9), KeySourceKind.LOCAL), lambda c: c.draw(64)),
        (Status(view), lambda c: c.draw(64)),
        (Status(view), lambda c: c.fetch(key_id)),
        (Refused(Refusal.FAILED, "no"), lambda c: c.status()),
        (b"\xc1", lambda c: c.status()),
        (bytes(ANSWER_LIMIT + 1), lambda c: c.status()),
    ]

    async def run(answer: Answer | bytes, ask: Callable[[DeliveryClient], Any]) -> None:
        over = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_frame(reader, ANSWER_LIMIT)
            body = answer if isinstance(answer, bytes) else encode(answer)
            writer.write(struct.pack(">I", len(body)) + body)
            await ended(writer)
            over.set()

        server = await asyncio.start_unix_server(serve, folder / "s")
        with pytest.raises(DeliveryFailed):
            await ask(DeliveryClient(folder / "s"))
        await over.wait()
        server.close()
        await server.wait_closed()

    for answer, ask in wrong:
        asyncio.run(run(answer, ask))


async def ended(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and see the end of it: a server that closes waits for none."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def test_a_node_that_is_silent_counts_as_unreachable(folder: Path) -> None:
    async def run() -> None:
        over = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            await ended(writer)
            over.set()

        server = await asyncio.start_unix_server(silent, folder / "s")
        with pytest.raises(NodeUnreachable) as caught:
            await DeliveryClient(folder / "s", timeout_s=0.01).status()
        await over.wait()
        assert caught.value.exit_code == 4
        server.close()
        await server.wait_closed()

    asyncio.run(run())


def test_messages_do_not_show_keys() -> None:
    assert repr(Key(bytes(16), b"secret!!", KeySourceKind.LOCAL)) == "Key(8 bytes, local)"


@given(body=st.binary(max_size=80))
def test_any_bytes_are_a_message_or_a_decoding_error(body: bytes) -> None:
    for decode in (decode_request, decode_answer):
        try:
            message = decode(body)
        except UNDECODABLE:
            continue
        assert decode(encode(message)) == message
