"""Whose clock is wrong is heard all the same; it changes neither the order nor what others keep."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chat.store.people import NOW, Two

from bellwire.chat.content import Content, ContentKind
from bellwire.chat.messenger.shown import line_of
from bellwire.chat.store.messages import State
from bellwire.cli.chat_screen import words
from bellwire.cli.chat_words import clock, line_words

CLOCKS = (2**64 - 1, 0, 253_402_300_800_000, int(NOW * 1000))
"""In ms: the last that a message can have, 1970, the year 10000, and the right one."""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    people = Two(tmp_path)
    yield people
    people.close()


def tell(two: Two, name: str, number: int, sent_ms: int, timer_s: int | None = None) -> None:
    """Say a number by a clock, as a client may that is not ours."""
    with two.people[name].working() as work:
        known = work.contacts.get(two.ids[two.other(name)])
        said = Content(ContentKind.TEXT, bytes([number]) * 16, sent_ms, b"%d" % number)
        work.seal(known, said if timer_s is None else _with_timer(said, timer_s))


def _with_timer(said: Content, timer_s: int) -> Content:
    return Content(said.kind, said.content_id, said.sent_ms, said.text, timer_s=timer_s)


def test_words_stand_in_the_order_in_which_they_came_and_are_shown_by_any_clock(two: Two) -> None:
    for number, sent_ms in enumerate(CLOCKS):
        tell(two, "alice", number, sent_ms)
    two.settle()
    assert two.texts("bob") == ["0", "1", "2", "3"]
    with two.bob.working() as work:
        lines = [line_of(work, each) for each in work.history.latest(two.ids["alice"], 10)]
    for line in lines:
        assert line.text in line_words(line, "Alice", [])
        shown = words.message(line, "Alice", target=None, by_session=False, is_notes=False, now=NOW)
        assert line.text in shown.plain
    assert [clock(each, NOW) for each in (CLOCKS[0], CLOCKS[2])] == ["??:??"] * 2


def test_what_disappears_does_so_by_the_readers_clock(two: Two) -> None:
    for number, sent_ms in enumerate(CLOCKS):
        tell(two, "alice", number, sent_ms, timer_s=60)
    two.settle()
    assert two.bob.disappear(NOW + 1000) == 0
    two.bob.mark_read(two.ids["alice"], NOW + 1000)
    assert two.bob.disappear(NOW + 1059) == 0
    assert two.bob.disappear(NOW + 1060) == len(CLOCKS)


def test_receipts_and_edits_of_a_wrong_clock_count(two: Two) -> None:
    said = two.say("alice", "helo")
    two.carry("alice")
    with two.bob.working() as work:
        known = work.contacts.get(two.ids["alice"])
        work.seal(known, Content(ContentKind.READ, b"r" * 16, CLOCKS[0], said))
    edit = Content(ContentKind.EDIT, b"e" * 16, 0, b"hello", target=said)
    with two.alice.working() as work:
        work.seal(work.contacts.get(two.ids["bob"]), edit)
    two.settle()
    assert two.texts("bob") == ["hello"]
    (line,) = two.alice.entries()
    assert line.state is State.READ
