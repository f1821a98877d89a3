"""What can be wrong with an entry, or with what is told of one.

LedgerError
├── EntryMalformed      (RefusedError) bytes that are no entry
└── CommitmentMismatch  (RefusedError) another value or salt than was committed to
"""

from bellwire.base.errors import RefusedError
from bellwire.ledger.errors import LedgerError


class EntryMalformed(LedgerError, RefusedError):
    """Bytes that are no entry, or an entry that is out of its bounds or not in its one form."""


class CommitmentMismatch(LedgerError, RefusedError):
    """A commitment is not one to this value under this salt."""
