"""What the cloud sends is shown once, in order, whenever the device dies."""

import json
import os
import random
import threading
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S

from bellwire.base.private import PathUnusable
from bellwire.iot import received as received_module
from bellwire.iot.errors import BufferSpoilt, NobodyReads, ProtocolError, StateInUse
from bellwire.iot.inbox import FILE, Inbox, line_of, receiving
from bellwire.iot.messages import Item, Push
from bellwire.iot.received import ReceivedFile, ReceivedLines

QUEUE, OTHER = b"q" * 16, b"o" * 16


class Death(Exception):
    """The device is killed here."""


def item(number: int, data: bytes = b"") -> Item:
    return Item(number.to_bytes(16, "big"), number, 1_700_000_000_000, data or b"%d" % number)


def push(*numbers: int, queue: bytes = QUEUE) -> Push:
    return Push(queue, tuple(item(number) for number in numbers))


def shown(path: Path) -> list[int]:
    return [json.loads(line)["number"] for line in path.read_bytes().splitlines()]


def test_messages_are_shown_once_and_in_order_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    for given in (push(1, 2), push(1, 2, 3), push(3), push(2, 7)):
        inbox = Inbox(tmp_path / "device", ReceivedFile(path))
        assert inbox.take(given)
        assert inbox.take(given)
    assert shown(path) == [1, 2, 3, 7]
    assert Inbox(tmp_path / "device", ReceivedFile(path)).listen().last == 7


def test_messages_of_a_new_queue_are_shown_whatever_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    inbox = Inbox(tmp_path / "device", ReceivedFile(path))
    assert inbox.take(push(5))
    assert inbox.take(push(1, queue=OTHER))
    assert shown(path) == [5, 1]
    assert (inbox.listen().queue, inbox.listen().last) == (OTHER, 1)


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1), (1, 3, 2)])
def test_numbers_that_do_not_grow_are_refused(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    inbox = Inbox(tmp_path / "device", ReceivedFile(tmp_path / "messages"))
    with pytest.raises(ProtocolError, match="order"):
        inbox.take(push(*numbers))
    assert inbox.shown == 0


@pytest.mark.parametrize("seed", range(8))
def test_a_death_at_any_write_loses_and_doubles_nothing(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    path, state = tmp_path / "messages", tmp_path / "device" / FILE
    real_write = received_module._write

    def torn(file: int, data: bytes) -> None:
        if draw.random() < 0.4:
            real_write(file, data[: draw.randrange(len(data) + 1)])
            raise Death
        real_write(file, data)

    def remember(self: Inbox, have: object) -> None:
        if draw.random() < 0.3:
            raise Death
        real_remember(self, have)  # type: ignore[arg-type]

    real_remember = Inbox._remember
    monkeypatch.setattr(received_module, "_write", torn)
    monkeypatch.setattr(Inbox, "_remember", remember)
    last = 0
    while last < 30:
        inbox = Inbox(tmp_path / "device", ReceivedFile(path))
        last = inbox.listen().last
        try:
            while last < 30:
                inbox.take(push(*range(last + 1, last + 1 + draw.randrange(1, 4))))
                last = inbox.listen().last
        except Death:
            continue
    assert shown(path) == list(range(1, last + 1))
    assert state.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_renamed_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    inbox = Inbox(tmp_path / "device", ReceivedFile(path))
    inbox.take(push(1))
    path.rename(tmp_path / "old")
    inbox.take(push(2))
    path.write_bytes(b"")
    inbox.take(push(3))
    assert shown(tmp_path / "old") == [1]
    assert shown(path) == [3]


def test_any_content_is_a_line_that_no_terminal_acts_on() -> None:
    text = "\x1b[31m\u202e\x9b2J\n\u2028é😀"
    line = line_of(item(1, text.encode()))
    assert line.isascii()
    assert b"\x1b" not in line
    assert line.count(b"\n") == 1
    assert json.loads(line)["message"] == text
    assert json.loads(line_of(item(1, b"\xff\x00")))["message_base64"] == "/wA="


def test_a_message_that_cannot_be_shown_is_not_acknowledged(tmp_path: Path) -> None:
    told: list[Exception] = []
    inbox = Inbox(tmp_path / "device", ReceivedFile(tmp_path), tell=told.append)
    assert not inbox.take(push(1))
    assert not inbox.listens
    assert isinstance(told[0], PathUnusable)
    assert inbox.listen().last == 0


def test_a_reader_that_leaves_is_told_and_its_message_comes_again(tmp_path: Path) -> None:
    told: list[Exception] = []
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out, os.fdopen(reading, "rb", buffering=0) as pipe:
        inbox = Inbox(tmp_path / "device", ReceivedLines(out), tell=told.append)
        assert inbox.take(push(1))
        assert json.loads(pipe.readline())["message"] == "1"
        pipe.close()
        assert not inbox.take(push(2))
    assert isinstance(told[0], NobodyReads)
    assert inbox.listen().last == 1


def test_who_does_not_read_holds_up_no_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out, os.fdopen(reading, "rb"):
        lines = ReceivedLines(out)
        inbox = Inbox(tmp_path / "device", lines)
        many = Push(QUEUE, tuple(item(n, b"x" * 32_000) for n in range(1, 5)))
        taken: list[bool] = []
        taking = threading.Thread(target=lambda: taken.append(inbox.take(many)))
        taking.start()
        lines.stop()
        taking.join(PATIENCE_S)
    assert taken == [False]
    assert inbox.listen().last == 0


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 54, b"x" * 100])
def test_a_state_that_no_device_wrote_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "device").mkdir(mode=0o700)
    (tmp_path / "device" / FILE).write_bytes(content)
    (tmp_path / "device" / FILE).chmod(0o600)
    with pytest.raises(BufferSpoilt):
        Inbox(tmp_path / "device", ReceivedFile(tmp_path / "messages"))


def test_one_process_takes_a_device_s_messages(tmp_path: Path) -> None:
    with (
        receiving(tmp_path / "device"),
        pytest.raises(StateInUse, match="another process"),
        receiving(tmp_path / "device"),
    ):
        raise AssertionError
    with receiving(tmp_path / "device"):
        pass
