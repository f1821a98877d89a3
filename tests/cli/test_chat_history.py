"""`bellwire chat history`: from one device to another, with the code on the terminal alone."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.chat.messenger.pairs import user
from tests.patience import PATIENCE_S

from bellwire.chat.errors import ChatMisuse
from bellwire.chat.messenger.home import Home, make, person_of
from bellwire.cli.main import run

CODE = re.compile(r"(?:[A-Z2-7]{4}-){7}[A-Z2-7]{4}")
NOWHERE = "ws://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWIRE_STATE__DIR", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for who in ("phone", "laptop"):
        make(tmp_path / "s", who, Home(who, "", NOWHERE, "file"))


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert run(["chat", "history", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


async def said(folder: Path, *words: str) -> None:
    """Notes on the phone."""
    async with asyncio.timeout(PATIENCE_S):
        async with user(folder / "s" / "chat" / "phone", "phone", NOWHERE, None) as phone:
            for each in words:
                await phone.messenger.send(phone.messenger.me, each)


def exported(capsys: pytest.CaptureFixture[str], file: Path) -> tuple[Any, str]:
    read, write = os.pipe()
    try:
        found = told(capsys, "export", str(file), "--as", "phone", "--code-to", f"fd:{write}")
    finally:
        os.close(write)
    with os.fdopen(read) as code:
        return found, code.read()


def test_notes_of_one_device_are_found_on_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(said(tmp_path, "the key is under the mat", "buy milk"))
    file, kept = tmp_path / "history", tmp_path / "code"
    document, code = exported(capsys, file)
    assert document == {
        "name": "phone", "file": str(file), "people": 0, "messages": 2, "attachments": 0,
        "not_sent": 0,
    }  # fmt: skip
    assert CODE.fullmatch(code.strip())
    assert code.strip() not in json.dumps(document)
    kept.touch(0o600)
    kept.write_text(code.lower())
    taken = ("import", str(file), "--as", "laptop", "--code-from", str(kept))
    assert told(capsys, *taken) == {
        "name": "laptop", "people": 0, "messages": 2, "known": 0, "attachments": 0, "expired": 0,
        "left_out": 0,
    }  # fmt: skip
    assert told(capsys, *taken)["known"] == 2
    assert run(["chat", "history", *taken]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "0 messages and 0 people are new here",
        "2 were here already",
    ]
    with person_of(tmp_path / "s", "laptop") as laptop, laptop.history() as history:
        assert [each.text for each in history.search("MILK")] == ["buy milk"]

    async def change() -> None:
        async with user(tmp_path / "s" / "chat" / "laptop", "laptop", NOWHERE, None) as one:
            me = one.messenger.me
            first, _ = await one.messenger.history(me)
            assert first.brought
            with pytest.raises(ChatMisuse, match="that this device said"):
                await one.messenger.resend(me, first.message_id)
            await one.messenger.delete(me, first.message_id)
            assert [each.text for each in await one.messenger.history(me)] == ["", "buy milk"]

    asyncio.run(change())
    # What was taken back here does not come again.
    assert told(capsys, *taken)["known"] == 2


def test_what_cannot_be_done_is_said_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, code = tmp_path / "history", tmp_path / "code"
    exported(capsys, file)
    code.touch(0o600)

    def refused(*words: str, exit_code: int) -> str:
        return str(told(capsys, *words, code=exit_code)["error"]["message"])

    taken = ("import", str(file), "--as", "laptop", "--code-from")
    code.write_text("A" * 32)
    assert "with a slip" in refused(*taken, str(code), exit_code=2)
    code.write_text("short")
    assert "32 letters" in refused(*taken, str(code), exit_code=2)
    _, other = exported(capsys, tmp_path / "another")
    code.write_text(other)
    assert "the code of this file" in refused(*taken, str(code), exit_code=3)
    code.chmod(0o644)
    assert "open to its owner alone" in refused(*taken, str(code), exit_code=3)
    assert "fd:N with a number" in refused(
        "export", "x", "--as", "phone", "--code-to", "file", exit_code=2
    )
    assert "open descriptor" in refused(
        "export", str(tmp_path / "x"), "--as", "phone", "--code-to", "fd:987", exit_code=2
    )
    with Path("/dev/full").open("wb") as full:
        message = refused(
            "export", str(tmp_path / "x"), "--as", "phone", "--code-to", f"fd:{full.fileno()}",
            exit_code=2,
        )  # fmt: skip
    assert "the file was removed" in message
    assert not (tmp_path / "x").exists()
    assert "got one that is there" in refused_export(capsys, file)


def refused_export(capsys: pytest.CaptureFixture[str], file: Path) -> str:
    read, write = os.pipe()
    with os.fdopen(read) as code:
        found = told(
            capsys, "export", str(file), "--as", "phone", "--code-to", f"fd:{write}", code=2
        )
        os.close(write)
        assert code.read() == ""
    return str(found["error"]["message"])


RUN_AT = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "from bellwire.cli.main import run; sys.exit(run(sys.argv[1:]))"
)


def at_terminal(*words: str, typed: str, asked: str | None = None) -> tuple[int, str, str]:
    """Exit code, standard output, which is no terminal, and what the terminal showed.

    What is `typed` comes once it is `asked` for; None: at once.
    """
    ours, theirs = pty.openpty()
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", RUN_AT, "chat", *words],
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        with child:
            shown = b""
            if asked is None:
                os.write(ours, typed.encode())
            while True:
                try:
                    piece = os.read(ours, 4096)
                except OSError:  # the other end is closed
                    break
                shown += piece
                if asked and asked.encode() in shown:
                    os.write(ours, typed.encode())
                    asked = ""
            assert child.stdout is not None
            out = child.stdout.read().decode()
            code = child.wait(PATIENCE_S)
    finally:
        os.close(ours)
    return code, out, shown.decode()


def test_the_code_is_shown_on_the_terminal_and_asked_for_there(tmp_path: Path) -> None:
    file = str(tmp_path / "history")
    told = ("--plain", "--as", "phone")
    code, out, shown = at_terminal(*told, typed=f"/history export {file}\n/quit\n")
    assert code == 0
    assert "0 messages" in out
    assert not CODE.search(out)
    found = CODE.search(shown)
    assert found
    asked = ("history", "import", file, "--as", "laptop")
    code, out, shown = at_terminal(*asked, typed=found[0] + "\n", asked="code:")
    assert (code, "0 messages" in out) == (0, True)
    assert found[0] not in shown


def test_without_a_terminal_there_is_no_code_and_no_file(tmp_path: Path) -> None:
    file = tmp_path / "history"
    done = subprocess.run(
        [sys.executable, "-m", "bellwire", "chat", "history", "export", file, "--as", "phone"],
        capture_output=True, text=True, check=False, start_new_session=True, timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--code-to fd:N" in done.stderr
    assert not file.exists()
