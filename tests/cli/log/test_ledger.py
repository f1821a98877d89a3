"""`bellwire ledger` and who reads what it keeps: entries, receipt, watch, export."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.ledger.logs import MLDSA44, WITNESSES, SmallLog
from tests.ledger.store.logs import batch
from tests.ledger.test_monitor import entries, files_of
from tests.patience import PATIENCE_S

from bellwire.cli import main, output
from bellwire.ledger.tiles import join_bundle


def token_file(folder: Path, digit: str = "a") -> Path:
    path = folder / f"token-{digit}"
    path.write_text(digit * 64 + "\n")
    path.chmod(0o600)
    return path


@contextlib.contextmanager
def ledger(folder: Path, *more: str) -> Iterator[dict[str, Any]]:
    """The program, until the end of the block; what it said first."""
    words = ["ledger", "--state", str(folder / "state"), "--listen", "127.0.0.1:0"]
    words += ["--every", "0.01", "--writer", f"site-a={token_file(folder)}", "--with-parent", *more]
    program = subprocess.Popen(
        [sys.executable, "-m", "bellwire", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert program.stdin is not None
    assert program.stdout is not None
    with program:
        said = json.loads(program.stdout.readline())
        try:
            yield said
        finally:
            program.stdin.close()
            assert program.wait(PATIENCE_S) == 0


def bring(url: str, first: int, count: int) -> None:
    answer = httpx.post(
        f"{url}/add",
        content=join_bundle(batch(first, count).entries),
        headers={"authorization": "Bearer " + "a" * 64},
        trust_env=False,
        timeout=PATIENCE_S,
    )
    assert answer.status_code == 200, answer.text


def wait_for(url: str, size: int) -> None:
    """Until the checkpoint has so many entries."""
    text = ""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        text = httpx.get(f"{url}/checkpoint", trust_env=False, timeout=PATIENCE_S).text
        if text.split("\n")[1:2] == [str(size)]:
            return
    raise AssertionError(text)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any]]:
    output.forget()
    code = main.run([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_what_was_written_is_shown_proved_watched_and_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = ("--once", "--state", tmp_path / "watcher")
    with ledger(tmp_path, "--origin", "log.example/one") as said:
        assert (said["service"], said["origin"]) == ("ledger", "log.example/one")
        assert said["entries"] == 0
        url, trust = said["url"], ("--key", said["keys"][1])
        bring(url, 1, 200)
        bring(url, 201, 100)
        wait_for(url, 300)

        code, shown = run(capsys, "log", "entries", url, *trust, "--from", 7, "--count", 2)
        assert code == 0
        assert [each["number"] for each in shown["entries"]] == [7, 8]
        assert shown["entries"][0]["entry"]["kind"] == "guard-action"
        assert (shown["size"], shown["witnesses"]) == (300, [])
        _, none = run(capsys, "log", "entries", url, *trust, "--kind", "registration")
        assert none["entries"] == []
        _, last = run(capsys, "log", "entries", url, *trust, "--writer", "site-a", "--count", 1)
        assert [each["entry"]["sequence"] for each in last["entries"]] == [300]

        receipt = tmp_path / "7.tlog-proof"
        code, _ = run(capsys, "log", "receipt", url, 7, *trust, "--out", receipt)
        assert code == 0
        code, _ = run(capsys, "log", "watch", url, *trust, *watching)
        assert code == 0
        code, copied = run(capsys, "log", "export", url, tmp_path / "copy", *trust)
        assert (code, copied["entries"], copied["files"]) == (0, 300, 5)
        code, copied = run(capsys, "log", "export", url, tmp_path / "copy", *trust)
        assert (code, copied["files"]) == (0, 0)

        # Nobody has cosigned: whoever asks for a witness is told.
        witness = ("--witness", WITNESSES[0][1].verifier)
        code, refused = run(capsys, "log", "entries", url, *trust, *witness)
        assert (code, "quorum" in refused["error"]["message"]) == (3, True)
        code, _ = run(capsys, "log", "entries", url, "--key", MLDSA44.verifier)
        assert code == 3

    code, verified = run(capsys, "log", "verify", receipt, *trust)
    assert (code, verified["entry"]["index"]) == (0, 7)

    copy = tmp_path / "copy"
    code, _ = run(capsys, "log", "watch", copy, *trust, *watching)
    assert code == 0
    code, verified = run(capsys, "log", "verify", copy, *trust)
    assert (code, verified["kind"], verified["size"]) == (0, "log", 300)
    bundle = copy / "tile" / "entries" / "000"
    bundle.write_bytes(bundle.read_bytes().replace(b'"reason 17"', b'"reason 71"'))
    code, found = run(capsys, "log", "watch", copy, *trust, *watching)
    assert code == 3
    assert found["findings"][0]["number"] == 16
    code, refused = run(capsys, "log", "verify", copy, *trust)
    assert (code, "entry 16 is not" in refused["error"]["message"]) == (3, True)
    code, refused = run(capsys, "log", "entries", copy, *trust, "--from", 16, "--count", 1)
    assert (code, "entry 16" in refused["error"]["message"]) == (3, True)

    # The same log goes on after a restart, and grows out of what the watcher has seen.
    with ledger(tmp_path) as said:
        assert said["entries"] == 300
        bring(said["url"], 301, 1)
        wait_for(said["url"], 301)
        code, _ = run(capsys, "log", "watch", said["url"], *trust, *watching, "--also", copy)
        assert code == 0
        code, old = run(capsys, "log", "watch", copy, *trust, *watching)
        assert (code, old["findings"][-1]["what"]) == (3, "split view")


@pytest.mark.parametrize(("silent", "code"), [(3600, 3), (0, 4)])
def test_a_watch_goes_on_while_a_log_is_away_and_ends_once_that_lasts_too_long(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    silent: int,
    code: int,
) -> None:
    for name, content in files_of(SmallLog(entries(3))).items():
        (tmp_path / "log" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "log" / name).write_bytes(content)
    (bundle,) = (tmp_path / "log" / "tile" / "entries").glob("*/*")
    checkpoint, away = tmp_path / "log" / "checkpoint", tmp_path / "away"

    def meanwhile(_: float) -> None:
        if checkpoint.exists():
            checkpoint.rename(away)
            return
        away.rename(checkpoint)
        bundle.write_bytes(bundle.read_bytes().replace(b"reason 2", b"reason 5"))

    monkeypatch.setattr("time.sleep", meanwhile)
    watch = ("log", "watch", tmp_path / "log", "--key", MLDSA44.verifier, "--silent", silent)
    got, said = run(capsys, *watch, "--state", tmp_path / "state")
    assert got == code
    assert code == 4 or [each["number"] for each in said["findings"]] == [1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--writer", "site-a"], "NAME=FILE"),
        (["--writer", "Site A=token"], "64 hexadecimal digits"),
        (["--certificate", "x"], "together with --key"),
        (["--listen", "nowhere"], "HOST:PORT"),
        ([], "name of a log that begins"),
        (["--origin", "two words"], "name"),
    ],
)
def test_a_log_that_cannot_begin_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main.run(["ledger", "--state", str(tmp_path / "state"), *words]) == 2
    assert said in capsys.readouterr().err


def test_tokens_do_not_cross_a_network_in_the_clear(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--listen", "0.0.0.0:0", "--writer", f"site-a={token_file(tmp_path)}"]
    words += ["--origin", "log.example/one", "--state", str(tmp_path / "state")]
    assert main.run(["ledger", *words]) == 3
    assert "without TLS" in capsys.readouterr().err


def test_two_writers_have_two_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = token_file(tmp_path)
    words = ["--writer", f"site-a={token}", "--writer", f"site-b={token}"]
    words += ["--origin", "log.example/one", "--state", str(tmp_path / "state")]
    assert main.run(["ledger", *words]) == 2
    assert "token of its own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["entries", "/nowhere", "--key", "K"], 2, "key"),
        (["entries", "/nowhere"], 2, "--key or --policy"),
        (["entries", "/nowhere", "--key", str(MLDSA44.verifier)], 2, "a folder"),
        (["entries", "http://127.0.0.1:1", "--key", str(MLDSA44.verifier)], 4, "answer"),
        (["entries", "/", "--key", str(MLDSA44.verifier)], 4, "/checkpoint"),
        (["entries", "/", "--key", str(MLDSA44.verifier), "--kind", "x"], 2, "registration"),
        (["watch", "/", "--key", str(MLDSA44.verifier), "--own", "ada=00"], 2, "64 digits"),
        (["watch", "/", "--key", str(MLDSA44.verifier), "--own", "!"], 2, "a letter first"),
    ],
)
def test_a_log_that_cannot_be_read_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    if words[0] == "watch":
        words = [*words, "--once", "--state", str(tmp_path)]
    assert main.run(["log", *words]) == code
    assert said in capsys.readouterr().err
