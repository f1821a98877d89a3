"""The folder of a sweep: which sweep it is, and the rows that are done.

`sweep.json` says what the sweep is, from its first moment. `sweep.csv` grows by a whole line for
each finished experiment; a line that a crash cut short is dropped by the next run, which does that
experiment again. One sweep at a time holds the folder.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bellwire.base.private import write_whole
from bellwire.lab import tables
from bellwire.lab.errors import FileUnusable, OtherSweep
from bellwire.lab.rows import AnyRow

MAX_JSON = 1 << 20
MAX_CSV = 1 << 28
_READABLE = 0o644


@contextlib.contextmanager
def opened(path: Path, kind: type[AnyRow]) -> Iterator["SweepFolder"]:
    """The folder at `path` for rows of a kind, made if it is missing, held until the block ends.

    Raises:
        FileUnusable: it cannot be made or written, or another sweep runs in it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileUnusable(path, "to be alone in", "another sweep runs there") from None
        yield SweepFolder(path, kind)
    finally:
        os.close(held)


class SweepFolder:
    """What lies in the folder; `opened` makes it."""

    def __init__(self, path: Path, kind: type[AnyRow]) -> None:
        self.path = path
        self._kind = kind
        self._table = path / "sweep.csv"
        self._identity = path / "sweep.json"

    def identity(self) -> dict[str, Any] | None:
        """What `sweep.json` says, None if the folder is new.

        Raises:
            FileUnusable: it says nothing sensible, or there is a table without it.
        """
        text = self._read(self._identity, MAX_JSON)
        if text is None:
            if self._table.exists():
                raise FileUnusable(self.path, "a folder with both files or none:", "no sweep.json")
            return None
        with contextlib.suppress(ValueError):
            document = json.loads(text)
            if isinstance(document, dict):
                return document
        raise FileUnusable(self._identity, "a sweep's description in", "something else")

    def describe(self, document: Mapping[str, Any]) -> None:
        """Write `sweep.json`."""
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        write_whole(self._identity, text.encode(), _READABLE, replace=True)

    def rows(self) -> list[AnyRow]:
        """The rows that are done, in the order they were; drops a line that was cut short.

        Raises:
            FileUnusable: the table is not one of ours.
        """
        text = self._read(self._table, MAX_CSV)
        if text is None:
            return []
        whole = text[: text.rfind("\n") + 1]
        try:
            if whole != text:
                os.truncate(self._table, len(whole.encode()))
            return tables.parse(self._kind, whole) if whole else []
        except OSError as error:
            raise _unusable(self._table, error) from error
        except ValueError as error:
            raise FileUnusable(self._table, "a sweep's table in", str(error)) from error

    @contextlib.contextmanager
    def appending(self) -> Iterator["Appender"]:
        """Rows given to what this yields are in the table at once."""
        try:
            file = os.open(
                self._table, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _READABLE
            )
        except OSError as error:
            raise _unusable(self._table, error) from error
        try:
            appender = Appender(file, self._table)
            if os.fstat(file).st_size == 0:
                appender.write(tables.header(self._kind))
            yield appender
        finally:
            os.close(file)

    def _read(self, path: Path, limit: int) -> str | None:
        try:
            with path.open("rb") as file:
                content = file.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(path, error) from error
        if len(content) > limit:
            raise FileUnusable(path, f"at most {limit} bytes in", "more")
        # A crash may cut a character in two; the line it stands in is dropped anyway.
        return content.decode("utf-8", errors="ignore")


class Appender:
    """The end of a sweep's table."""

    def __init__(self, file: int, path: Path) -> None:
        self._file = file
        self._path = path

    def add(self, row: AnyRow) -> None:
        """Append one row with a single write.

        Raises:
            FileUnusable: the disk is full, or failed.
        """
        self.write(tables.line(row))

    def write(self, text: str) -> None:
        """Append a line; FileUnusable if the disk is full, or failed."""
        content = text.encode()
        try:
            written = os.write(self._file, content)
        except OSError as error:
            raise _unusable(self._path, error) from error
        if written != len(content):
            raise FileUnusable(self._path, "room to write", "a full disk")


def same_or_refuse(path: Path, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to mix sweeps: everything in `wanted` must be in `known` alike.

    Raises:
        OtherSweep: something differs, by name.
    """
    differing = [name for name, value in wanted.items() if known.get(name) != value]
    if differing:
        raise OtherSweep(path, (name.replace("_", "-") for name in differing))


def _unusable(path: Path, error: OSError) -> FileUnusable:
    return FileUnusable(path, "to read and write", error.strerror or str(error))
