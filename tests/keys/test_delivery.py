"""Keys for consumers: nothing on RED, each bit once, and a socket that outlives bad consumers."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.stores import PREPLACED, add_pending, add_ready, new_store, pair

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import BellwireError, UsageError
from bellwire.base.frames import read_frame, write_frame
from bellwire.base.local import SocketUnusable
from bellwire.base.private import PathExposed
from bellwire.base.secret import Secret
from bellwire.keys import delivery
from bellwire.keys.delivery import DeliveryClient, DeliveryServer
from bellwire.keys.errors import (
    DeliveryFailed,
    KeyGone,
    KeyNotReady,
    KeySizeUnsupported,
    LinkRed,
    NodeUnreachable,
    NotEnoughKey,
)
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
from bellwire.keys.model import DeliveredKey, KeyId, KeySourceKind, KeyId
from bellwire.keys.opaque import KeyIdCipher
from bellwire.keys.reserve import AuthenticationKeys
from bellwire.keys.service import KeyService
from bellwire.keys.store import KeyStore
from bellwire.keys.status import HISTORY, BlockOutcome, LinkStatus
from bellwire.keys.status import Status as Level

BITS = 512 * 64
IDS = KeyIdCipher(AuthenticationKeys.from_bytes(PREPLACED.reveal()).mac_key)


def outside(block: int, first_unit: int, bits: int) -> KeyId:
    """The id of a place in the pool, as consumers see it."""
    return IDS.hide(KeyId(block, first_unit, bits))


class Now:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def outcome(qber: float, at: float, *, reason: str | None = None) -> BlockOutcome:
    return BlockOutcome(
        protocol=Protocol.BB84, accepted=qber < 0.11, qber=qber, decided_at=at, reason=reason
    )


def service(store: KeyStore, now: Now) -> tuple[KeyService, LinkStatus]:
    status = LinkStatus(now=now())
    status.decide(outcome(0.02, now()))
    return KeyService(store, status, now), status


def served(
    folder: Path, test: Callable[[DeliveryClient, LinkStatus, Now], Awaitable[None]]
) -> None:
    """Run `test` against Alice's node, with blocks 1 ready and 2 pending."""
    store, now = new_store(folder), Now()
    add_ready(store, 1, BITS)
    add_pending(store, 2, BITS)
    keys, status = service(store, now)

    async def run() -> None:
        async with DeliveryServer(folder / "s", keys):
            await test(DeliveryClient(folder / "s"), status, now)

    asyncio.run(run())
    store.close()
    assert not (folder / "s").exists()


def test_what_alices_consumer_draws_bobs_fetches(folder: Path) -> None:
    alice, bob = pair(folder)
    for store in (alice, bob):
        add_ready(store, 1, BITS)
    now = Now()

    async def run() -> None:
        async with (
            DeliveryServer(folder / "a", service(alice, now)[0]) as server,
            DeliveryServer(folder / "b", service(bob, now)[0]),
        ):
            of_a, of_b = DeliveryClient(folder / "a"), DeliveryClient(folder / "b")
            drawn = await of_a.draw(264)
            assert drawn.key_id == outside(1, 0, 264)
            assert drawn.source is KeySourceKind.SIMULATED
            assert await of_b.fetch(drawn.key_id) == drawn
            with pytest.raises(KeyGone, match="before"):
                await of_b.fetch(drawn.key_id)
            await server.close()
            with pytest.raises(NodeUnreachable):
                await of_a.status()

    asyncio.run(run())
    alice.close()
    bob.close()


