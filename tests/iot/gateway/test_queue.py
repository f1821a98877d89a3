"""The queue of messages to devices: in order, bounded, and each with its record."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from bellwire.iot.errors import MessageUnfit, QueueFull
from bellwire.iot.gateway import queue as queue_module
from bellwire.iot.gateway.database import Database
from bellwire.iot.gateway.queue import NO_QUEUE, MessageQueue
from bellwire.iot.messages import MAX_MESSAGE_BYTES, MAX_PUSH_BYTES

ONE, TWO = b"1" * 32, b"2" * 32


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> Iterator[MessageQueue]:
    with MessageQueue(tmp_path / "cloud", clock=clock) as made:
        yield made


def waiting(queue: MessageQueue, device: bytes = ONE) -> list[bytes]:
    return [item.data for item in queue.next_push(device, ())[1]]


def states(queue: MessageQueue) -> list[str]:
    return [route.state for route in queue.routes()]


def test_messages_go_out_in_the_order_in_which_they_were_queued(queue: MessageQueue) -> None:
    queue.post(ONE, "one", [b"a", b"b"], 60)
    queue.post(TWO, "two", [b"other"], 60)
    queue.post(ONE, "one", [b"c"], 60)
    name, items = queue.next_push(ONE, ("x25519", "ml-kem-768"))
    assert [(item.number, item.data) for item in items] == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert name != NO_QUEUE
    assert waiting(queue, TWO) == [b"other"]
    assert queue.delivered(ONE, [1, 2, 3]) == 3
    assert queue.delivered(ONE, [1, 2, 3]) == 0
    assert waiting(queue) == []
    record = queue.routes(ONE)[0]
    assert (record.state, record.size, record.name) == ("DELIVERED", 1, "one")
    assert record.protections == ("x25519", "ml-kem-768")
    assert states(queue).count("QUEUED") == 1


def test_a_push_has_as_much_as_a_record_holds(queue: MessageQueue) -> None:
    size = MAX_PUSH_BYTES // 3
    queue.post(ONE, "one", [bytes([n]) * size for n in range(1, 6)], 60)
    assert [item.number for item in queue.next_push(ONE, ())[1]] == [1, 2, 3]
    queue.delivered(ONE, [1, 2, 3])
    queue.post(ONE, "one", [b"x"] * 100, 60)
    assert [item.number for item in queue.next_push(ONE, ())[1]] == list(range(4, 6 + 62))


@pytest.mark.parametrize("message", [b"", b"x" * (MAX_MESSAGE_BYTES + 1)])
def test_a_message_that_is_empty_or_too_long_is_none(queue: MessageQueue, message: bytes) -> None:
    with pytest.raises(MessageUnfit, match="32,768"):
        queue.post(ONE, "one", [b"good", message], 60)
    assert queue.routes() == []


@pytest.mark.parametrize("wait_s", [0.0, -1.0, 30 * 86_400 + 1, float("nan"), float("inf")])
def test_a_message_waits_within_bounds(queue: MessageQueue, wait_s: float) -> None:
    with pytest.raises(MessageUnfit, match="seconds"):
        queue.post(ONE, "one", [b"good"], wait_s)


def test_no_more_wait_than_may_and_what_waits_is_kept(
    queue: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "MAX_WAITING", 3)
    monkeypatch.setattr(queue_module, "MAX_ALL_WAITING", 5)
    queue.post(ONE, "one", [b"a", b"b"], 60)
    with pytest.raises(QueueFull, match="this device"):
        queue.post(ONE, "one", [b"c", b"d"], 60)
    queue.post(TWO, "two", [b"e", b"f"], 60)
    with pytest.raises(QueueFull, match="all devices"):
        queue.post(b"3" * 32, "three", [b"g", b"h"], 60)
    assert waiting(queue) == [b"a", b"b"]
    queue.delivered(ONE, [1])
    queue.post(ONE, "one", [b"c", b"d"], 60)
    assert waiting(queue) == [b"b", b"c", b"d"]


def test_bytes_that_wait_are_bounded_too(
    queue: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "MAX_WAITING_BYTES", 100)
    queue.post(ONE, "one", [b"x" * 100], 60)
    with pytest.raises(QueueFull, match="100 bytes"):
        queue.post(ONE, "one", [b"y"], 60)


def test_what_waited_too_long_is_given_up_and_its_content_erased(
    queue: MessageQueue, clock: Clock, tmp_path: Path
) -> None:
    queue.post(ONE, "one", [b"short-lived content"], 60)
    queue.post(ONE, "one", [b"long-lived content"], 600)
    clock.now += 60
    assert [each.messages for each in queue.queues()] == [1]
    assert waiting(queue) == [b"long-lived content"]
    queue.delivered(ONE, [2])
    assert states(queue) == ["EXPIRED", "DELIVERED"]
    queue.close()
    files = b"".join(path.read_bytes() for path in (tmp_path / "cloud").glob("messages.db*"))
    assert b"-lived content" not in files


def test_what_arrives_although_it_expired_is_delivered(queue: MessageQueue, clock: Clock) -> None:
    queue.post(ONE, "one", [b"a"], 10)
    queue.post(ONE, "one", [b"b"], 60)
    assert waiting(queue) == [b"a", b"b"]
    clock.now += 30
    assert states(queue) == ["EXPIRED", "QUEUED"]
    assert queue.delivered(ONE, [1, 2]) == 2
    assert states(queue) == ["DELIVERED", "DELIVERED"]


def test_what_expired_before_it_went_out_is_not_counted_with_what_follows(
    queue: MessageQueue, clock: Clock
) -> None:
    queue.post(ONE, "one", [b"a"], 10)
    queue.post(ONE, "one", [b"b"], 60)
    clock.now += 30
    name, items = queue.next_push(ONE, ())
    assert [item.number for item in items] == [2]
    assert queue.confirm(ONE, name, 2) == (1, 0)
    assert states(queue) == ["EXPIRED", "DELIVERED"]


def test_what_a_device_says_that_it_has_is_delivered(queue: MessageQueue) -> None:
    assert queue.confirm(ONE, NO_QUEUE, 0) == (0, 0)
    queue.post(ONE, "one", [b"a", b"b"], 60)
    name, _ = queue.next_push(ONE, ())
    assert queue.confirm(ONE, name, 1) == (1, 1)
    assert queue.confirm(ONE, name, 1) == (0, 1)
    assert queue.confirm(ONE, b"another queue...", 2) == (0, 1)
    assert waiting(queue) == [b"b"]


def test_a_queue_that_is_older_than_what_the_device_saw_gets_another_id(
    queue: MessageQueue,
) -> None:
    queue.post(ONE, "one", [b"a"], 60)
    name, _ = queue.next_push(ONE, ())
    assert queue.confirm(ONE, name, 7) == (0, 1)
    other, items = queue.next_push(ONE, ())
    assert other != name
    assert [item.data for item in items] == [b"a"]
    assert queue.confirm(ONE, other, 0) == (0, 1)
    assert queue.next_push(ONE, ())[0] == other


def test_records_are_bounded_and_what_waits_is_not_among_those_that_go(
    queue: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "KEPT_RECORDS", 5)
    queue.post(ONE, "one", [b"waits"], 60)
    for number in range(20):
        queue.post(TWO, "two", [b"x"], 60)
        queue.delivered(TWO, [number + 1])
    assert len(queue.routes()) == 6
    assert waiting(queue) == [b"waits"]
    assert [route.number for route in queue.routes(TWO, most=2)] == [19, 20]


def test_another_process_s_messages_are_noticed(queue: MessageQueue, tmp_path: Path) -> None:
    before = queue.version()
    assert queue.version() == before
    with MessageQueue(tmp_path / "cloud") as other:
        posted = other.post(ONE, "one", [b"a"], 60)
    assert queue.version() != before
    found = queue.route(posted[0].id)
    assert found is not None
    assert found.state == "QUEUED"


def test_a_message_is_durable_when_it_is_queued(tmp_path: Path, clock: Clock) -> None:
    database = Database(tmp_path / "one.db", clock)
    try:
        assert database.read("PRAGMA synchronous") == [(2,)]
        with contextlib.suppress(ZeroDivisionError), database.writing() as (connection, _):
            connection.execute("INSERT INTO queues VALUES (?, ?, 1)", (ONE, NO_QUEUE))
            raise ZeroDivisionError
        assert database.read("SELECT * FROM queues") == []
    finally:
        database.close()


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir(mode=0o700)
    path = tmp_path / "cloud" / queue_module.FILE
    path.write_bytes(b"no database" * 100)
    path.chmod(0o600)
    with pytest.raises(Exception, match="not a database") as caught:
        MessageQueue(tmp_path / "cloud")
    assert not isinstance(caught.value, sqlite3.Error)


class Machine(RuleBasedStateMachine):
    """A device that comes, goes and forgets nothing, beside a model of lists."""

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.database = MessageQueue(FOLDERS.pop(), clock=self.clock)
        self.posted: list[tuple[bytes, float]] = []
        self.seen: list[bytes] = []
        self.id, self.last = NO_QUEUE, 0
        self.pushed: tuple[bytes, list[tuple[int, bytes]]] | None = None

    @rule(count=st.integers(1, 3), wait_s=st.sampled_from([5.0, 1000.0]))
    def post(self, count: int, wait_s: float) -> None:
        new = [b"%d" % (len(self.posted) + at) for at in range(count)]
        self.database.post(ONE, "one", new, wait_s)
        self.posted += [(data, self.clock.now + wait_s) for data in new]

    @rule()
    def listen(self) -> None:
        self.database.confirm(ONE, self.id, self.last)
        name, items = self.database.next_push(ONE, ())
        self.pushed = (name, [(item.number, item.data) for item in items]) if items else None

    @rule(told=st.booleans())
    def take(self, told: bool) -> None:
        """The device has what was pushed; the cloud hears of it, or the session is lost."""
        if self.pushed is None:
            return
        name, items = self.pushed
        last = self.last if name == self.id else 0
        self.seen += [data for number, data in items if number > last]
        self.id, self.last = name, items[-1][0]
        if told:
            self.database.delivered(ONE, [number for number, _ in items])
        self.pushed = None

    @rule(seconds=st.sampled_from([1.0, 4.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    def teardown(self) -> None:
        if not hasattr(self, "database"):
            return
        for _ in self.posted:
            self.listen()
            self.take(told=True)
        order = [data for data, _ in self.posted]
        assert self.seen == [data for data in order if data in set(self.seen)]
        left = set(order) - set(self.seen)
        ends = dict(self.posted)
        assert all(ends[data] <= self.clock.now for data in left)
        delivered = [r for r in self.database.routes() if r.state == "DELIVERED"]
        assert len(delivered) <= len(self.seen)
        assert not self.database.queues()
        self.database.close()


FOLDERS: list[Path] = []


def test_each_message_comes_once_in_order_or_expires(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    FOLDERS[:] = [tmp_path_factory.mktemp("queue") / "cloud" for _ in range(400)]
    test = Machine.TestCase
    test.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
    test().runTest()
