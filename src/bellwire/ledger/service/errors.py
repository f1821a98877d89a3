"""What can go wrong in a log at work.

LedgerError
├── LogBehind        (RefusedError) the store holds less, or other, than the log has signed
├── LogUnnamed       (UsageError) a log without a name begins, or one is to have another
├── WriterUnknown    (RefusedError) no token of a writer, or another writer's entries
├── BatchUnusable    (UsageError) entries that do not follow on each other
├── LogBusy          (UnreachableError) too many entries wait
└── NotCosigned      (RefusedError) a witness that was asked does not cosign
"""

from bellwire.base.errors import RefusedError, UnreachableError, UsageError
from bellwire.ledger.errors import LedgerError


class LogBehind(LedgerError, RefusedError):
    """The store holds less, or other, than the log has signed: it signs nothing more."""


class LogUnnamed(LedgerError, UsageError):
    """A log that begins has no name, or one that has a name is to have another."""


class WriterUnknown(LedgerError, RefusedError):
    """A token that is no writer's, or a writer that brings entries in another's name."""


class BatchUnusable(LedgerError, UsageError):
    """Entries that are too many, or do not follow on each other."""


class LogBusy(LedgerError, UnreachableError):
    """Too many entries wait for the store, or it failed: bring them again."""


class NotCosigned(LedgerError, RefusedError):
    """A witness that was asked does not cosign a checkpoint, or not with its key."""
