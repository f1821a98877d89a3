"""Attachments through a relay that loses, doubles and turns around, and over power cuts."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chat.store.people import NOW, Two

from bellwire.chat.attachment import (
    MAX_ASKED,
    FileKey,
    ask_text,
    chunk_text,
    read_chunk_text,
    seal_chunk,
)
from bellwire.chat.content import CHUNK_BYTES, Content, ContentKind
from bellwire.chat.errors import (
    AttachmentUnusable,
    ContentMalformed,
    MessageRefused,
    StrangerRefused,
)
from bellwire.chat.messenger.attaching import save, take_in
from bellwire.chat.store import files
from bellwire.chat.store.files import FileState, KeptFile
from bellwire.chat.store.messages import State
from bellwire.chat.store.work import Outgoing

SIZE = 150 * CHUNK_BYTES + 77
CHUNKS = 151


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    people = Two(tmp_path, pad=4000)
    people.say("alice", "first")
    people.settle()
    people.say("bob", "heard")
    people.settle()
    yield people
    people.close()


def attach(two: Two, folder: Path, size: int = SIZE) -> tuple[bytes, bytes]:
    """The file's bytes, and the id of its message."""
    data = random.Random(5).randbytes(size)
    (folder / "raw.bin").write_bytes(data)
    content = take_in(two.alice, two.ids["bob"], folder / "raw.bin", int(NOW * 1000))
    two.alice.say(two.ids["bob"], content)
    two.alice.seal(two.ids["bob"], content)
    return data, content.content_id


def kept(two: Two, name: str, file_id: bytes) -> KeptFile:
    with two.people[name].working() as work:
        found = work.files.get(two.ids[two.other(name)], file_id, ours=name == "alice")
    assert found is not None
    return found


def hand(two: Two, sender: str, each: Outgoing) -> bool:
    """Whether the other side took it."""
    try:
        two.people[two.other(sender)].receive(each.payload, NOW, two.ids[sender])
    except MessageRefused:
        return False
    return True


def saved(two: Two, file_id: bytes, folder: Path) -> bytes:
    folder.mkdir(exist_ok=True)
    return save(two.bob, two.ids["alice"], file_id, folder).read_bytes()


def rows(two: Two, name: str) -> int:
    with two.people[name].working() as work:
        (count,) = work.cursor.execute("SELECT count(*) FROM chunks").fetchone()
    return int(count)


def test_a_file_comes_whole_and_neither_side_keeps_its_chunks(two: Two, tmp_path: Path) -> None:
    data, file_id = attach(two, tmp_path)
    assert rows(two, "alice") == CHUNKS
    two.settle()
    assert kept(two, "alice", file_id).state is FileState.WHOLE
    assert rows(two, "alice") == 0
    assert saved(two, file_id, tmp_path / "out") == data
    assert rows(two, "bob") == 0
    (entry,) = [each for each in two.bob.entries() if each.is_file]
    assert entry.protection.is_one_time


@pytest.mark.parametrize("seed", range(3))
def test_in_any_order_doubled_lost_and_over_power_cuts_it_goes_on(
    two: Two, tmp_path: Path, seed: int
) -> None:
    data, file_id = attach(two, tmp_path)
    drawn = random.Random(seed)
    two.carry("alice")
    sent = 0
    while kept(two, "bob", file_id).state is FileState.COMING:
        for name in ("bob", "alice"):
            waiting = two.people[name].outbox()
            if name == "alice":
                drawn.shuffle(waiting)
            for each in waiting:
                sent += name == "alice"
                if drawn.random() < 0.1:  # an expired payload, which the relay has forgotten
                    two.people[name].handed_over(each.number)
                    continue
                assert hand(two, name, each)
                if drawn.random() < 0.1:
                    assert not hand(two, name, each)
                two.people[name].handed_over(each.number)
            two.crash(name)
        if not any(person.outbox() for person in two.people.values()):
            two.bob.ask_again(two.ids["alice"], file_id, NOW)
    assert sent < CHUNKS * 2
    assert saved(two, file_id, tmp_path / "out") == data


