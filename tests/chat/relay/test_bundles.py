"""Payloads that are dropped, delivered and said to be safe together: what holds for each alone."""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from picows import (
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)
from tests.chat.relay.running import (
    HOUR,
    account,
    ever_stored,
    mailbox,
    number_of,
    owner_at,
    payload,
    relay_at,
    relay_on,
    right,
    run,
    token,
    two_at_a_slow_store,
)
from tests.patience import PATIENCE_S

from bellwire.chat.errors import RelayMisbehaved, RelayRefused, StoreUnusable
from bellwire.chat.relay import client, doors, server
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.frames import (
    PROTOCOL_HEADER,
    Deliver,
    DeliverBundle,
    Reason,
    Request,
    Safe,
    SafeUpTo,
)
from bellwire.chat.relay.jobs import Job, Outcome
from bellwire.chat.relay.listening import WINDOW
from bellwire.chat.relay.server import RelayLimits
from bellwire.chat.relay.store import RelayStore, StoreLimits


async def drop(line: RelayClient, numbers: Sequence[int], box: int = 1, size: int = 512) -> None:
    tokens = [token(number) for number in numbers]
    await line.drop_bundle(right(box), HOUR, tokens, [payload(number, size) for number in numbers])


async def take(line: RelayClient, count: int) -> list[int]:
    """The next payloads, said to be safe as they come."""
    numbers: list[int] = []
    while len(numbers) < count:
        came = await line.next_ones()
        line.safe(*(each.number for each in came))
        numbers += [number_of(each.payload) for each in came]
    return numbers


