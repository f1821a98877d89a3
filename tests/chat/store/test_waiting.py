"""What was sealed stays until the other side has it, and goes again where its pad was lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chat.store.people import NOW, Two

from bellwire.base.secret import Secret
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import PadMissing
from bellwire.chat.store.messages import Entry, State
from bellwire.chat.store.pads import NewPad
from bellwire.chat.store.receiving import Received
from bellwire.chat.store.waiting import MAX_TRIES
from bellwire.chat.store.work import receipt

ID = b"m" * 16


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    people = Two(tmp_path, pad=4000)
    people.say("alice", "first")
    people.settle()
    yield people
    people.close()


def say_and_seal(two: Two, text: str, timer_s: int | None = None) -> bytes:
    """The id of the pad that words went under; nothing is carried."""
    content = Content(ContentKind.TEXT, ID, int(NOW * 1000), text.encode(), timer_s=timer_s)
    two.alice.say(two.ids["bob"], content)
    return seal(two)


def seal(two: Two) -> bytes:
    with two.alice.working() as work:
        content = work.waiting.first(two.ids["bob"])
    assert content is not None
    two.alice.seal(two.ids["bob"], content)
    (pad_id,) = state(two).protection.pad_ids
    return pad_id


def state(two: Two) -> Entry:
    with two.alice.history() as history:
        entry = history.entry(two.ids["bob"], ID, ours=True)
    assert entry is not None
    return entry


def rows(two: Two) -> int:
    with two.alice.working() as work:
        (count,) = work.cursor.execute("SELECT count(*) FROM waiting").fetchone()
    return int(count)


def drop_outbox(two: Two) -> None:
    for each in two.alice.outbox():
        two.alice.handed_over(each.number)


def lose(two: Two, pad_id: bytes) -> list[Received]:
    with two.bob.working() as work:
        known = work.contacts.get(two.ids["alice"])
        work.seal(known, receipt(ContentKind.PAD_LOST, [ID, pad_id], NOW))
    return two.carry("bob")


def test_what_was_sealed_is_kept_until_the_other_side_has_it(two: Two) -> None:
    say_and_seal(two, "words")
    assert rows(two) == 1
    two.settle()
    assert (rows(two), state(two).state) == (0, State.DELIVERED)


def test_words_whose_pad_is_lost_wait_again_as_they_are_now(two: Two) -> None:
    pad_id = say_and_seal(two, "words")
    drop_outbox(two)
    two.send("alice", ContentKind.EDIT, b"other words", target=ID)
    lose(two, pad_id)
    assert state(two).state is State.WAITING
    seal(two)
    two.settle()
    assert two.texts("bob") == ["first", "other words"]


def test_a_pad_that_it_was_not_sealed_under_changes_nothing(two: Two) -> None:
    say_and_seal(two, "words")
    drop_outbox(two)
    lose(two, b"another pad, 16.")
    assert state(two).state is State.SENT


def test_it_is_sealed_anew_so_often_and_then_counts_as_refused(two: Two) -> None:
    pad_id = say_and_seal(two, "words")
    drop_outbox(two)
    for _ in range(MAX_TRIES):
        lose(two, pad_id)
        pad_id = seal(two)
        drop_outbox(two)
    lose(two, pad_id)
    assert state(two).state is State.REFUSED


def test_what_was_taken_back_or_has_disappeared_is_not_kept(two: Two) -> None:
    say_and_seal(two, "words")
    two.send("alice", ContentKind.DELETE, target=ID)
    assert rows(two) == 0
    assert state(two).state is State.DELETED


def test_words_whose_time_has_run_out_are_not_kept_for_another_pad(two: Two) -> None:
    pad_id = say_and_seal(two, "words", timer_s=60)
    drop_outbox(two)
    two.alice.disappear(NOW + 61)
    assert rows(two) == 0
    lose(two, pad_id)
    assert state(two).state is State.DELETED


def test_the_receivers_word_of_a_missing_pad_names_message_and_pad(two: Two) -> None:
    pad_id = b"a pad of alice 1"
    made = NewPad(pad_id, Secret(bytes(range(200))), "simulated")
    with two.alice.working() as work:
        content = Content(ContentKind.TEXT, ID, 1, b"words")
        (outgoing,), _ = work.seal(work.contacts.get(two.ids["bob"]), content, fresh=[made])
    with pytest.raises(PadMissing) as missing:
        two.bob.receive(outgoing.payload, NOW, two.ids["alice"])
    assert (missing.value.pad_id, missing.value.content_id) == (pad_id, ID)