def test_words_are_not_held_up_by_more_than_a_window(two: Two, tmp_path: Path) -> None:
    attach(two, tmp_path)
    two.carry("alice")
    two.carry("bob")
    assert len(two.alice.outbox()) == MAX_ASKED


def test_a_question_is_left_without_answer_until_a_session_begun_anew_is_heard(
    two: Two, tmp_path: Path
) -> None:
    data, file_id = attach(two, tmp_path)
    two.carry("alice")
    two.begin("alice")
    two.carry("bob")  # what Bob asks, on the session of before
    assert two.alice.outbox() == []
    with two.alice.working() as work:
        said = work.waiting.first(two.ids["bob"])
    assert said is not None
    two.alice.seal(two.ids["bob"], said)  # once more, on the new one
    two.settle()
    assert kept(two, "bob", file_id).state is FileState.COMING
    two.bob.ask_again(two.ids["alice"], file_id, NOW)
    two.settle()
    assert saved(two, file_id, tmp_path / "out") == data


def test_who_asks_again_and_again_is_not_given_more_than_fits(two: Two, tmp_path: Path) -> None:
    _, file_id = attach(two, tmp_path)
    two.carry("alice")
    for _ in range(10):
        two.bob.ask_again(two.ids["alice"], file_id, NOW)
    two.carry("bob")
    assert len(two.alice.outbox()) <= 3 * MAX_ASKED


def give(two: Two, kind: ContentKind, file_id: bytes, text: bytes, sender: str = "alice") -> None:
    two.send(sender, kind, text, target=file_id)
    two.carry(sender)


def offer(two: Two, data: bytes, **wrong: object) -> tuple[FileKey, bytes]:
    about = FileKey(b"k" * 32, hashlib.sha256(data).digest(), len(data), "x.bin")
    about = replace(about, **wrong)  # type: ignore[arg-type]
    file_id = two.send("alice", ContentKind.FILE_KEY, about.encode())
    two.carry("alice")
    return about, file_id


