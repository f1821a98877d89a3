"""`bellwire ledger --store`, `ledger.store`: a log on a server, its keys beside the program."""

from pathlib import Path

import pytest
from tests.cli.log.test_ledger import bring, ledger, run, wait_for
from tests.keys.postgres.server import Server

from bellwire.cli import doctor, main, output
from bellwire.cli.doctor import Level
from bellwire.node.settings import load


def test_a_log_on_a_server_is_kept_there_and_goes_on(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ledger(tmp_path, "--origin", "log.example/one", "--store", server.url) as said:
        bring(said["url"], 1, 200)
        bring(said["url"], 201, 100)
        wait_for(said["url"], 300)
    monkeypatch.setenv("BELLWIRE_LEDGER__STORE", server.url)
    with ledger(tmp_path) as said:
        assert said["entries"] == 300
        bring(said["url"], 301, 1)
        wait_for(said["url"], 301)
        watching = ("--key", said["keys"][1], "--once", "--state", tmp_path / "watcher")
        code, watched = run(capsys, "log", "watch", said["url"], *watching)
        assert (code, watched["size"]) == (0, 301)
    assert not (tmp_path / "state" / "ledger").exists()
    assert server.sql("SELECT size FROM bellwire_log.head", database="keys") == "301"
    assert [each.level for each in doctor.ledger(load(None, {}))] == [Level.OK]
    nowhere = {"ledger": {"store": "postgresql://127.0.0.1:1/keys"}}
    (found,) = doctor.ledger(load(None, nowhere))
    assert (found.level, "ledger.store" in str(found.mend)) == (Level.PROBLEM, True)


def test_a_log_stays_where_it_was_made_and_a_password_is_refused(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ledger", "--origin", "log.example/one", "--listen", "127.0.0.1:0"]
    words += ["--state", str(tmp_path)]
    code, refused = run_plain(capsys, *words, "--store", "postgresql://keys:secret@/keys")
    assert (code, "without a password" in refused, "secret" in refused) == (2, True, False)
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "log.sqlite").touch()
    code, refused = run_plain(capsys, *words, "--store", server.url)
    assert (code, "got log.sqlite" in refused) == (2, True)


def run_plain(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    output.forget()
    code = main.run(list(words))
    return code, " ".join(capsys.readouterr().err.split())
