"""What can keep entries from the log they wait for.

LedgerError
├── LogUnusable    (UsageError) where the log is, or who we are there, is not said, or cannot be
├── LogUnreached   (UnreachableError) the log does not answer, or asks to be left alone for now
└── WriterRefused  (RefusedError) the log does not know this writer
"""

from bellwire.base.errors import RefusedError, UnreachableError, UsageError
from bellwire.ledger.errors import LedgerError


class LogUnusable(LedgerError, UsageError):
    """Where the log is, or who we are there, is not said, or cannot be so."""


class LogUnreached(LedgerError, UnreachableError):
    """The log does not answer, or has no time; `wait_s` is how long it asks to be left alone."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class WriterRefused(LedgerError, RefusedError):
    """The log does not know the writer, or not under this name."""
