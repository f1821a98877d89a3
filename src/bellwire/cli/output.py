"""What commands print, and where.

Standard output carries the result: one JSON document with `--json`, else text for people.
Everything else (progress, notes, errors) goes to standard error. Colour appears on a terminal
only, and never when `NO_COLOR` is set; both are rich's own rules.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


class _Once:
    """Whether this process has printed its one JSON document."""

    printed = False


def emit(document: object) -> None:
    """Print the one JSON document of `--json` on standard output.

    Args:
        document: Mappings, sequences, plain values; also dataclasses, enums (by value), paths
            and NumPy scalars and arrays.

    Raises:
        TypeError: a value has no JSON form; bytes and secrets never have one.
        ValueError: a number is not finite, which JSON cannot say.
    """
    text = json.dumps(document, default=_plain, allow_nan=False, ensure_ascii=False)
    _Once.printed = True
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def emit_error(message: str, hint: str | None, code: int) -> None:
    """Print the JSON form of an error, unless the one document is out already."""
    if not _Once.printed:
        emit({"error": {"message": message, "hint": hint, "code": code}})


def forget() -> None:
    """Start counting documents anew: for a process that runs several command lines (tests)."""
    _Once.printed = False


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"expected a value with a JSON form, got {type(value).__name__}")


def stdout(*, markup: bool = False) -> "Console":
    """A rich console on standard output, for results that people read.

    Args:
        markup: Whether square brackets are marks: only where all that is printed is our own words.
    """
    return _console(sys.stdout, markup=markup)


def stderr() -> "Console":
    """A rich console on standard error, for notes beside the result."""
    return _console(sys.stderr, markup=False)


def _console(file: TextIO, *, markup: bool) -> "Console":
    from rich.console import Console

    return Console(file=file, markup=markup, highlight=False, soft_wrap=not file.isatty())


class Meter:
    """Hand of `progress`: says how far the work is. Without a terminal it does nothing."""

    __slots__ = ("_bar", "_task")

    def __init__(self, bar: "Progress | None" = None, task: "TaskID | None" = None) -> None:
        self._bar = bar
        self._task = task

    def advance(self, amount: float = 1.0) -> None:
        """Count `amount` more of the total as done."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, amount)

    def describe(self, what: str) -> None:
        """Say what is being done now."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=what)


@contextmanager
def progress(what: str, *, total: float | None = None, unit: str = "") -> Iterator[Meter]:
    """Show work that lasts over a second, with rate and time left, on a terminal only.

    Args:
        what: The work, in a few words.
        total: Amount of it, in `unit`; None when it is not known (no rate, no time left).
        unit: What is counted, e.g. "pulses".

    Yields:
        The meter to advance.
    """
    if not sys.stderr.isatty():
        yield Meter()
        return
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} {unit}/s")

    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
    if total is not None:
        columns += [BarColumn(), Rate(), TimeRemainingColumn()]
    with Progress(*columns, console=stderr(), transient=True) as bar:
        yield Meter(bar, bar.add_task(what, total=total))
