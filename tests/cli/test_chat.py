"""`bellwire chat` line by line, and its account, at the relay that `bellwire relay` runs."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chat.accounts.people import secret
from tests.chat.messenger.pairs import until, user
from tests.chat.relay.running import Process
from tests.patience import PATIENCE_S

from bellwire.base.errors import UsageError
from bellwire.chat.accounts import password
from bellwire.chat.messenger.home import Home, make
from bellwire.cli.chat_requests import ACTS
from bellwire.cli.main import run

WORDS = "several words drawn at random"


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("relay"))
    yield process
    assert process.stop() == 0


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWIRE_STATE__DIR", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    monkeypatch.setattr(password, "ITERATIONS", 1)


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert run([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def made(folder: Path, relay: Process, who: str) -> None:
    make(folder / "s", who, Home(who, "", relay.url, "file"))


def kept(folder: Path, text: str) -> str:
    path = folder / f"password-{len(text)}"
    path.touch(0o600)
    path.write_text(text + "\n")
    return str(path)


def test_a_conversation_with_nobody_says_so_and_ends_with_2(tmp_path: Path, relay: Process) -> None:
    made(tmp_path, relay, "ann")
    done = subprocess.run(
        [sys.executable, "-m", "bellwire", "chat", "--plain", "--to", "carol"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "* there is no contact called carol yet",
        "* nobody called carol has come",
    ]


def test_who_begins_is_told_what_to_do_in_its_order(
    tmp_path: Path, relay: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "chat", code=2)["error"]["hint"]
    steps = ["bellwire up --detach", "bellwire chat new NAME --site a", "`bellwire chat`"]
    assert sorted(steps, key=said.index) == steps
    said = told(capsys, "chat", "new", "ann", "--site", "a", code=2)["error"]["hint"]
    assert "`bellwire up` makes those" in said
    (tmp_path / "s" / "profiles").mkdir(parents=True)
    (tmp_path / "s" / "profiles" / "app-a.toml").touch()
    said = told(capsys, "chat", code=2)["error"]["hint"]
    assert "bellwire up" not in said
    assert "bellwire chat new NAME" in said
    made(tmp_path, relay, "ann")
    made(tmp_path, relay, "ben")
    assert "--as NAME" in told(capsys, "chat", code=2)["error"]["hint"]


def test_an_account_is_looked_after_from_the_command_line(
    tmp_path: Path, relay: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = kept(tmp_path, WORDS), kept(tmp_path, WORDS + ", and another")
    made(tmp_path, relay, "bob")
    known = told(capsys, "chat", "relay", "--relay-id", relay.ready["accounts"])
    assert known["relay_id"] == relay.ready["accounts"]

    def account(*words: str, code: int = 0) -> Any:
        return told(capsys, "chat", "account", *words, code=code)

    assert account("sign-up", "@Bobby", "--password-from", first) == {"handle": "bobby"}
    assert account("visibility", "listed") == {"visibility": "listed"}
    (device,) = account("devices")["devices"]
    assert device["publishes"]
    assert account("name-device", device["device"], "desk")["name"] == "desk"
    assert run(["chat", "account", "export"]) == 0
    assert json.loads(capsys.readouterr().out)["handle"] == "bobby"
    both = ("--password-from", first, "--new-password-from", other)
    assert account("password", *both) == {"changed": True}
    refused = account("log-in", "bobby", "--password-from", first, code=3)
    assert "the handle or the password is wrong" in refused["error"]["message"]
    assert account("new-box") == {"drawn": True}
    assert account("log-out") == {"logged_out": "this"}
    assert "log-in bobby" in account("devices", code=2)["error"]["hint"]
    again = account("log-in", "bobby", "--password-from", other)
    assert again == {"handle": "bobby", "found_here": True}
    assert account("delete", "--password-from", other) == {"deleted": True}
    # There is one pin, of messages and accounts.
    told(capsys, "chat", "relay", "--relay-id", "ab" * 32)
    wrong = account("sign-up", "another", "--password-from", first, code=3)
    assert "expected the relay abab" in wrong["error"]["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("log-out", "0123456789abcdef", "--everywhere"), "got both"),
        (("log-out", "0123"), "16 hexadecimal digits"),
        (("visibility", "everybody"), "hidden, exact or listed"),
        (("sign-up", "ann", "--password-from", "fd:x"), "fd:N with a number"),
        (("devices",), "expected a handle at the relay, got none"),
    ],
)
def test_what_cannot_be_asked_of_an_account_is_said(
    tmp_path: Path,
    relay: Process,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    made(tmp_path, relay, "ann")
    assert said in told(capsys, "chat", "account", *words, code=2)["error"]["message"]


def test_commands_find_people_and_take_or_turn_away_who_waits(
    tmp_path: Path, relay: Process
) -> None:
    async def story() -> None:
        async with (
            user(tmp_path / "dan", "Dan", relay.url, None) as dan,
            user(tmp_path / "eve", "E[31mve", relay.url, None) as eve,
        ):
            assert await ACTS["requests"](dan.messenger, "") == "nobody waits to be accepted"
            assert await ACTS["find"](eve.messenger, "da") == "nobody who wants to be found"
            await dan.messenger.account.sign_up("daniel", secret(), "laptop")
            to_dan = await eve.messenger.add("@daniel")
            await eve.messenger.send(to_dan.contact, "look: \x1b[2J")

            async def waits() -> bool:
                found = await dan.messenger.requests.waiting()
                return len(found) == 1 and len(found[0].lines) == 1

            await until(waits)
            said = await ACTS["requests"](dan.messenger, "")
            assert "a stranger who says “E[31mve” (not verified)" in said
            assert "\x1b" not in said
            with pytest.raises(UsageError, match="got '2'"):
                await ACTS["accept"](dan.messenger, "2")
            assert "is a contact now" in await ACTS["accept"](dan.messenger, "1")
            assert "is blocked" in await ACTS["block"](dan.messenger, "E[31mve")
            (line,) = (await ACTS["block"](dan.messenger, "")).splitlines()
            assert line == f"{eve.messenger.me.hex()} E[31mve"
            assert not (await dan.messenger.conversation(eve.messenger.me)).reachable
            with pytest.raises(UsageError, match="fingerprint"):
                await ACTS["unblock"](dan.messenger, "eve")
            assert "not blocked" in await ACTS["unblock"](dan.messenger, eve.messenger.me.hex())
            with pytest.raises(UsageError):
                await ACTS["decline"](dan.messenger, "1")

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story()

    asyncio.run(bounded())