@contextlib.contextmanager
def earlier_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lines that are made meanwhile know nothing of bundles."""
    with monkeypatch.context() as patch:
        patch.setattr(client, "BUNDLES", "of-something-else")
        yield


@pytest.mark.parametrize(("size", "count"), [(512, 64), (4096, 16), (16_384, 4)])
def test_a_bundle_for_somebody_here_comes_at_once_and_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, count: int
) -> None:
    async def story() -> None:
        async with two_at_a_slow_store(tmp_path, monkeypatch) as (owner, sender):
            dropping = asyncio.create_task(drop(sender, range(1, count + 1), size=size))
            came = await owner.next_ones()
            assert [each.payload for each in came] == [payload(n + 1, size) for n in range(count)]
            assert {each.mailbox for each in came} == {mailbox(1)}
            assert not dropping.done()
            owner.safe(*(each.number for each in came))
            await dropping

    run(story())
    assert ever_stored(tmp_path) < 2


@pytest.mark.parametrize("understands", [True, False])
def test_bundles_for_somebody_away_wait_in_order_whatever_the_owners_client_understands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, understands: bool
) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url:
            async with await owner_at(url, boxes=2):
                pass
            async with await RelayClient.connect(url) as sender:
                await drop(sender, range(60))
                await drop(sender, range(60, 70), box=2)
                await drop(sender, range(70, 72), size=16_384)
                await drop(sender, range(72, 136))
            with contextlib.nullcontext() if understands else earlier_client(monkeypatch):
                async with await owner_at(url) as owner:
                    assert owner.bundles is understands
                    await owner.listen()
                    assert await take(owner, 136) == list(range(136))

    run(story())


def test_an_earlier_client_gets_what_is_dropped_in_bundles_while_it_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await RelayClient.connect(url) as sender:
            with earlier_client(monkeypatch):
                owner = await owner_at(url)
            async with owner:
                await owner.listen()
                for at in range(0, 90, 30):
                    dropping = asyncio.create_task(drop(sender, range(at, at + 30)))
                    assert await take(owner, 30) == list(range(at, at + 30))
                    await dropping

    run(story())


def test_an_earlier_relay_is_spoken_to_payload_by_payload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "BUNDLES", "not-yet")

    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as owner:
            assert not owner.bundles
            await owner.listen()
            for number in range(3):
                await owner.drop(right(1), token(number), HOUR, payload(number))
            assert await take(owner, 3) == [0, 1, 2]

    run(story())


def test_a_server_of_another_protocol_is_no_relay() -> None:
    def admit(_: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        other = WSUpgradeResponse.create_101_response(extra_headers={PROTOCOL_HEADER: "chess"})
        return WSUpgradeResponseWithListener(other, WSListener())

    async def story() -> None:
        other = await ws_create_server(admit, "127.0.0.1", 0)
        port = other.sockets[0].getsockname()[1]
        with pytest.raises(RelayMisbehaved, match="another protocol"):
            await RelayClient.connect(f"ws://127.0.0.1:{port}")
        other.close()
        await other.wait_closed()

    run(story())


def test_what_comes_again_in_other_company_is_done_and_delivered_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as owner:
            await owner.listen()
            async with await RelayClient.connect(url) as sender:
                again: list[Sequence[int]] = [
                    range(10),
                    range(10),
                    range(5, 15),
                    [15, 16, 16, 17],
                    range(18),
                ]
                single = [
                    sender.drop(right(1), token(number), HOUR, payload(number))
                    for number in (3, 16)
                ]
                await asyncio.gather(*(drop(sender, each) for each in again), *single)
                await drop(sender, range(2, 12))  # they are stored by now, and still under way
                await drop(sender, [18])
                assert await take(owner, 19) == list(range(19))
            async with await owner_at(url) as back, await RelayClient.connect(url) as sender:
                await back.listen()
                await drop(sender, [19])
                assert await take(back, 1) == [19]

    run(story())


@pytest.mark.parametrize("together", [True, False])
def test_of_a_bundle_that_was_safe_in_part_the_rest_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await RelayClient.connect(url) as sender:
            async with await owner_at(url) as owner:
                await owner.listen()
                await drop(sender, [0])
                await take(owner, 1)
                monkeypatch.setattr(server, "LINGER_S", 2 * PATIENCE_S)
                dropping = asyncio.create_task(drop(sender, range(1, 9)))
                came = await owner.next_ones()
                assert len(came) == 8
                if together:
                    owner.safe(*(each.number for each in came[:3]))
                else:
                    for each in came[:3]:
                        owner.safe(each.number)
                await owner.open_mailbox(mailbox(1), right(1))  # what was said before it is heard
                assert not dropping.done()
            await dropping
            async with await owner_at(url) as owner:
                await owner.listen()
                assert await take(owner, 5) == list(range(4, 9))

    run(story())


def test_words_that_skip_something_make_nothing_of_it_safe(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await RelayClient.connect(url) as sender:
            async with await owner_at(url) as owner:
                await owner.listen()
                await drop(sender, range(6))
                came = [await owner.next() for _ in range(6)]
                owner.safe(*(each.number for each in came if each.number not in {2, 5}))
                await owner.open_mailbox(mailbox(1), right(1))
            async with await owner_at(url) as owner:
                await owner.listen()
                assert await take(owner, 2) == [1, 4]

    run(story())


@pytest.mark.parametrize("missed", [False, True])
def test_what_never_came_is_not_said_to_be_safe_with_what_came_behind_it(
    monkeypatch: pytest.MonkeyPatch, missed: bool
) -> None:
    said: list[Request] = []

    async def story() -> None:
        line = RelayClient()
        line.bundles = True
        monkeypatch.setattr(line, "_send", said.append)
        line._heard(Deliver(mailbox(1), 1, payload(1)))
        line._heard(DeliverBundle(mailbox(1), 3 if missed else 2, (payload(2), payload(3))))
        line.safe(*(each.number for each in await line.next_ones()))

    run(story())
    assert said == ([Safe(1), Safe(3), Safe(4)] if missed else [SafeUpTo(3)])


def test_more_than_may_be_under_way_at_once_comes_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as owner:
            await owner.listen()
            async with await RelayClient.connect(url) as sender:
                every = [range(at, at + 40) for at in range(0, 400, 40)]
                dropping = [asyncio.create_task(drop(sender, each)) for each in every]
                first = await owner.next_ones()
                while len(first) < WINDOW:
                    first += await owner.next_ones()
                assert len(first) == WINDOW
                owner.safe(*(each.number for each in first))
                assert [number_of(each.payload) for each in first] + await take(
                    owner, 400 - WINDOW
                ) == list(range(400))
                await asyncio.gather(*dropping)

    run(story())


def test_of_a_bundle_for_which_there_is_no_room_nothing_behind_what_was_kept_is_kept(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with relay_at(tmp_path, store_limits=StoreLimits(mailbox_bytes=10 * 512)) as url:
            async with await owner_at(url):
                pass
            async with await RelayClient.connect(url) as sender:
                await drop(sender, range(6))
                with pytest.raises(RelayRefused) as refused:
                    await drop(sender, range(6, 16))
                assert refused.value.reason is Reason.FULL
                with pytest.raises(RelayRefused):
                    await drop(sender, [15], size=4096)
                async with await owner_at(url) as owner:
                    await owner.listen()
                    assert await take(owner, 10) == list(range(10))
                    await drop(sender, range(10, 16))
                    assert await take(owner, 6) == list(range(10, 16))

    run(story())


def test_a_bundle_counts_as_many_as_it_has(tmp_path: Path) -> None:
    async def story() -> None:
        limits = RelayLimits(drops_per_s=2)  # and twenty at once
        async with relay_at(tmp_path, limits) as url, await owner_at(url) as owner:
            async with await RelayClient.connect(url) as sender:
                with pytest.raises(RelayRefused) as refused:
                    await drop(sender, range(64))
                assert refused.value.reason is Reason.TOO_FAST
                await drop(sender, range(8))
            await owner.listen()
            assert await take(owner, 8) == list(range(8))

    run(story())


def test_a_bundle_that_cannot_be_stored_is_refused_once_and_goes_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RelayStore(tmp_path)
    works, do = [False], store.run

    def faulty(jobs: Sequence[Job], forget: Sequence[int] = ()) -> list[Outcome]:
        if not works[0]:
            raise StoreUnusable("expected room on the disk, got none")
        return do(jobs, forget)

    async def story() -> None:
        async with relay_on(store) as (url, relay):
            works[0] = True
            async with await owner_at(url), await RelayClient.connect(url) as sender:
                works[0] = False
                monkeypatch.setattr(server, "MAX_BATCH", 3)  # it takes several batches
                with pytest.raises(RelayRefused, match="store failed"):
                    await drop(sender, range(8))
                works[0] = True
                await drop(sender, range(8))
                assert relay.condition().waiting == 0
            async with await owner_at(url) as owner:
                await owner.listen()
                assert await take(owner, 8) == list(range(8))

    monkeypatch.setattr(store, "run", faulty)
    run(story())


def test_over_listeners_that_come_and_go_nothing_is_lost_and_bundles_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = random.Random(4)
    came: list[int] = []
    wanted = {1000 * box + n for box in (1, 2, 3) for n in range(300)}

    async def send(url: str, box: int) -> None:
        async with await RelayClient.connect(url) as sender:
            at = 0
            while at < 300:
                under_way = []
                for _ in range(drawn.randrange(1, 4)):
                    some = [
                        1000 * box + n for n in range(at, min(300, at + drawn.randrange(1, 50)))
                    ]
                    at += len(some)
                    if len(some) == 1:
                        one = some[0]
                        under_way.append(sender.drop(right(box), token(one), HOUR, payload(one)))
                    elif some:
                        under_way.append(drop(sender, some, box))
                        if drawn.random() < 0.3:
                            under_way.append(drop(sender, some[len(some) // 2 :], box))
                await asyncio.gather(*under_way)

    async def receive(url: str) -> None:
        while set(came) != wanted:
            earlier = drawn.random() < 0.3
            with earlier_client(monkeypatch) if earlier else contextlib.nullcontext():
                owner = await owner_at(url, account(31), boxes=3)
            async with owner:
                await owner.listen()
                kept_back = 0  # fewer than half of what may be under way: the rest must go on
                for _ in range(drawn.randrange(1, 30)):
                    some = await owner.next_ones()
                    came.extend(number_of(each.payload) for each in some)
                    safe: list[int] = []
                    for each in some:
                        if kept_back < 20 and drawn.random() < 0.05:
                            kept_back += 1
                        else:
                            safe.append(each.number)
                    owner.safe(*safe)
                    if set(came) == wanted:
                        break

    async def story() -> None:
        async with relay_at(tmp_path) as url:
            async with await owner_at(url, account(31), boxes=3):
                pass
            await asyncio.gather(receive(url), *(send(url, box) for box in (1, 2, 3)))

    run(story())
    first = list(dict.fromkeys(came))
    for box in (1, 2, 3):
        assert [n % 1000 for n in first if n // 1000 == box] == list(range(300))
