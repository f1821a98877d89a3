"""Pads that sessions make for one message: used once, and on the disk only while they wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chat.store.people import NOW, Two

from bellwire.base.secret import Secret
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import ChatMisuse, NotAuthentic, PadMissing, PadSpent
from bellwire.chat.store.pads import NewPad
from bellwire.etsi014.record import SessionRecord, StepTime

PAD_ID = b"a session's pad 1"[:16]
BITS = bytes(range(64))
RECORD = SessionRecord(
    "00000000-0000-4000-8000-000000000000", "app-a", "app-b", "simulated", 1e9, "accept", None,
    None, 150_000, 150_000, 33_000,
    100_000, 2.72, 0.011, 2.68, 0.02, 0.001, 7000, 128, 512, 1e-10, 98_000,
    [StepTime("opening", 1.0)], 50.0,
)  # fmt: skip


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    two = Two(tmp_path)
    two.say("alice", "begin")
    two.settle()
    yield two
    two.close()


def made() -> NewPad:
    return NewPad(PAD_ID, Secret(BITS), "simulated", RECORD)


def seal(two: Two, text: str, *, padded: bool = True) -> bytes:
    """A payload of Alice's."""
    with two.alice.working() as work:
        content = Content(ContentKind.TEXT, text.encode().ljust(16), 1, text.encode())
        known = work.contacts.get(two.ids["bob"])
        (outgoing,), protection = work.seal(known, content, fresh=[made()] if padded else [])
    assert protection.is_one_time is padded
    return outgoing.payload


def files(two: Two, name: str) -> list[Path]:
    return sorted(two.folders[name].joinpath("pads").iterdir())


def record(two: Two, name: str) -> SessionRecord | None:
    with two.people[name].working() as work:
        return work.records.get(PAD_ID)


def test_a_pad_that_is_used_at_once_is_never_on_the_disk_and_serves_once(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person in (two.alice, two.bob):
        monkeypatch.setattr(person._files, "write", None)  # whoever writes one fails
    payload = seal(two, "words")
    two.bob.receive(payload, NOW, two.ids["alice"], made=made())
    assert two.texts("bob") == ["begin", "words"]
    for name in two.people:
        assert files(two, name) == []
        assert record(two, name) == RECORD
    with pytest.raises(ChatMisuse, match="never here"):
        seal(two, "again")
    with pytest.raises(ChatMisuse, match="never here"):
        two.bob.keep_made(two.ids["alice"], made())
    two.restart("bob")
    with two.bob.working() as work, pytest.raises(PadSpent):
        work.shelf(two.ids["alice"]).look(PAD_ID, 16, 20)


def test_a_pad_that_another_message_overtakes_is_kept_for_its_own(two: Two) -> None:
    first, second = seal(two, "first", padded=False), seal(two, "second")
    two.bob.receive(first, NOW, two.ids["alice"], made=made())
    assert len(files(two, "bob")) == 1
    two.crash("bob")
    two.bob.receive(second, NOW, two.ids["alice"])
    assert two.texts("bob") == ["begin", "first", "second"]
    assert files(two, "bob") == []


def test_a_refused_message_leaves_nothing_of_the_pad_and_it_can_still_be_kept(two: Two) -> None:
    payload = seal(two, "words")
    spoilt = payload[:-1] + bytes([payload[-1] ^ 1])
    with pytest.raises(NotAuthentic):
        two.bob.receive(spoilt, NOW, two.ids["alice"], made=made())
    assert record(two, "bob") is None
    with pytest.raises(PadMissing):
        two.bob.receive(payload, NOW, two.ids["alice"])
    two.bob.keep_made(two.ids["alice"], made())
    assert record(two, "bob") == RECORD
    two.bob.receive(payload, NOW, two.ids["alice"])
    assert two.texts("bob") == ["begin", "words"]


def test_a_message_cannot_name_bytes_that_a_pad_for_it_does_not_have(two: Two) -> None:
    with two.bob.working() as work:
        shelf = work.shelf(two.ids["alice"])
        shelf.lend(made(), ours=False)
        for offset, length in ((16, 49), (0, 16), (15, 16), (16, 0), (64, 1), (1 << 40, 16)):
            with pytest.raises(PadSpent):
                shelf.look(PAD_ID, offset, length)
        assert shelf.look(PAD_ID, 16, 48).key.reveal() == BITS[16:]
