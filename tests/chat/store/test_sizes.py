"""A store is as large as what is in it, also after something large has gone."""

import sqlite3
from pathlib import Path

from tests.chat.store.people import Two, open_person
from tests.chat.store.test_schema import go_on, unpacked

from bellwire.chat.attachment import FileKey
from bellwire.chat.content import CHUNK_BYTES
from bellwire.chat.store.database import MAX_LOG_BYTES, WORTH_REWRITING
from bellwire.chat.store.files import FileState

CHUNKS = 1000
LARGE = CHUNKS * CHUNK_BYTES
MEBIBYTE = 1 << 20


def size_of(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.glob("chat.sqlite*"))


def fill_and_forget(two: Two, folder: Path) -> int:
    """Keep an attachment, and words after it, and forget the attachment; the size before."""
    about, contact = FileKey(bytes(32), bytes(32), LARGE, "large"), two.ids["bob"]
    with two.alice.working() as work:
        work.files.add(contact, bytes(16), about, FileState.COMING, ours=False)
        kept = work.files.get(contact, bytes(16), ours=False)
        assert kept is not None
        for number in range(CHUNKS):
            work.files.put(kept, number, bytes(CHUNK_BYTES + 16))
    two.say("alice", "behind it")
    two.settle()
    with two.alice.working() as work:
        work.files.settle(kept, FileState.SAVED)
    return size_of(folder)


def test_a_store_gives_back_what_an_attachment_took(tmp_path: Path) -> None:
    two = Two(tmp_path)
    folder = two.folders["alice"]
    before = size_of(folder)
    assert fill_and_forget(two, folder) > LARGE
    rounds = 1
    while two.alice.shrink():
        rounds += 1
    assert rounds > 1  # others use the store in between
    assert size_of(folder) < before + 3 * MEBIBYTE
    two.restart("alice")
    assert two.texts("bob") == ["behind it"]
    two.settle()
    assert not two.alice.shrink()
    two.close()


def test_the_log_of_a_large_transaction_does_not_stay(tmp_path: Path) -> None:
    two = Two(tmp_path)
    fill_and_forget(two, two.folders["alice"])
    two.say("alice", "more")
    log = two.folders["alice"] / "chat.sqlite-wal"
    assert log.stat().st_size <= MAX_LOG_BYTES + MEBIBYTE
    two.close()


def test_a_store_of_an_earlier_version_is_written_anew_once_that_is_worth_it(
    tmp_path: Path,
) -> None:
    folder = unpacked(5, tmp_path / "old")
    two = go_on(folder)
    assert fill_and_forget(two, folder / "alice") > LARGE > WORTH_REWRITING * 4096
    assert not two.alice.shrink()  # such a file cannot
    two.close()
    assert size_of(folder / "alice") > LARGE
    with open_person(folder / "alice"):
        assert size_of(folder / "alice") < MEBIBYTE
    with sqlite3.connect(folder / "alice" / "chat.sqlite") as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    two = go_on(folder)
    assert two.texts("bob")[-1] == "behind it"
    two.close()