def test_tasks_drawing_at_once_never_get_the_same_bits(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        keys = await asyncio.gather(*(client.draw(256) for _ in range(30)))
        assert len({key.key_id for key in keys}) == 30
        assert len({key.key.reveal() for key in keys}) == 30

    served(folder, test)


def test_on_red_and_without_a_fresh_verdict_no_key_leaves(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        status.decide(outcome(0.25, now()))
        for attempt in (client.draw(256), client.fetch(outside(1, 70, 256))):
            with pytest.raises(LinkRed, match=r"RED: QBER 25\.0%") as caught:
                await attempt
            assert caught.value.exit_code == 3
        for _ in range(3):
            status.decide(outcome(0.02, now()))
        assert (await client.draw(256)).key_id == outside(1, 0, 256)
        now.time += 60.0
        with pytest.raises(LinkRed, match="YELLOW, stale: no block decided"):
            await client.draw(256)

    served(folder, test)


def test_a_key_drawn_while_the_status_turns_red_is_lost_not_handed_out(folder: Path) -> None:
    store, now = new_store(folder), Now()
    add_ready(store, 1, BITS)
    keys, status = service(store, now)

    async def run() -> None:
        drawing = asyncio.create_task(keys.draw(256))
        fetching = asyncio.create_task(keys.fetch(outside(1, 70, 256)))
        await asyncio.sleep(0)  # Both pass the first check and hand over to a thread.
        status.decide(outcome(0.25, now()))
        for task in (drawing, fetching):
            with pytest.raises(LinkRed):
                await task

    asyncio.run(run())
    assert store.draw(256).key_id == KeyId(1, 1, 256)
    with pytest.raises(KeyGone):
        store.fetch(KeyId(1, 70, 256))
    store.close()


def test_refusals_come_back_as_the_errors_they_were(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        with pytest.raises(NotEnoughKey) as caught:
            await client.draw(65_536)
        assert (caught.value.wanted, caught.value.there) == (65_536, 31 * 512)
        with pytest.raises(KeyNotReady):
            await client.fetch(outside(2, 40, 256))
        with pytest.raises(KeyGone, match="no such block"):
            await client.fetch(outside(3, 0, 256))
        with pytest.raises(KeySizeUnsupported):
            await client.draw(12)

    served(folder, test)


def test_what_goes_wrong_in_the_store_is_reported_as_the_nodes_failure(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        refused = delivery._to_refused(BellwireError("it broke"))
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
        for place in (KeyId(1, 70, 256), KeyId(3, 0, 256)):
            made_up = KeyId(place.to_bytes())
            with pytest.raises(KeyGone, match=str(made_up)):
                await client.fetch(made_up)
        assert (await client.fetch(outside(1, 70, 256))).key_id == outside(1, 70, 256)

    served(folder, test)


def test_no_error_tells_where_bits_lie(folder: Path) -> None:
    async def test(client: DeliveryClient, status: LinkStatus, now: Now) -> None:
        for place in (KeyId(2, 40, 256), KeyId(3, 0, 256), KeyId(1, 0, 256)):
            with pytest.raises((KeyGone, KeyNotReady)) as caught:
                await client.fetch(IDS.hide(place))
            assert str(IDS.hide(place)) in str(caught.value)
            assert str(place) not in str(caught.value)

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
    store = new_store(folder)
    keys = service(store, Now())[0]

    async def run() -> None:
        async with DeliveryServer(folder / "s", keys):
            with pytest.raises(SocketUnusable, match="listens there"):
                await DeliveryServer(folder / "s", keys).start()
        (folder / "open").mkdir(mode=0o750)
        with pytest.raises(PathExposed):
            await DeliveryServer(folder / "open" / "s", keys).start()

    asyncio.run(run())
    store.close()


A_KEY = DeliveredKey(outside(1, 0, 64), Secret(bytes(8)), KeySourceKind.LOCAL)


def test_answers_that_do_not_fit_the_request_are_refused(folder: Path) -> None:
    key_id = A_KEY.key_id
    right = Key(key_id.data, bytes(8), KeySourceKind.LOCAL)
    view = LinkStatus(now=0.0).at(0.0)
    wrong: list[tuple[Answer | bytes, Callable[[DeliveryClient], Coroutine[Any, Any, object]]]] = [
        (right, lambda c: c.draw(72)),
        (right, lambda c: c.fetch(outside(2, 0, 64))),
        (right, lambda c: c.status()),
        (Key(key_id.data, bytes(9), KeySourceKind.LOCAL), lambda c: c.draw(64)),
        (Status(view), lambda c: c.draw(64)),
        (Status(view), lambda c: c.fetch(key_id)),
        (Refused(Refusal.FAILED, "no"), lambda c: c.status()),
        (b"\xc1", lambda c: c.status()),
        (bytes(ANSWER_LIMIT + 1), lambda c: c.status()),
    ]

    async def run(answer: Answer | bytes, ask: Callable[[DeliveryClient], Any]) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_frame(reader, ANSWER_LIMIT)
            body = answer if isinstance(answer, bytes) else encode(answer)
            writer.write(struct.pack(">I", len(body)) + body)
            writer.close()

        server = await asyncio.start_unix_server(serve, folder / "s")
        with pytest.raises(DeliveryFailed):
            await ask(DeliveryClient(folder / "s"))
        server.close()
        await server.wait_closed()

    for answer, ask in wrong:
        asyncio.run(run(answer, ask))


def test_a_node_that_is_silent_counts_as_unreachable(folder: Path) -> None:
    async def run() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(silent, folder / "s")
        with pytest.raises(NodeUnreachable) as caught:
            await DeliveryClient(folder / "s", timeout_s=0.01).status()
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


def test_the_side_of_a_service_is_its_stores(folder: Path) -> None:
    store = new_store(folder, Side.BOB)
    add_ready(store, 1, BITS)
    drawn = asyncio.run(service(store, Now())[0].draw(256))
    assert IDS.find(drawn.key_id).first_unit > 0
    store.close()
