"""What can go wrong with a log and its proofs.

LedgerError
├── RangeUnusable        (UsageError) our own call: an entry or a size that the tree has not
├── EntryTooLarge        (UsageError) an entry over 65,535 bytes
├── VerifierKeyUnusable  (UsageError) a text is no public key of a log or witness
├── LogAbsent            (UnreachableError) a log does not answer, or has not what it must have
├── PolicyUnusable       (UsageError) who is trusted is not said, or contradicts itself
├── NoteMalformed        (RefusedError) a signed note or a checkpoint is none
├── ReceiptMalformed     (RefusedError) a receipt is none
├── CheckpointUntrusted  (RefusedError) no trusted log signed it, or a signature does not hold
├── TooFewWitnesses      (RefusedError) the quorum has not cosigned a checkpoint
├── TileMalformed        (RefusedError) a tile, a bundle or the path of one is not what it must be
├── InclusionMismatch    (RefusedError) a proof does not lead from this entry to this root
├── ConsistencyMismatch  (RefusedError) a proof does not show that one tree grew out of another
├── LogAltered           (RefusedError) a log is not what it signed, or not the same to everybody
├── HandleAbsent         (RefusedError) nobody is admitted under a handle, or all keys were revoked
├── KeysChanged          (RefusedError) a handle has other keys than it had
└── PinDamaged           (RefusedError) what was kept of a handle's keys is not what was written
"""

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError


class LedgerError(BellwireError):
    """Something about a log failed."""


class RangeUnusable(LedgerError, UsageError):
    """An index, a size or a range lies outside of the tree."""


class EntryTooLarge(LedgerError, UsageError):
    """An entry is longer than a bundle can carry."""


class VerifierKeyUnusable(LedgerError, UsageError):
    """A text is not the public key of a log or of a witness, or of a kind not known here."""


class LogAbsent(LedgerError, UnreachableError):
    """A log does not answer, or has not what it must have."""


class PolicyUnusable(LedgerError, UsageError):
    """A policy does not say which logs and witnesses are trusted, or contradicts itself."""


class NoteMalformed(LedgerError, RefusedError):
    """A signed note, a signature line or a checkpoint is not what its format says."""


class ReceiptMalformed(LedgerError, RefusedError):
    """A receipt is not what tlog-proof says it must be."""


class CheckpointUntrusted(LedgerError, RefusedError):
    """No trusted log signed a checkpoint, or a signature in a trusted name does not hold."""


class TooFewWitnesses(LedgerError, RefusedError):
    """A checkpoint is not cosigned by as many witnesses as the policy asks for."""


class TileMalformed(LedgerError, RefusedError):
    """A tile, an entry bundle, or the path of one, is not what tlog-tiles says it must be."""


class InclusionMismatch(LedgerError, RefusedError):
    """An inclusion proof does not lead from this entry to this root."""


class ConsistencyMismatch(LedgerError, RefusedError):
    """A consistency proof does not show that the later tree only appended to the earlier one."""


class LogAltered(LedgerError, RefusedError):
    """A log is not what it signed, shows itself differently, or has what its watcher refuses."""


class HandleAbsent(LedgerError, RefusedError):
    """Nobody is admitted under a handle, or every key of theirs was revoked."""


class KeysChanged(LedgerError, RefusedError):
    """A handle has other keys than it had when they were found last."""


class PinDamaged(LedgerError, RefusedError):
    """What was kept of a handle's keys is not what was written."""