def test_a_file_that_is_not_what_was_hashed_never_appears(two: Two, tmp_path: Path) -> None:
    data = bytes(6 * CHUNK_BYTES)
    about, file_id = offer(two, data, sha256=bytes(32))
    for number in range(about.chunks):
        chunk = seal_chunk(about.key, file_id, about.size, number, bytes(CHUNK_BYTES))
        give(two, ContentKind.CHUNK, file_id, chunk_text(number, chunk))
    assert kept(two, "bob", file_id).state is FileState.STOPPED
    assert rows(two, "bob") == 0
    (tmp_path / "out").mkdir()
    with pytest.raises(AttachmentUnusable, match="not to be had"):
        save(two.bob, two.ids["alice"], file_id, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_chunks_that_are_none_of_the_file_are_refused(two: Two) -> None:
    about, file_id = offer(two, bytes(6 * CHUNK_BYTES))
    good = seal_chunk(about.key, file_id, about.size, 1, bytes(CHUNK_BYTES))
    for text in (chunk_text(2, good), chunk_text(1, good[:-1]), chunk_text(99, good), b"x"):
        two.send("alice", ContentKind.CHUNK, text, target=file_id)
        with pytest.raises(ContentMalformed):
            two.carry("alice")
        for each in two.alice.outbox():
            two.alice.handed_over(each.number)
    give(two, ContentKind.CHUNK, b"another file, 16", chunk_text(1, good))
    assert rows(two, "bob") == 0
    give(two, ContentKind.CHUNK, file_id, chunk_text(1, good))
    assert rows(two, "bob") == 1


def test_what_is_more_than_there_is_room_for_is_refused_and_its_sender_told(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_KEPT_BYTES", SIZE - 1)
    _, file_id = attach(two, tmp_path)
    two.settle()
    assert kept(two, "bob", file_id).state is FileState.STOPPED
    assert kept(two, "alice", file_id).state is FileState.STOPPED
    assert (rows(two, "alice"), rows(two, "bob")) == (0, 0)


def test_files_of_one_contact_are_counted(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_KEPT_FILES", 2)
    ids = [two.send("alice", ContentKind.FILE, b"\x01a" + bytes(9)) for _ in range(3)]
    two.settle()
    states = [kept(two, "bob", each).state for each in ids]
    assert states == [FileState.WHOLE, FileState.WHOLE, FileState.STOPPED]


def test_a_question_for_what_is_not_there_is_answered_so(two: Two) -> None:
    about, file_id = offer(two, bytes(6 * CHUNK_BYTES))
    assert about.chunks == 6
    two.settle()  # Alice never kept that file
    assert kept(two, "bob", file_id).state is FileState.STOPPED
    give(two, ContentKind.ASK, b"another file, 16", ask_text([(0, 1)]), "bob")


def test_what_a_crash_kept_from_being_said_leaves_no_chunks(two: Two, tmp_path: Path) -> None:
    (tmp_path / "raw.bin").write_bytes(bytes(SIZE))
    take_in(two.alice, two.ids["bob"], tmp_path / "raw.bin", 1)
    assert rows(two, "alice") == CHUNKS
    two.restart("alice")
    assert rows(two, "alice") == 0


@pytest.mark.parametrize(
    ("kind", "text"),
    [(ContentKind.FILE, b"\x01adata"), (ContentKind.ASK, b""), (ContentKind.CHUNK, bytes(30)),
     (ContentKind.FILE_KEY, FileKey(bytes(32), bytes(32), SIZE, "x").encode())],
)  # fmt: skip
def test_who_waits_to_be_accepted_is_heard_by_words_alone(
    two: Two, kind: ContentKind, text: bytes
) -> None:
    with two.bob.working() as work:
        work.strangers.admit(two.ids["alice"], NOW)
    target = None if kind in {ContentKind.FILE, ContentKind.FILE_KEY} else b"m" * 16
    two.send("alice", kind, text, target=target)
    with pytest.raises(StrangerRefused, match="attachment"):
        two.carry("alice")
    assert rows(two, "bob") == 0
    assert two.bob.outbox() == []


def test_a_file_whose_time_has_run_out_is_gone(two: Two) -> None:
    content = Content(ContentKind.FILE, b"m" * 16, int(NOW * 1000), b"\x01adata", timer_s=60)
    two.alice.send(two.ids["bob"], content)
    two.settle()
    assert rows(two, "bob") == 1
    two.bob.mark_read(two.ids["alice"], NOW)
    two.bob.disappear(NOW + 61)
    assert rows(two, "bob") == 0
    (entry,) = [each for each in two.bob.entries() if each.content_id == b"m" * 16]
    assert entry.state is State.DELETED


def test_neither_file_nor_its_key_is_on_the_disk_in_clear(two: Two, tmp_path: Path) -> None:
    data, file_id = attach(two, tmp_path)
    two.carry("alice")
    two.carry("bob")
    two.carry("alice")
    key = kept(two, "bob", file_id).about.key
    for folder in two.folders.values():
        everything = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
        assert key not in everything
        assert data[100:116] not in everything
        assert b"raw.bin" not in everything
    assert read_chunk_text(chunk_text(7, b"x")) == (7, b"x")


def test_a_folder_that_cannot_be_written_gets_nothing_and_the_file_stays(
    two: Two, tmp_path: Path
) -> None:
    data, file_id = attach(two, tmp_path)
    two.settle()
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "missing" / "folder", tmp_path / "file"):
        with pytest.raises(AttachmentUnusable, match="expected"):
            save(two.bob, two.ids["alice"], file_id, folder)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    out = tmp_path / "out"
    out.mkdir()
    (out / "raw.bin").symlink_to(tmp_path / "target")
    assert save(two.bob, two.ids["alice"], file_id, out) == out / "raw (1).bin"
    assert (out / "raw (1).bin").read_bytes() == data
    assert not (tmp_path / "target").exists()
