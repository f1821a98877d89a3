"""`bellwire keys kek`: what it prints, how it ends, and that it says nothing secret."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.crypto.kek.conftest import own

from bellwire.base.detections import Side
from bellwire.cli.main import run
from bellwire.node.assemble import open_store


@pytest.fixture
def state(tmp_path: Path) -> Path:
    open_store(tmp_path / "node-a", Side.ALICE, None, signed=True).close()
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    assert run(["keys", "kek", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_rotating_and_showing_are_one_document_each(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = said(capsys, "show", "--site", "a", "--state", state)
    assert list(first) == ["site", "setting", "source", "key", "argon2id", "replaces"]
    assert (first["site"], first["setting"], first["source"]) == ("a", "file", "file")
    done = said(capsys, "rotate", "--site", "a", "--state", state)
    assert done == {
        "site": "a",
        "source": "file",
        "destroyed": {"source": "file", "key": first["key"]},
    }
    assert said(capsys, "show", "--site", "a", "--state", state)["key"] != first["key"]


def test_a_person_is_told_what_to_set(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = own(state / "words", "correct horse battery staple")
    line = ["--site", "a", "--state", str(state)]
    assert run(["keys", "kek", "rotate", *line, "--to", f"passphrase:{words}"]) == 0
    out = capsys.readouterr().out
    assert f"set kek.source to: passphrase:{words}" in out
    assert "correct horse" not in out
    assert run(["keys", "kek", "show", *line]) == 0
    out = capsys.readouterr().out
    assert "wrapped by passphrase" in out
    assert "memory_mib 256" in out
    assert run(["keys", "kek", "rotate", *line]) == 3
    assert "wrapped by file, as kek.source says, got one by passphrase" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["show", "rotate"])
def test_what_cannot_be_done_is_a_sentence(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, told in (
        ([], "expected --site a or --site b"),
        (["--site", "c"], "expected --site a or --site b"),
        (["--site", "b", "--state", tmp_path], "expected a node's store in"),
    ):
        assert run(["keys", "kek", verb, *map(str, words)]) == 2
        assert told in capsys.readouterr().err
