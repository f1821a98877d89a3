"""Completes commands, people and paths in the input line, as a shell does with Tab."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

from bellwire.chat.card import SCHEME
from bellwire.cli.chat_table import in_window

MAX_ENTRIES: Final = 10_000
"""Entries of a folder that are looked at."""

_WITH_PATHS: Final = frozenset({"attach", "save", "add", "link"})


@dataclass(frozen=True, slots=True)
class Completed:
    """What a line has become.

    Attributes:
        line: With all that was clear.
        choices: How it could go on, if that was not clear.
    """

    line: str
    choices: Sequence[str]


def complete(line: str, people: Iterable[str]) -> Completed | None:
    """Complete a line of the input; None if it is no command, or takes nothing like it.

    Args:
        line: As it was typed, up to the cursor.
        people: Names for `/to`.
    """
    if not line.startswith("/") or line.startswith("//") or "\n" in line:
        return None
    command, space, rest = line[1:].partition(" ")
    if not space:
        names = [each.name for each in in_window() if each.name.startswith(command)]
        takes = {each.name for each in in_window() if each.window}
        done = _done("/", command, names)
        return (
            Completed(f"{done.line} ", ()) if done.line[1:] in takes and not done.choices else done
        )
    head = f"/{command} "
    if command == "to":
        return _done(head, rest, people)
    if command not in _WITH_PATHS or rest.startswith(("@", SCHEME)):
        return None
    number, space, more = rest.partition(" ")
    if command == "save" and space and number.isdecimal():
        head, rest = f"{head}{number} ", more
    return complete_path(head, rest)


def complete_path(head: str, typed: str) -> Completed:
    """Complete a path behind a head that stays as it is."""
    folder, slash, begun = typed.rpartition("/")
    try:
        place = Path(f"{folder}{slash}" or ".").expanduser()
        with os.scandir(place) as entries:
            names = sorted(
                f"{each.name}/" if each.is_dir() else each.name
                for each in islice(entries, MAX_ENTRIES)
                if each.name.casefold().startswith(begun.casefold())
                and each.name.isprintable()
                and (begun.startswith(".") or not each.name.startswith("."))
            )
    except (OSError, RuntimeError, ValueError):
        names = []
    return _done(f"{head}{folder}{slash}", begun, names)


def _done(head: str, begun: str, names: Iterable[str]) -> Completed:
    wanted = begun.casefold()
    found = [each for each in names if each.startswith(begun)] or [
        each for each in names if each.casefold().startswith(wanted)
    ]
    if not found:
        return Completed(head + begun, ())
    alike = takewhile(lambda each: len(set(each)) == 1, zip(*found, strict=False))
    common = "".join(each[0] for each in alike)
    longer = common if len(common) >= len(begun) else begun
    return Completed(head + longer, found if len(found) > 1 else ())
