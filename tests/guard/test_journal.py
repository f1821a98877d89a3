"""The list of what was done: nothing that was added is lost or altered, and it does not grow."""

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bellwire.base.private import PathExposed
from bellwire.base.secret import Secret
from bellwire.guard import journal as module
from bellwire.guard import recording
from bellwire.guard.errors import JournalUnusable
from bellwire.guard.journal import NO_RULES, Journal, Recorder
from bellwire.guard.recording import Recording
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.commitments import verify
from bellwire.ledger.entries.model import GuardAction, Override
from bellwire.ledger.outbox.outbox import Outbox


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


def entries(journal: Journal) -> list[object]:
    waiting = Outbox(journal.transaction, "site-a").first()
    return [decode(each) for each in waiting.entries]


def test_a_log_hears_what_the_guard_did_and_who_decided_only_as_commitments(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "guard", Recording("router-1"))
    for at, (what, why) in enumerate(
        [
            ("begin", "the node was not heard yet"),
            ("pass", "all links are well"),
            ("restore", "somebody changed the guard's rules"),
            ("stop", "RED\x1b[31m " + "x" * 500),
            ("move", "level 1: 192.0.2.7:8765 (notice 3)"),
            ("pass", "an operator's override: Otto is on the roof"),
            ("end", "the rules stay, and nothing passes"),
            ("end", NO_RULES),
        ]
    ):
        journal.add("guard", what, why, at=float(at))  # type: ignore[arg-type]
    journal.add("anna", "override pass", "Otto is on the roof", at=10.0, until=70.5)
    journal.add("anna", "override none", "", at=20.0)
    found = entries(journal)
    done = [each for each in found if isinstance(each, GuardAction)]
    assert [each.packets for each in done] == [
        "stop", "pass", "pass", "stop", "stop", "pass", "stop", "pass"
    ]  # fmt: skip
    assert (done[3].at, done[3].guard, len(done[3].reason)) == (3000, "router-1", 200)
    first, second = (each for each in found if isinstance(each, Override))
    assert (first.packets, first.at, first.until) == ("pass", 10_000, 70_500)
    assert (second.packets, second.until, second.reason) == (None, None, None)
    assert first.operator == second.operator
    told = b"".join(Outbox(journal.transaction, "site-a").first().entries)
    assert b"anna" not in told
    assert b"Otto" not in told
    assert b"192.0.2.7" not in told
    assert [each.reason for each in done[4:6]] == ["level 1", "an operator's override"]
    with journal.transaction() as cursor:
        salts = dict(cursor.execute("SELECT value, salt FROM outbox_salts").fetchall())
    verify(first.operator, Secret(salts["anna"]), "anna")
    verify(str(first.reason), Secret(salts["Otto is on the roof"]), "Otto is on the roof")
    state = journal.told_to_log()
    assert state is not None
    assert state.waiting == 10
    assert Journal(tmp_path / "guard").told_to_log() is None


def test_what_cannot_be_told_to_a_log_is_not_in_the_list_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    journal = Journal(tmp_path / "guard", Recording("router-1"))
    with monkeypatch.context() as patch:
        patch.setattr(recording, "put", fail)
        with pytest.raises(JournalUnusable, match="disk I/O"):
            journal.add("guard", "stop", "RED", at=1.0)
    assert (journal.last(10), entries(journal)) == ([], [])
    journal.add("guard", "stop", "RED", at=1.0)
    assert (len(journal.last(10)), len(entries(journal))) == (1, 1)


def test_entries_that_several_processes_add_at_once_have_each_its_number(tmp_path: Path) -> None:
    Journal(tmp_path / "guard")

    def add(who: int) -> None:
        journal = Journal(tmp_path / "guard", Recording("router-1"))
        for number in range(5):
            journal.add("guard", "pass", f"{who} {number}", at=0.0)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(add, range(3)))
    found = [each for each in entries(Journal(tmp_path / "guard")) if isinstance(each, GuardAction)]
    assert [each.sequence for each in found] == list(range(1, 16))
    assert len({each.reason for each in found}) == 15
