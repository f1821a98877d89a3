"""`bellwire accounts` through the command line."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from bellwire.cli.main import run
from bellwire.console.accounts import Accounts


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWIRE_STATE__DIR", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert run([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_an_account_is_made_shown_given_a_new_token_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts = Accounts(tmp_path / "s" / "console-a", "a")
    first = told(capsys, "accounts", "add", "alice", "--site", "a")
    assert (first["site"], first["name"]) == ("a", "alice")
    assert accounts.identify(first["token"]) is not None
    told(capsys, "accounts", "add", "boss", "--site", "a", "--operator")
    listed = told(capsys, "accounts", "list", "--site", "a")["accounts"]
    assert [(each["name"], each["role"]) for each in listed] == [
        ("alice", "member"),
        ("boss", "operator"),
    ]
    assert first["token"] not in json.dumps(listed)
    second = told(capsys, "accounts", "token", "alice", "--site", "a")
    assert accounts.identify(first["token"]) is None
    assert accounts.identify(second["token"]) is not None
    assert told(capsys, "accounts", "remove", "alice", "--site", "a") == {
        "site": "a",
        "removed": "alice",
    }
    assert not accounts.has("alice")


def test_a_token_may_go_into_a_new_file_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "token"
    found = told(capsys, "accounts", "add", "bob", "--site", "b", "--out", str(out))
    assert found == {"site": "b", "name": "bob", "file": str(out)}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    accounts = Accounts(tmp_path / "s" / "console-b", "b")
    assert accounts.identify(out.read_text().strip()) is not None
    refused = told(capsys, "accounts", "add", "dave", "--site", "b", "--out", str(out), code=2)
    assert "new file" in refused["error"]["message"]
    assert not accounts.has("dave")


@pytest.mark.parametrize(
    "words",
    [("add", "a b", "--site", "a"), ("add", "x", "--site", "c"), ("remove", "x", "--site", "a"),
     ("token", "x", "--site", "a"), ("add", "x")],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "accounts", *words, code=2)


def test_people_read_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["accounts", "add", "Zoë", "--site", "a"]) == 0
    name, token = capsys.readouterr().out.split()
    assert (name, len(token)) == ("Zoë@a", 43)
    assert run(["accounts", "list", "--site", "a"]) == 0
    assert "Zoë" in capsys.readouterr().out
    assert run(["console", "--site", "x"]) == 2
