"""`/attach` and `/save` line by line: between messengers, and between processes that are killed."""

import asyncio
import contextlib
import json
import random
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.chat.messenger.pairs import User, alice_and_bob
from tests.chat.messenger.servers import Link
from tests.chat.messenger.test_attachments import file_of, written
from tests.chat.relay.running import Process, relay_at
from tests.chat.test_two_sites import Client, client
from tests.patience import PATIENCE_S

from bellwire.base.errors import UsageError
from bellwire.chat.attachment import MAX_FILE_BYTES
from bellwire.chat.content import MAX_PADDED_BYTES
from bellwire.chat.errors import AttachmentUnusable
from bellwire.chat.messenger.home import Home, make
from bellwire.chat.messenger.views import AttachmentState
from bellwire.cli.chat_commands import Commands
from bellwire.cli.chat_files import path_of, size_words
from bellwire.cli.chat_place import Lab
from bellwire.cli.chat_plain import Choices, Plain
from bellwire.cli.main import run

AS_LINES = Choices(None, None, None, None, stay=False, wait_s=30.0, json=True)
MIDDLING = 4_000_000


class Lines:
    """The line mode of somebody, at their messenger."""

    def __init__(self, one: User, capsys: pytest.CaptureFixture[str]) -> None:
        self._commands = Commands(Plain(one.messenger, AS_LINES), Lab(Path("nowhere")), "a")
        self._capsys = capsys

    async def says(self, command: str) -> dict[str, Any]:
        self._capsys.readouterr()
        await self._commands.run(command)
        answer: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return answer


def at(answer: dict[str, Any]) -> Path:
    """Where a file was saved."""
    return Path(answer["saved"])


def drafts(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".bellwire-*"))


Story = Callable[[User, User, Lines, Lines], Awaitable[None]]


def between(folder: Path, capsys: pytest.CaptureFixture[str], story: Story) -> None:
    async def whole() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            relay_at(folder / "relay", now=time.time()) as url,
            alice_and_bob(folder, url, Link()) as (alice, bob),
        ):
            await story(alice, bob, Lines(alice, capsys), Lines(bob, capsys))

    asyncio.run(whole())


def test_a_file_is_attached_and_saved_under_its_name_in_a_folder_or_as_a_new_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(alice: User, bob: User, at_alice: Lines, at_bob: Lines) -> None:
        small = written(tmp_path / "home", "a plan.pdf", MAX_PADDED_BYTES)
        large = written(tmp_path / "home", "raw.h5", MAX_PADDED_BYTES + 1, seed=2)
        said = await at_alice.says(f"/attach {small}")
        assert said["file"] == {
            "name": "a plan.pdf", "size": MAX_PADDED_BYTES, "done": MAX_PADDED_BYTES,
            "state": "here", "chunked": False,
        }  # fmt: skip
        await file_of(bob, AttachmentState.HERE)
        folder = tmp_path / "of bob"
        folder.mkdir()
        (folder / "a plan.pdf").write_text("was here before")
        saved = at(await at_bob.says(f"/save {folder}"))
        assert saved == folder / "a plan (1).pdf"
        assert saved.read_bytes() == small.read_bytes()
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600

        said = await at_alice.says(f"/attach '{large}'")
        assert said["file"]["chunked"]
        await file_of(bob, AttachmentState.HERE)
        with pytest.raises(AttachmentUnusable, match="there already"):
            await at_bob.says(f"/save 1 {folder / 'a plan.pdf'}")
        saved = at(await at_bob.says(f"/save 1 {folder / 'other name'}"))
        assert saved.read_bytes() == large.read_bytes()
        assert sorted(each.name for each in folder.iterdir()) == [
            "a plan (1).pdf", "a plan.pdf", "other name",
        ]  # fmt: skip
        assert (folder / "a plan.pdf").read_text() == "was here before"
        with pytest.raises(AttachmentUnusable, match="saved already"):
            await at_bob.says("/save")

    between(tmp_path, capsys, story)


