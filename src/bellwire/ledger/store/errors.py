"""What can go wrong where a log rests, and with what writers bring.

LedgerError
├── LogStoreError         the store failed; what it holds is as before or as after
│   ├── LogStoreUnusable  (UsageError) it cannot be opened, or another process has it
│   └── LogStoreDamaged   (RefusedError) it is not what was written
├── SequenceGap           (UsageError) a writer left out a number
└── SequenceTaken         (RefusedError) a writer brings another entry under a number that it used
"""

from bellwire.base.errors import RefusedError, UsageError
from bellwire.ledger.errors import LedgerError


class LogStoreError(LedgerError):
    """The log's store failed; what it holds is as before or as after, and is read anew."""


class LogStoreUnusable(LogStoreError, UsageError):
    """The log's store cannot be opened: no rights, or another process has it."""


class LogStoreDamaged(LogStoreError, RefusedError):
    """The log's store is not what was written."""


class SequenceGap(LedgerError, UsageError):
    """A writer left out a number; `expected` is the one that comes next."""

    def __init__(self, writer: str, expected: int, got: int) -> None:
        super().__init__(f"sequence of {writer}: expected {expected} next, got {got}")
        self.expected = expected


class SequenceTaken(LedgerError, RefusedError):
    """A writer brings another entry under a number that it used."""
