"""A file of SQLite that one process writes: its transactions, and what its failures mean.

What always holds: a transaction that was committed is as durable as the connection's settings say.
After a commit that failed the connection is closed: what the disk holds is then unknown, and only
opening the file anew tells (a failed sync must not be retried).
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.errors import BellwireError
from bellwire.database.failures import Failures

BUSY_TIMEOUT_S: Final = 1.0
"""How long to wait for a predecessor that is just ending."""

_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_CORRUPT: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNUSABLE: Final = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}


@dataclass(frozen=True, slots=True)
class FilePurpose:
    """What a file is for, in the words of errors.

    Attributes:
        what: Is kept there, as `a key store`.
        owner: Who opens it, as `node`.
        if_damaged: What to do with a damaged one; a sentence.
        failures: Which errors are raised.
    """

    what: str
    owner: str
    if_damaged: str
    failures: Failures

    def error(self, error: sqlite3.Error, path: Path) -> BellwireError:
        """The one for what SQLite said."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        failures = self.failures
        if code in _BUSY:
            return failures.busy(
                f"expected to be the only user of {path}, got another",
                hint=f"Stop the other {self.owner}, or choose another state folder.",
            )
        if code in _CORRUPT:
            return failures.corrupt(
                f"expected {self.what} in {path}, got: {error}",
                hint=f"The file was left as it is. {self.if_damaged}",
            )
        if code in _UNUSABLE:
            return failures.unusable(
                f"expected to read and write {path}, got: {error}",
                hint="Choose another state folder, or mend its permissions.",
            )
        return failures.failed(f"{path} failed: {error}", hint="Free disk space, check the disk.")


class SqliteFile:
    """One open file; `transaction` is the way in.

    Args:
        connection: From `connect`; it is closed with this.
        path: Of the file.
        purpose: What for.

    Attributes:
        connection: As given, for what is no transaction.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, purpose: FilePurpose) -> None:
        self.connection = connection
        self._path = path
        self._purpose = purpose
        self._lock = threading.RLock()
        self._closed = False
        self._why = ""

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """All of the body, durably, or nothing of it.

        Raises:
            BellwireError: SQLite failed: one of the purpose's failures.
        """
        with self._lock, self.translated():
            self.require_open()
            # Closed at each end: a cursor kept by a traceback would keep the file locked.
            cursor = self.connection.cursor()
            try:
                cursor.execute("BEGIN IMMEDIATE")
                yield cursor
            except BaseException:
                cursor.close()
                self._roll_back()
                raise
            try:
                cursor.execute("COMMIT")
            except BaseException as error:
                cursor.close()
                self._abandon(f", because a commit failed: {error}")
                raise
            cursor.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Put what SQLite says into our errors."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._purpose.error(error, self._path) from error

    def require_open(self) -> None:
        """Go on, unless it is closed.

        Raises:
            BellwireError: `failed` of the purpose's failures.
        """
        if self._closed:
            raise self._purpose.failures.failed(
                f"{self._path} is closed{self._why}", hint=f"Restart the {self._purpose.owner}."
            )

    def close(self) -> None:
        """Give the file up; again is harmless."""
        with self._lock:
            self._abandon()

    def _roll_back(self) -> None:
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except BaseException as error:
            self._abandon(f", because nothing could be undone: {error}")
            raise

    def _abandon(self, why: str = "") -> None:
        if not self._closed:
            self._closed, self._why = True, why
            self.connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection that leaves transactions to us and may be used from any thread."""
    return sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