def test_what_cannot_be_attached_or_saved_is_said_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(alice: User, bob: User, at_alice: Lines, at_bob: Lines) -> None:
        huge = tmp_path / "huge"
        with huge.open("wb") as file:
            file.truncate(MAX_FILE_BYTES + 1)
        for named in ("", "~nobody-of-this-name/x", "\0"):
            with pytest.raises(UsageError):
                await at_alice.says(f"/attach {named}")
        for path in (huge, tmp_path, tmp_path / "missing"):
            with pytest.raises(AttachmentUnusable):
                await at_alice.says(f"/attach {path}")
        assert await alice.lines() == []

        with pytest.raises(UsageError, match="a file of theirs"):
            await at_bob.says("/save")
        for number in ("0", "1"):
            with pytest.raises(UsageError, match="number of a message"):
                await at_bob.says(f"/save {number}")
        await at_alice.says(f"/attach {written(tmp_path / 'home', 'x', 10)}")
        await file_of(bob, AttachmentState.HERE)
        with pytest.raises(AttachmentUnusable, match="none of theirs"):
            await at_alice.says("/save 1")
        for place in (str(tmp_path / "no" / "such"), "/proc/1/x", "/dev/null"):
            with pytest.raises(AttachmentUnusable):
                await at_bob.says(f"/save {place}")
        assert drafts(tmp_path) == []
        assert (await file_of(bob, AttachmentState.HERE)).text == "x"

    between(tmp_path, capsys, story)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
     (104_857_600, "104.9 MB"), (10**10, "10000.0 MB")],
)  # fmt: skip
def test_a_size_is_in_units_that_people_read(size: int, words: str) -> None:
    assert size_words(size) == words


def test_a_path_is_taken_with_its_quotes_and_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert path_of(" '~/a b.txt' ") == Path("/home/ann/a b.txt")
    assert path_of('"it\'s.txt"') == Path("it's.txt")


def test_a_file_comes_whole_though_its_sender_receiver_and_relay_are_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "s"
    monkeypatch.setenv("BELLWIRE_STATE__DIR", str(state))
    path = tmp_path / "raw data.bin"
    path.write_bytes(random.Random(1).randbytes(MIDDLING))
    relay = Process(tmp_path / "relay")
    try:
        make(state, "ann", Home("ann", "", relay.url, "file"))
        make(state, "ben", Home("ben", "", relay.url, "file"))
        assert run(["chat", "link", "--as", "ann", "--json"]) == 0
        link = json.loads(capsys.readouterr().out)["link"]

        async def part(receiver: Client, share: float) -> None:
            await receiver.until(
                lambda each: (
                    each["event"] == "attachment" and each["file"]["done"] >= share * MIDDLING
                )
            )

        async def story() -> None:
            nonlocal relay
            talks = {"ann": ("--stay", "--to", "ben"), "ben": ("--stay", "--to", "ann")}
            async with contextlib.AsyncExitStack() as later:
                async with client(state, "ben", "--stay", "--add", link) as ben:
                    async with client(state, "ann", *talks["ann"]) as ann:
                        await ann.is_told("contact")
                        assert (await ann.answer(f"/attach {path}", "file"))["file"]["chunked"]
                        await part(ben, 0.2)
                    await later.enter_async_context(client(state, "ann", *talks["ann"]))
                    await part(ben, 0.4)
                ben = await later.enter_async_context(client(state, "ben", *talks["ben"]))
                await part(ben, 0.6)
                relay.kill()
                relay = await asyncio.to_thread(Process, tmp_path / "relay", relay.port)
                await ben.until(
                    lambda each: each["event"] == "attachment" and each["file"]["state"] == "here"
                )
                saved = await ben.answer(f"/save 1 {tmp_path / 'saved'}", "saved")
                assert at(saved).read_bytes() == path.read_bytes()

        async def bounded() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await story()

        asyncio.run(bounded())
    finally:
        relay.stop()
