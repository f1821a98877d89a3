"""What can go wrong between two halves and one secret.

DistillError
├── ReconciliationFailed   what the peer announced of its key cannot be true of any
├── MalformedMessage       the peer's message is not what this step asks for
├── SeedLengthError        the hash seed does not fit the lengths of key and output
├── HashKeyLengthError     the verification key has the wrong length
├── KeyMismatch            the reconciled keys differ (also a RefusedError: exit 3)
├── FrameTampered          a frame of the classical channel is not the peer's (also a RefusedError)
├── PeerMismatch           the other end is not the peer this node expects (also a RefusedError)
├── ContactRefused         a signed exchange of first contact is refused (also a RefusedError)
└── ParameterError         a setting of a block is outside its range (also a UsageError: exit 2)

All of them end the block; none of them says anything about key bits.
"""

from enum import IntEnum

from bellwire.base.errors import BellwireError, RefusedError, UsageError


class DistillError(BellwireError):
    """A block could not be distilled."""


class ReconciliationFailed(DistillError):
    """Reconciliation ended without equal keys: parities that contradict each other."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"reconciliation failed (contradicting parities): {detail}")


class MalformedMessage(DistillError):
    """The peer's message has the wrong length, padding or place."""


class SeedLengthError(DistillError):
    """A Toeplitz seed must have n + m - 1 bits."""

    def __init__(self, *, expected: int, got: int) -> None:
        super().__init__(f"expected a seed of {expected} bits, got {got}")
        self.expected = expected
        self.got = got


class HashKeyLengthError(DistillError):
    """A verification key must have 16 bytes."""

    def __init__(self, *, expected: int, got: int) -> None:
        super().__init__(f"expected a hash key of {expected} bytes, got {got}")
        self.expected = expected
        self.got = got


class KeyMismatch(DistillError, RefusedError):
    """The two reconciled keys have different hashes: the block must be thrown away."""


class FrameTampered(DistillError, RefusedError):
    """A frame was altered, lost, repeated or forged: the connection cannot go on."""


class PeerMismatch(DistillError, RefusedError):
    """The other end speaks another version, or is not the side that it should be."""


class Refusal(IntEnum):
    """What Bob tells of why he refuses first contact: one byte, for which nobody vouches."""

    VERSION = 1
    IDENTITY = 2
    KEY_HELD = 3
    NOT_ACCEPTED = 4


class ContactRefused(DistillError, RefusedError):
    """A signed exchange of first contact ended; this side has stored nothing of it."""

    def __init__(
        self,
        message: str,
        *,
        reason: Refusal = Refusal.NOT_ACCEPTED,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class ParameterError(DistillError, UsageError):
    """A setting of a block is outside its range; the message names both."""
