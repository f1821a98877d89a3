"""Why a witness does not cosign.

LedgerError
├── SubmissionMalformed  (RefusedError) a request is not what tlog-witness says
├── LogUnknown           (RefusedError) a log that this witness does not follow
├── OldSizeDiffers       (RefusedError) the old size is not that of the last cosigned checkpoint
├── HistorySplit         (RefusedError) a log signed two roots of one size
├── WitnessRolledBack    (RefusedError) the witness's own state is older than what it has signed
├── WitnessStateDamaged  (RefusedError) what the witness kept is not what it wrote
└── WitnessUnusable      (UsageError) it has no name yet, another one, or is at work already
"""

from bellwire.base.errors import RefusedError, UsageError
from bellwire.ledger.errors import LedgerError


class SubmissionMalformed(LedgerError, RefusedError):
    """A request to cosign is not what tlog-witness says it must be."""


class LogUnknown(LedgerError, RefusedError):
    """A checkpoint is of a log that this witness does not follow."""


class OldSizeDiffers(LedgerError, RefusedError):
    """The old size of a request is not that of the last checkpoint that was cosigned.

    Attributes:
        size: The size that was cosigned last.
    """

    def __init__(self, size: int, got: int) -> None:
        super().__init__(f"old size: expected {size}, of the last cosigned checkpoint, got {got}")
        self.size = size


class HistorySplit(LedgerError, RefusedError):
    """A log signed two roots of one size: it has two histories.

    Attributes:
        size: The size.
    """

    def __init__(self, origin: str, size: int) -> None:
        super().__init__(f"expected one root of {size} entries of {origin[:80]!r}, got two signed")
        self.size = size


class WitnessRolledBack(LedgerError, RefusedError):
    """A witness's state is older than what it has signed: it was put back."""


class WitnessStateDamaged(LedgerError, RefusedError):
    """What a witness kept of a log is not what it wrote."""


class WitnessUnusable(LedgerError, UsageError):
    """A witness has no name yet, has another one, or is at work already."""
