"""A process that dies at its nth step towards the disk, for tests of what it leaves."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Crash(BaseException):
    """The process is gone: nothing of it happens any more."""


class Steps:
    """Lets a process die at its nth step; whatever it does after that has no effect."""

    def __init__(self, last: int) -> None:
        self.left = last

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Crash

    def around(self, action: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **named: Any) -> Any:
            self.take()
            done = action(*args, **named)
            self.take()
            return done

        return stepped


@contextmanager
def mortal(last: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    steps = Steps(last)
    with monkeypatch.context() as patch:
        for owner, name in (
            (os, "fsync"),
            (os, "write"),
            (Path, "replace"),
            (Path, "hardlink_to"),
            (Path, "unlink"),
        ):
            patch.setattr(owner, name, steps.around(getattr(owner, name)))
        yield steps
