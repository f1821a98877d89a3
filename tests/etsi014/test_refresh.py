"""Keys are replaced in time at both ends, whatever the key server does, and no message is lost."""

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import Awaitable, Sequence
from random import Random
from typing import TypeVar

import pytest
from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.etsi014 import refresh as module
from bellwire.etsi014.errors import (
    Etsi014Error,
    KmeRejected,
    KmeUnauthorised,
    KmeUnavailable,
    KmeUnreachable,
    RequestUnusable,
    SubscriberTooSlow,
)
from bellwire.etsi014.exchange import Key
from bellwire.etsi014.refresh import Master, RefreshRules, Slave

T = TypeVar("T")


class Boxes:
    """A key server for both ends: keys once, and failures as a test says."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.left: set[str] = set()
        self.fail: list[Etsi014Error] = []
        self.drawn: list[str] = []
        self.asked = 0

    async def get_keys(self, slave: str, number: int = 1, bits: int | None = None) -> list[Key]:
        await self._answer()
        assert (slave, number) == ("bob", 1)
        key_id = str(uuid.uuid4())
        self.keys[key_id] = os.urandom((bits or 256) // 8)
        self.drawn.append(key_id)
        return [Key(key_id, Secret(self.keys[key_id]))]

    async def get_keys_with_ids(self, master: str, key_ids: Sequence[str]) -> list[Key]:
        await self._answer()
        (key_id,) = (each.lower() for each in key_ids)
        if master != "alice" or key_id not in self.keys or key_id in self.left:
            raise KmeRejected("one or more keys specified are not found on KME")
        self.left.add(key_id)
        return [Key(key_id, Secret(self.keys[key_id]))]

    async def _answer(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.fail:
            raise self.fail.pop(0)


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.0)


@pytest.fixture
def boxes() -> Boxes:
    return Boxes()


def run(work: Awaitable[T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE_S):
            return await work

    return asyncio.run(bounded())


@pytest.mark.parametrize("seed", range(20))
def test_every_message_is_read_under_the_key_it_was_sent_under(boxes: Boxes, seed: int) -> None:
    random = Random(seed)
    now = 0.0
    rules = RefreshRules(
        age_s=random.choice([30.0, float("inf")]), payload_bytes=1000, uses=random.randrange(1, 9)
    )
    used: dict[str, list[tuple[float, int]]] = {}

    async def work() -> None:
        nonlocal now
        async with Master(boxes, "bob", rules, monotonic=lambda: now) as master:
            slave = Slave(boxes, "alice", remembered=4, monotonic=lambda: now)
            on_their_way: list[tuple[str, bytes]] = []
            for _ in range(200):
                now += random.choice([0.0, 1.0, 20.0])
                size = random.randrange(400)
                if random.random() < 0.2:
                    boxes.fail = [random.choice([KmeUnavailable("x"), KmeUnreachable("x")])]
                key = await master.key(size)
                boxes.fail = []
                used.setdefault(key.key_id, []).append((now, size))
                on_their_way.append((key.key_id, key.key.reveal()))
                while len(on_their_way) > random.randrange(3):
                    key_id, bits = on_their_way.pop(0)
                    assert (await slave.key(key_id)).key.reveal() == bits

    run(work())
    for uses in used.values():
        assert len(uses) <= rules.uses
        assert sum(size for _, size in uses) <= rules.payload_bytes
        assert uses[-1][0] - uses[0][0] < rules.age_s
    assert list(used) == [each for each in boxes.drawn if each in used]
    assert len(used) > 10


def test_the_next_key_is_there_before_the_old_one_ends(boxes: Boxes) -> None:
    async def work() -> None:
        async with Master(boxes, "bob", RefreshRules(uses=5)) as master:
            keys = [(await master.key()).key_id for _ in range(4)]
            while len(boxes.drawn) < 2:
                await asyncio.sleep(0)
            asked = boxes.asked
            boxes.fail = [KmeUnavailable("RED")] * 100
            keys += [(await master.key()).key_id for _ in range(2)]
            assert Counter(keys) == {boxes.drawn[0]: 5, boxes.drawn[1]: 1}
            assert boxes.asked == asked

    run(work())


def test_without_a_new_key_a_message_waits_and_is_not_sent_under_the_old_one(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.005)
    told: list[str] = []

    async def work() -> None:
        rules = RefreshRules(uses=1)
        boxes.fail = [KmeUnavailable("the link is RED")] * 10_000
        async with Master(
            boxes, "bob", rules, patience_s=0.05, waiting=lambda error: told.append(str(error))
        ) as master:
            calls = [master.key() for _ in range(3)]
            for result in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(result, KmeUnavailable)
        boxes.fail = [KmeUnavailable("the link is RED")] * 3
        async with Master(boxes, "bob", rules, patience_s=PATIENCE_S) as master:
            waited = await asyncio.gather(master.key(), master.key())
            assert [each.key_id for each in waited] == boxes.drawn[:2]

    run(work())
    assert set(told) == {"the link is RED"}


def test_a_server_that_refuses_for_good_is_asked_once_for_each_call(boxes: Boxes) -> None:
    async def work() -> None:
        async with Master(boxes, "bob", RefreshRules(uses=1)) as master:
            for count in (1, 2):
                boxes.fail = [KmeUnauthorised("nobody")]
                with pytest.raises(KmeUnauthorised):
                    await master.key()
                assert boxes.asked == count
            await master.key()

    run(work())


def test_a_key_that_the_other_end_has_lost_is_replaced_when_asked(boxes: Boxes) -> None:
    async def work() -> None:
        async with Master(boxes, "bob", RefreshRules(uses=100)) as master:
            first = await master.key()
            await master.renew()
            second = await master.key()
            assert first.key_id != second.key_id
            slave = Slave(boxes, "alice")
            boxes.fail = [KmeUnreachable("its answer was lost")]
            with pytest.raises(KmeUnreachable):
                await slave.key(first.key_id)
            assert (await slave.key(second.key_id)).key == second.key

    run(work())


def test_subscribers_get_each_key_once_in_order_whatever_ends_it(boxes: Boxes) -> None:
    async def work() -> None:
        rules = RefreshRules(age_s=0.02, uses=3, payload_bytes=100)
        async with Master(boxes, "bob", rules) as master:

            async def subscribe(count: int) -> list[str]:
                got: list[str] = []
                async for key in master.follow():
                    got.append(key.key_id)
                    if len(got) == count:
                        break
                return got

            async def use() -> set[str]:
                used = set()
                for size in (10, 60, 50, 1, 1, 1) * 4:
                    used.add((await master.key(size)).key_id)
                    await asyncio.sleep(0.001)
                return used

            one, other, used = await asyncio.gather(subscribe(9), subscribe(5), use())
            assert one == boxes.drawn[:9]
            first = boxes.drawn.index(other[0])  # a later one, if the loop was slow
            assert other == boxes.drawn[first : first + 5]
            assert used <= set(boxes.drawn)

    run(work())


def test_a_subscriber_sees_a_key_end_by_age_that_nobody_uses(boxes: Boxes) -> None:
    async def work() -> None:
        boxes.fail = [KmeUnavailable("not yet")] * 3
        async with Master(boxes, "bob", RefreshRules(age_s=0.01)) as master:
            got = []
            async for key in master.follow():
                got.append(key.key_id)
                boxes.fail = [KmeUnavailable("RED"), KmeUnreachable("lost")]
                if len(got) == 4:
                    break
            assert got == boxes.drawn[:4]

    run(work())


def test_a_subscriber_who_takes_nothing_is_told_that_he_missed_keys(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNREAD", 3)

    async def work() -> None:
        async with Master(boxes, "bob", RefreshRules(uses=1)) as master:
            keys = master.follow()
            await anext(keys)
            for _ in range(6):
                await master.key()
            with pytest.raises(SubscriberTooSlow):
                await anext(keys)

    run(work())


def test_many_messages_at_once_under_one_new_id_fetch_its_key_once(boxes: Boxes) -> None:
    async def work() -> None:
        async with Master(boxes, "bob", RefreshRules(uses=100)) as master:
            sent = await master.key()
        slave = Slave(boxes, "alice")
        boxes.fail = [KmeUnavailable("a moment behind")]
        names = [sent.key_id, sent.key_id.upper()] * 10
        hasty = asyncio.ensure_future(slave.key(sent.key_id))
        await asyncio.sleep(0)
        hasty.cancel()
        got = await asyncio.gather(*(slave.key(each) for each in names))
        assert all(each.key == sent.key for each in got)
        assert boxes.asked == 3  # drawn, refused, fetched

    run(work())


def test_a_slave_forgets_the_keys_that_were_used_longest_ago(boxes: Boxes) -> None:
    async def work() -> None:
        async with Master(boxes, "bob", RefreshRules(uses=1)) as master:
            ids = [(await master.key()).key_id for _ in range(4)]
        slave = Slave(boxes, "alice", remembered=2)
        for each in (ids[0], ids[1], ids[0], ids[2]):
            await slave.key(each)
        assert (await slave.key(ids[0])).key_id == ids[0]
        with pytest.raises(KmeRejected):
            await slave.key(ids[1])

    run(work())


def test_a_slave_loses_patience_with_a_key_that_does_not_come(boxes: Boxes) -> None:
    now = 0.0

    async def work() -> None:
        nonlocal now
        slave = Slave(boxes, "alice", patience_s=5.0, monotonic=lambda: now)
        boxes.fail = [KmeUnavailable("RED")] * 10
        asking = asyncio.ensure_future(slave.key("x"))
        while len(boxes.fail) > 8:
            await asyncio.sleep(0)
        now = 6.0
        with pytest.raises(KmeUnavailable):
            await asking

    run(work())


@pytest.mark.parametrize(
    "limits", [{}, {"age_s": 0}, {"uses": -1}, {"payload_bytes": 0}, {"age_s": float("nan")}]
)
def test_rules_that_end_nothing_or_everything_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(RequestUnusable, match="expected limits"):
        RefreshRules(**limits)


def test_what_no_key_may_carry_is_refused(boxes: Boxes) -> None:
    async def work() -> None:
        async with Master(boxes, "bob", RefreshRules(payload_bytes=10)) as master:
            for size in (-1, 11):
                with pytest.raises(RequestUnusable, match="0 to 10 bytes"):
                    await master.key(size)
            assert (await master.key(10)).key_id != (await master.key(1)).key_id
        with pytest.raises(RequestUnusable, match="to remember"):
            Slave(boxes, "alice", remembered=0)

    run(work())
