"""Faults between the store and SQLite: an error, or the end of the process, at any statement."""

import sqlite3
from collections.abc import Callable
from typing import Any


class Crash(BaseException):
    """The process ends here, as far as the store can tell."""


class Faults:
    """Raises `error` at the n-th statement: before it runs, or after it has."""

    def __init__(self, at: int, error: BaseException, *, after: bool) -> None:
        self.left = at
        self.error = error
        self.after = after
        self.hit = False

    def run(self, statement: Callable[[], Any]) -> Any:
        self.left -= 1
        if self.left == 0:
            self.hit = True
            if self.after:
                statement()
            raise self.error
        return statement()


class Armed:
    """The faults in force, if any; one for the module, as connections are made by the product."""

    faults: Faults | None = None


class FaultyCursor(sqlite3.Cursor):
    def execute(self, *args: Any) -> Any:
        run = super().execute
        return Armed.faults.run(lambda: run(*args)) if Armed.faults else run(*args)

    def executemany(self, *args: Any) -> Any:
        run = super().executemany
        return Armed.faults.run(lambda: run(*args)) if Armed.faults else run(*args)


class FaultyConnection(sqlite3.Connection):
    def cursor(self, *_: Any) -> Any:
        return FaultyCursor(self)
