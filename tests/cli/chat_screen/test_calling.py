"""Who does not look at the window is told by a program of theirs."""

import asyncio
import shlex
from pathlib import Path

import pytest
from tests.cli.chat_screen.windows import Seat, at_window
from tests.patience import PATIENCE_S

from bellwire.base.errors import UsageError
from bellwire.cli.chat_screen.calling import Caller


def program(folder: Path, then: str = "") -> tuple[str, Path]:
    """A command that writes down each word that it was given; and where."""
    script, told = folder / "tell it", folder / "told"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{shlex.quote(str(told))}\n{then}\n')
    script.chmod(0o700)
    told.touch()
    return f"{shlex.quote(str(script))} bellwire", told


def words(told: Path) -> list[str]:
    return told.read_text().splitlines()


async def until_told(told: Path, lines: int) -> list[str]:
    async with asyncio.timeout(PATIENCE_S):
        while len(words(told)) < lines:
            await asyncio.sleep(0.01)
    return words(told)


def test_who_looks_elsewhere_is_told_from_whom_and_not_what(tmp_path: Path) -> None:
    command, told = program(tmp_path)
    caller = Caller(command)

    async def story(seat: Seat) -> None:
        await seat.bob.messenger.send(await seat.bob.peer(), "this is seen")
        await seat.message("this is seen")
        assert told.read_text() == ""
        await seat.press("ctrl+p")
        await seat.sees(lambda: "notes" in seat.shown("facts"))
        await seat.bob.messenger.send(await seat.bob.peer(), "the plan")
        assert await until_told(told, 2) == ["bellwire", "Message from Bob"]
        await caller.close()

    at_window(tmp_path, story, caller=caller)


def test_while_the_program_is_at_work_nobody_is_told_again(tmp_path: Path) -> None:
    command, told = program(tmp_path, "exec sleep 100000")

    async def run() -> list[str]:
        caller = Caller(command)
        caller.call("-e \x1b[2J\nBob")
        await until_told(told, 2)
        caller.call("Carol")
        await caller.close()  # else the program would go on, and its pipes with it
        caller.call("Dave")
        found = await until_told(told, 4)
        await caller.close()
        return found

    first, name, *rest = asyncio.run(run())
    assert name.startswith("Message from -e ")
    assert name.endswith(" Bob")
    assert name.isprintable()
    assert [first, *rest] == ["bellwire", "bellwire", "Message from Dave"]


@pytest.mark.parametrize("command", ["", "bellwire-no-such-program", "sh 'open"])
def test_a_command_that_there_is_not_is_refused(command: str) -> None:
    with pytest.raises(UsageError, match="--notify: expected a command"):
        Caller(command)
