"""The list of what was done: nothing that was added is lost or altered, and it does not grow."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bellwire.base.private import PathExposed
from bellwire.guard import journal as module
from bellwire.guard.errors import JournalUnusable
from bellwire.guard.journal import Journal, Recorder


def test_entries_come_back_in_their_order_after_the_last_that_is_known(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "guard")
    journal.add("anna", "override stop", "work on the fibre", at=5.0, until=65.0)
    journal.add("guard", "stop", "RED " + "x" * 1000, at=6.0)
    first, second = Journal(tmp_path / "guard").after(0, 10)
    assert (first.number, first.at, first.who, first.what) == (1, 5.0, "anna", "override stop")
    assert (first.why, first.until) == ("work on the fibre", 65.0)
    assert (second.number, len(second.why), second.until) == (2, module.MAX_TEXT, None)
    assert len({first.id, second.id}) == 2
    assert journal.after(1, 10) == [second]
    assert journal.after(2, 10) == []
    assert journal.last(1) == [second]
    assert journal.last(9) == [first, second]


def test_the_oldest_go_and_their_numbers_are_never_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    journal = Journal(tmp_path / "guard")
    for number in range(10):
        journal.add("guard", "pass", str(number), at=float(number))
    assert [each.number for each in journal.after(0, 100)] == [8, 9, 10]


def test_an_entry_cannot_be_altered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "guard")
    journal.add("anna", "override pass", "must go on", at=5.0)
    with (
        sqlite3.connect(tmp_path / "guard" / "journal.db") as database,
        pytest.raises(sqlite3.IntegrityError, match="never altered"),
    ):
        database.execute("UPDATE entries SET who = 'otto'")
    database.close()
    assert journal.last(1)[0].who == "anna"


def test_what_was_added_is_there_when_the_writer_is_killed(tmp_path: Path) -> None:
    program = (
        "import itertools, sys; from pathlib import Path; from bellwire.guard.journal import *\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for number in itertools.count(1):\n"
        "    journal.add('guard', 'pass', str(number), at=0.0); print(number, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "guard")],
        stdout=subprocess.PIPE,
        env=os.environ,
    ) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        said = 20 + len(writer.stdout.readlines())
    found = Journal(tmp_path / "guard").after(0, 10_000)
    assert [each.why for each in found[:said]] == [str(number + 1) for number in range(said)]
    assert len(found) - said in {0, 1}  # one may be there that was not said any more


def test_a_list_that_is_none_or_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "guard"
    folder.mkdir(mode=0o700)
    file = folder / "journal.db"
    file.touch(0o600)
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(JournalUnusable, match="not a database"):
        Journal(folder)
    file.chmod(0o644)
    with pytest.raises(PathExposed):
        Journal(folder)


def test_what_a_guard_does_is_added_though_the_guard_does_not_wait(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "guard", lambda: 7.0)
    for number in range(20):
        recorder.did("stop", str(number))
    recorder.close()
    journal = Journal(tmp_path / "guard")
    assert [each.why for each in journal.after(0, 100)] == [str(number) for number in range(20)]
    assert {(each.who, each.at) for each in journal.last(20)} == {("guard", 7.0)}


def test_a_disk_that_fails_does_not_stop_the_guard(tmp_path: Path) -> None:
    folder = tmp_path / "guard"
    Journal(folder)
    (folder / "journal.db").write_bytes(b"no database at all" * 100)
    recorder = Recorder(folder, lambda: 7.0)
    recorder.did("stop", "RED")
    recorder.close()
    with pytest.raises(JournalUnusable):
        Journal(folder)
