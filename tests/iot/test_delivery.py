"""Messages over a wire that loses, doubles and reorders, in a time that the test makes up."""

import heapq
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.iot.delivery import (
    MAX_MESSAGE,
    MAX_RTO_S,
    MAX_UNREAD,
    SEGMENT_HEAD,
    WINDOW,
    Delivery,
)
from bellwire.iot.errors import ProtocolError

ROOM = 100


@dataclass
class World:
    """Two ends and what lies between; time goes from one happening to the next."""

    seed: int = 0
    loss: float = 0.0
    delay_s: float = 0.02
    down: tuple[float, float] = (0.0, 0.0)
    now: float = 0.0
    sent: int = 0
    spread: float = 0.5
    wasted: int = 0
    ends: tuple[Delivery, ...] = field(
        default_factory=lambda: tuple(Delivery(ROOM) for _ in range(2))
    )
    got: tuple[list[bytes], list[bytes]] = field(default_factory=lambda: ([], []))

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.air: list[tuple[float, int, int, bytes]] = []

    def push(self, end: int) -> None:
        for text in self.ends[end].due(self.now):
            self.sent += 1
            down = self.down[0] <= self.now < self.down[1]
            self.wasted += down
            lost = down or self.draw.random() < self.loss
            for _ in range(0 if lost else 1 + (self.draw.random() < self.loss / 4)):
                at = self.now + self.delay_s * (1 + self.spread * self.draw.uniform(-1, 1))
                heapq.heappush(self.air, (at, len(self.air) + 100 * self.sent, 1 - end, text))

    def run(self, until: float = 1000.0) -> None:
        while self.now < until:
            for end in (0, 1):
                self.push(end)
                while (message := self.ends[end].read()) is not None:
                    self.got[end].append(message)
            times = [each.next_at for each in self.ends if each.next_at is not None]
            times += [self.air[0][0]] if self.air else []
            if not times:
                return
            self.now = max(self.now, min(times))
            while self.air and self.air[0][0] <= self.now:
                _, _, end, text = heapq.heappop(self.air)
                self.ends[end].take(text, self.now)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    up=st.lists(st.binary(max_size=2000), max_size=12),
    down=st.lists(st.binary(max_size=500), max_size=6),
)
def test_messages_arrive_whole_in_order_and_once_whatever_is_lost(
    seed: int, loss: float, up: list[bytes], down: list[bytes]
) -> None:
    world = World(seed=seed, loss=loss)
    for messages, end in ((up, 0), (down, 1)):
        for message in messages:
            world.ends[end].send(message)
        world.ends[end].end()
    world.run()
    assert (world.got[1], world.got[0]) == (up, down)
    for each in world.ends:
        assert each.settled
        assert each.ended
        assert each.next_at is None


def test_nothing_is_lost_by_a_wire_that_is_cut_for_half_a_minute() -> None:
    world = World(down=(0.05, 30.05))
    messages = [bytes([n]) * 1500 for n in range(40)]
    for message in messages:
        world.ends[0].send(message)
    world.run()
    assert world.got[1] == messages
    assert 30.05 < world.now < 30.05 + 2 * MAX_RTO_S, "it is tried again soon after"
    assert world.wasted < 60, "and not too often before"


def test_a_clean_wire_carries_each_segment_once_and_few_acknowledgements() -> None:
    world = World(spread=0)
    messages = [b"x" * (ROOM - SEGMENT_HEAD)] * 200
    for message in messages:
        world.ends[0].send(message)
    world.run()
    assert world.got[1] == messages
    assert world.sent <= 310


def test_losses_narrow_what_is_under_way_and_its_absence_widens_it() -> None:
    lossy, clean = (World(seed=1, loss=loss, spread=0) for loss in (0.2, 0.0))
    for world in (lossy, clean):
        for _ in range(200):
            world.ends[0].send(b"x" * 80)
        world.run()
    assert lossy.ends[0]._window < clean.ends[0]._window == WINDOW


def test_what_nobody_reads_is_bounded_and_comes_later() -> None:
    ends = Delivery(65_000), Delivery(65_000)
    for _ in range(20):
        ends[0].send(b"x" * 60_000)
    now = 0.0
    for _ in range(400):
        now += 0.1
        for sender, receiver in (ends, ends[::-1]):
            for text in sender.due(now):
                receiver.take(text, now)
    assert sum(map(len, ends[1]._unread)) <= MAX_UNREAD + 60_000
    read = 0
    for _ in range(400):
        now += 0.1
        while ends[1].read() is not None:
            read += 1
        for sender, receiver in (ends, ends[::-1]):
            for text in sender.due(now):
                receiver.take(text, now)
    assert read == 20


@pytest.mark.parametrize(
    "text",
    [
        b"",
        bytes(8),
        bytes([1]) + bytes(8),
        bytes([0, 0, 0, 0, 1]) + bytes(4),
    ],
)
def test_what_is_no_segment_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        Delivery(ROOM).take(text, 0.0)


def test_a_message_that_is_too_long_or_comes_after_the_end_is_refused() -> None:
    sender, receiver = Delivery(40_000), Delivery(40_000)
    sender._queue.extend([(1, b"x" * 39_000)] * 2)
    first, second = sender.due(0.0)
    receiver.take(first, 0.0)
    with pytest.raises(ProtocolError, match=str(MAX_MESSAGE)):
        receiver.take(second, 0.0)
    sender, receiver = Delivery(ROOM), Delivery(ROOM)
    sender.end()
    sender.send(b"more")
    first, second = sender.due(0.0)
    receiver.take(first, 0.0)
    with pytest.raises(ProtocolError, match="after the last"):
        receiver.take(second, 0.0)
