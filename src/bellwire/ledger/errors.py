"""What can go wrong with a log and its proofs.

LedgerError
├── RangeUnusable        (UsageError) our own call: an entry or a size that the tree has not
├── EntryTooLarge        (UsageError) an entry over 65,535 bytes
├── TileMalformed        (RefusedError) a tile, a bundle or the path of one is not what it must be
├── InclusionMismatch    (RefusedError) a proof does not lead from this entry to this root
└── ConsistencyMismatch  (RefusedError) a proof does not show that one tree grew out of another
"""

from bellwire.base.errors import BellwireError, RefusedError, UsageError


class LedgerError(BellwireError):
    """Something about a log failed."""


class RangeUnusable(LedgerError, UsageError):
    """An index, a size or a range lies outside of the tree."""


class EntryTooLarge(LedgerError, UsageError):
    """An entry is longer than a bundle can carry."""


class TileMalformed(LedgerError, RefusedError):
    """A tile, an entry bundle, or the path of one, is not what tlog-tiles says it must be."""


class InclusionMismatch(LedgerError, RefusedError):
    """An inclusion proof does not lead from this entry to this root."""


class ConsistencyMismatch(LedgerError, RefusedError):
    """A consistency proof does not show that the later tree only appended to the earlier one."""
