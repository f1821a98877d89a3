"""`bellwire witness` as a process: what logs hear over HTTP, what survives it, what it refuses."""

import http.client
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.logs import ED25519, LOG, MLDSA44, WITNESSES, SmallLog, numbered
from tests.patience import PATIENCE_S

from bellwire.base.lock import held
from bellwire.base.private import own_folder
from bellwire.cli import main
from bellwire.ledger.note import Note, parse_signature
from bellwire.ledger.policy import of_witnesses, verify_checkpoint
from bellwire.ledger.verifier_keys import parse_vkey
from bellwire.ledger.witness.memory import Memory, Seen
from bellwire.ledger.witness.submission import Submission
from bellwire.ledger.witness.witness import Witness, by_origin

SOURCE = str(Path(__file__).parents[2] / "src")


class Running:
    """A witness in a process of its own, and one connection to it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], PATIENCE_S)[0], "no word from the witness"
        self.said: dict[str, Any] = json.loads(process.stdout.readline())
        host, port = self.said["url"].partition("://")[2].split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)

    def ask(
        self, body: bytes, path: str = "/add-checkpoint", verb: str = "POST"
    ) -> tuple[int, str, bytes]:
        """(code, kind of content, content)."""
        self.connection.request(verb, path, body)
        answer = self.connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read()

    def submit(self, log: SmallLog, old: int, new: int) -> tuple[int, str, bytes]:
        proof = log.prover.consistency(old, new) if old else ()
        return self.ask(Submission(old, proof, log.note(size=new)).encode())


@contextmanager
def running(state: Path, *words: str) -> Iterator[Running]:
    line = [sys.executable, "-m", "bellwire", "witness", "--listen", "127.0.0.1:0"]
    line += ["--with-parent", "--state", str(state), "--log", str(MLDSA44.verifier), *words]
    with subprocess.Popen(
        line,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    ) as process:
        try:
            found = Running(process)
            try:
                yield found
            finally:
                found.connection.close()
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def test_a_log_is_answered_as_tlog_witness_says_and_a_kill_loses_nothing(tmp_path: Path) -> None:
    log = SmallLog(numbered(300))
    forked = SmallLog([b"forged", *numbered(300)[1:]])
    with running(tmp_path, "--name", "witness.example/w") as witness:
        keys = [parse_vkey(each) for each in witness.said["keys"]]
        assert witness.said["logs"] == [MLDSA44.verifier.name]
        code, kind, body = witness.submit(log, 0, 100)
        assert (code, kind) == (200, "text/plain; charset=utf-8")
        lines = [parse_signature(line) for line in body.decode().splitlines()]
        note = log.note(size=100).with_signatures(*lines)
        for key in keys:
            verify_checkpoint(note, of_witnesses([MLDSA44.verifier], [key], 1))
        witness.process.kill()
        witness.process.wait(PATIENCE_S)
    with running(tmp_path) as witness:
        assert witness.said["keys"] == [str(key) for key in keys]
        assert witness.submit(log, 0, 300) == (409, "text/x.tlog.size", b"100\n")
        assert witness.submit(forked, 100, 300)[0] == 422
        assert witness.submit(forked, 100, 100) == (409, "text/x.tlog.size", b"100\n")
        assert witness.submit(log, 100, 300)[0] == 200
        assert witness.submit(SmallLog(numbered(3), "log.example/other"), 0, 3)[0] == 404
        assert witness.ask(Submission(0, (), log.note(ED25519)).encode())[0] == 403
        assert witness.ask(Submission(301, (), log.note()).encode())[0] == 400
        assert witness.ask(b"garbage")[0] == 400
        assert witness.ask(b"")[0] == 400
        assert witness.ask(b"", "/other")[0] == 404
        assert witness.ask(b"", verb="GET")[0] == 405
        assert witness.ask(b"x" * 300_000)[0] == 413


def test_a_witness_has_one_name_and_one_process(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fails(*words: str) -> str:
        assert main.run([*words, "--state", str(tmp_path)]) == 2
        return capsys.readouterr().err

    assert "--name NAME" in fails("witness", "key")
    assert "key's name" in fails("witness", "key", "--name", "two words")
    assert main.run(["witness", "key", "--name", "w.example/1", "--state", str(tmp_path)]) == 0
    shown = [parse_vkey(line) for line in capsys.readouterr().out.split()]
    assert [key.name for key in shown] == ["w.example/1"] * 2
    assert (tmp_path / "witness" / "witness.key").stat().st_mode & 0o777 == 0o600
    assert "w.example/1" in fails("witness", "key", "--name", "w.example/2")
    assert "--log" in fails("witness")
    with held(tmp_path / "witness" / "lock"):  # as a witness at work does
        assert "no witness at work" in fails("witness", "--log", str(MLDSA44.verifier))
    (tmp_path / "witness" / "witness.key").unlink()
    assert "expected the key" in fails("witness", "key")


def test_a_witness_that_was_put_back_does_not_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    state, second = tmp_path / "state", tmp_path / "second"
    own_folder(state / "witness")
    memory = Memory(state / "witness" / "logs", second, ())
    memory.keep(MLDSA44.verifier.name, Seen(5, bytes(32), 7))
    (file,) = (state / "witness" / "logs").iterdir()
    file.unlink()
    words = ["witness", "--log", str(MLDSA44.verifier), "--second", str(second)]
    words += ["--name", "w.example/1", "--listen", "127.0.0.1:0"]
    assert main.run([*words, "--state", str(state)]) == 3
    assert "as new as its copy" in capsys.readouterr().err


def test_the_key_of_a_witness_can_be_wrapped(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    state, source = ["--state", str(tmp_path / "state")], f"file:{tmp_path / 'kek'}"

    def shown(*words: str) -> Any:
        assert main.run(["witness", *words, *state, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    keys = shown("key", "--name", "w.example/1")["keys"]
    assert shown("protect")["source"] == "plain"
    shown("protect", "--to", source)
    assert not (tmp_path / "state" / "witness" / "witness.key").exists()
    assert shown("key", "--key-protection", source)["keys"] == keys
    assert main.run(["witness", "key", *state]) == 3
    assert "plain" in capsys.readouterr().err


def test_what_a_witness_gave_verifies_offline(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = SmallLog(numbered(20))
    followed = by_origin([MLDSA44.verifier])
    witness = Witness(WITNESSES[1], followed, Memory(tmp_path / "logs", None, ()))
    given = witness.add_checkpoint(Submission(0, (), log.note()).encode())
    lines = tuple(parse_signature(line) for line in given.splitlines())
    receipt = log.receipt(3, *LOG)
    whole = Note(receipt.note.text, (*receipt.note.signatures, *lines))
    path = tmp_path / "3.tlog-proof"
    path.write_bytes(type(receipt)(3, receipt.proof, whole, receipt.extra).encode())
    words = ["log", "verify", str(path), "--key", str(MLDSA44.verifier), "--json"]
    assert main.run([*words, "--witness", str(WITNESSES[1][1].verifier)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in said["witnesses"]] == ["witness.example/w2"]
    capsys.readouterr()
    assert main.run([*words, "--witness", str(WITNESSES[0][1].verifier)]) == 3
