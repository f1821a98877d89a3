"""Pads from stock: none is left unused, and more comes by itself."""

import asyncio
import random
from pathlib import Path

import pytest
from tests.chat.messenger.pairs import User, until
from tests.chat.messenger.servers import Link, Server
from tests.chat.messenger.test_engine import shown, tell

from bellwire.chat.content import (
    MAX_PARTS,
    PART_BYTES,
    Content,
    ContentKind,
    cut_along,
    join,
    split,
)
from bellwire.chat.messenger import sending
from bellwire.chat.messenger.keys import FILL_BYTES, draw
from bellwire.chat.messenger.views import Mode
from bellwire.chat.pads import OVERHEAD_BYTES, POINT_BYTES, Policy
from bellwire.etsi014.errors import KmeUnavailable

KB = "x" * 1024


def text(size: int, kind: ContentKind = ContentKind.TEXT) -> Content:
    return Content(kind, bytes(16), 1, bytes(97 + at % 26 for at in range(size)))


def test_what_is_left_of_many_pads_serves_messages_that_none_of_them_has_room_for(
    tmp_path: Path,
) -> None:
    count = 24
    taken = count * (len(KB) + OVERHEAD_BYTES)
    # r of each pad, what parts take beside their text, and steps that mix: 1 KiB is ample.
    link = Link(stock_bytes=-(-(taken + 1024) // FILL_BYTES) * FILL_BYTES)

    async def story(alice: User, bob: User, _: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_policy(peer, Policy.REQUIRE)
        await alice.messenger.set_mode(peer, Mode.POOL)
        for number in range(count):
            await alice.messenger.send(peer, f"{number:04}{KB[4:]}")
            await shown(bob, f"{number:04}{KB[4:]}")
        lines = await bob.lines()
        assert [each.text[:4] for each in lines] == [f"{number:04}" for number in range(count)]
        assert all(each.protection.is_one_time for each in lines)
        assert {len(each.protection.pad_ids) for each in lines} == {1, 2}
        assert (await alice.messenger.conversation(peer)).pad_bytes < FILL_BYTES

    tell(tmp_path, story, link)


def test_stock_in_small_pieces_is_fetched_all_the_same(tmp_path: Path) -> None:
    link = Link(stock_bytes=64 * 96)
    link.pieces = 96

    async def story(alice: User, bob: User, _: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.POOL)
        for each in ("one", "two", "three"):
            await alice.messenger.send(peer, each + KB[:1000])
            await shown(bob, each + KB[:1000])
        assert all(each.protection.is_one_time for each in await bob.lines())

    tell(tmp_path, story, link)


def test_pad_comes_by_itself_once_there_is_stock_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AGAIN_S", (0.02,))

    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.POOL)
        await alice.messenger.send(peer, "without")
        await shown(bob, "without")
        link.stock = 1 << 16

        async def enough() -> bool:
            return (await alice.messenger.conversation(peer)).pad_bytes >= sending.FILL_BELOW

        await until(enough)  # and nothing was said meanwhile
        await alice.messenger.send(peer, "under pad")
        await shown(bob, "under pad")
        assert [each.protection.is_one_time for each in await bob.lines()] == [False, True]

    tell(tmp_path, story, Link(stock_bytes=0))


@pytest.mark.parametrize("stock", [0, 100, 1056, 1500, 3000, 4096, 20_000])
@pytest.mark.parametrize("pieces", [32, 96, 300, None])
def test_a_draw_gives_what_there_is_and_never_less_than_is_needed(
    stock: int, pieces: int | None
) -> None:
    link = Link(stock_bytes=stock)
    link.pieces = pieces
    server, least = Server(link, "app-a"), 1056
    usable = stock if pieces is None else stock // pieces * (pieces // 32 * 32)

    async def once() -> None:
        status = await server.status("app-b")
        if usable < least:
            with pytest.raises(KmeUnavailable):
                await draw(server, "app-b", status, least)
            assert link.stock == stock
            return
        drawn = await draw(server, "app-b", status, least)
        assert len(drawn.pad) >= min(FILL_BYTES, max(least, usable // 2))

    asyncio.run(once())


def test_texts_are_cut_along_pads_and_are_whole_again() -> None:
    drawn = random.Random(7)
    for _ in range(500):
        rooms = [drawn.randrange(-16, 3000) for _ in range(drawn.randrange(8))]
        content = text(drawn.randrange(0, 9000))
        sizes = cut_along(content, rooms, OVERHEAD_BYTES)
        parts = split(content, sizes)
        assert join(parts) == content
        if sizes is None:
            fits = max(rooms, default=0) >= len(content.text) <= PART_BYTES
            assert fits or sum(each for each in rooms if each > 0) < len(content.text) + 7 * 16
            continue
        assert len(sizes) <= MAX_PARTS
        left = [each + OVERHEAD_BYTES for each in rooms]
        for size in sizes:  # each part finds its place as a shelf gives it: the first that has it
            at = next(at for at, each in enumerate(left) if each >= size + OVERHEAD_BYTES)
            left[at] -= size + OVERHEAD_BYTES


@pytest.mark.parametrize("kind", [ContentKind.FILE_KEY, ContentKind.TIMER])
def test_what_travels_in_one_part_is_not_cut(kind: ContentKind) -> None:
    timer = 60 if kind is ContentKind.TIMER else None
    size = 0 if timer else 100
    content = Content(kind, bytes(16), 1, bytes(size), timer_s=timer)
    assert cut_along(content, [60, 60], OVERHEAD_BYTES) is None


def test_a_text_for_which_there_is_too_little_pad_in_all_is_not_cut() -> None:
    assert cut_along(text(200), [60, 60], OVERHEAD_BYTES) is None
    assert cut_along(text(MAX_PARTS + 1), [1] * (MAX_PARTS + 1), OVERHEAD_BYTES) is None
    assert cut_along(text(120), [60, 60], OVERHEAD_BYTES) == [60, 60]
    assert POINT_BYTES + OVERHEAD_BYTES == 32  # of a pad for one message, beside its text
