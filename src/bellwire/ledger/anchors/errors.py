"""Why a checkpoint is not anchored, or an anchor does not hold.

LedgerError
├── AnchorUnusable        (UsageError) a chain, an account, a key or a checkpoint cannot be used
├── ChainLibraryMissing   (UsageError) the extra for this chain is not installed
├── AnchorMalformed       (RefusedError) what a transaction carries is no anchor
├── AnchorMismatch        (RefusedError) an anchor is not of this log, or of another history of it
├── AnchorAbsent          (RefusedError) the chain has no such transaction, or not deep enough
├── AnchorTooDear         (RefusedError) the chain asks for more than the operator pays
├── AnchorJournalDamaged  (RefusedError) what was kept of an anchor is not what was written
├── ChainUntrue           (RefusedError) a node is of another chain, or contradicts itself
├── ChainRefused          (RefusedError) a node does not do what it was asked
└── ChainUnreachable      (UnreachableError) a node does not answer, or not as its chain's nodes do
"""

from bellwire.base.errors import RefusedError, UnreachableError, UsageError
from bellwire.ledger.errors import LedgerError


class AnchorUnusable(LedgerError, UsageError):
    """A chain, an account, a key or a checkpoint is none that can be used for anchors."""


class ChainLibraryMissing(LedgerError, UsageError):
    """The library for a chain is not installed."""


class AnchorMalformed(LedgerError, RefusedError):
    """What a transaction carries is no anchor."""


class AnchorMismatch(LedgerError, RefusedError):
    """An anchor is of another log, or this log has another history than the anchored one."""


class AnchorAbsent(LedgerError, RefusedError):
    """The chain has no such transaction, or has it not deep enough yet."""


class AnchorTooDear(LedgerError, RefusedError):
    """The chain asks for more at present than the operator is willing to pay."""


class AnchorJournalDamaged(LedgerError, RefusedError):
    """What was kept of an anchor is not what was written."""


class ChainUntrue(LedgerError, RefusedError):
    """A node is of another chain than was asked for, or what it says contradicts itself."""


class ChainRefused(LedgerError, RefusedError):
    """A node answered that it does not do what it was asked.

    Attributes:
        code: The node's number for why.
    """

    def __init__(self, where: str, code: int, said: str) -> None:
        super().__init__(f"expected {where} to take a request, got error {code}: {said}")
        self.code = code
        self.said = said


class ChainUnreachable(LedgerError, UnreachableError):
    """A node does not answer, or not as a node of its chain does."""
