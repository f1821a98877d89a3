"""What the primitives refuse.

BellwireError
├── UsageError
│   ├── CodeMalformed         what was typed is no code of the kind that is asked for
│   ├── LengthError           our own call: a key, nonce, seed or output of the wrong length
│   ├── GeneratorUnavailable  our own call: instructions that this machine has not
│   └── DeviceUnusable        what is named is no random device, or cannot be opened
└── RefusedError
    ├── AuthenticationFailed  AEAD: not what was sealed under this key, nonce and data
    ├── TagMismatch           the one-time MAC of a message does not hold
    ├── KemRefused            the peer's public key or ciphertext gives no shared secret
    ├── SignatureInvalid      a signature is not that of this text, context and key
    └── RandomnessFailed      a random device gives nothing more
        ├── HealthTestFailed  its samples are not those of a source with the stated min-entropy
        └── DeviceStopped     it ended, failed, or did not give enough in time

No message of these errors carries a byte of its input.
"""

from collections.abc import Iterable

from bellwire.base.errors import RefusedError, UsageError


class LengthError(UsageError):
    """An argument has not the length that the primitive asks for."""

    def __init__(self, what: str, expected: str, got: int) -> None:
        super().__init__(f"expected {what} of {expected}, got {got}")
        self.what = what
        self.got = got


class CodeMalformed(UsageError):
    """What was typed is not a code of the kind that is asked for; nothing was done with it."""


class GeneratorUnavailable(UsageError):
    """A way to compute random words is asked for that needs instructions missing here.

    Attributes:
        asked: The way.
        available: Those that work.
    """

    def __init__(self, asked: str, available: Iterable[str]) -> None:
        self.asked, self.available = asked, tuple(available)
        super().__init__(f"expected a generator out of {', '.join(self.available)}, got {asked}")


class DeviceUnusable(UsageError):
    """A path does not name a character device or FIFO that can be read as a random device."""


class AuthenticationFailed(RefusedError):
    """A sealed text, its nonce, its associated data or the key is not the sealer's."""


class TagMismatch(RefusedError):
    """A message is not the one that was tagged, or was tagged under another key."""


class KemRefused(RefusedError):
    """A public key or ciphertext is malformed, or of low order."""


class RandomnessFailed(RefusedError):
    """A random device gives nothing more, until it is opened anew."""


class HealthTestFailed(RandomnessFailed):
    """A health test of a random device failed.

    Attributes:
        test: Which.
        cutoff: From which count on it fails.
    """

    def __init__(self, test: str, found: str, cutoff: int) -> None:
        super().__init__(f"the {test} test of the random device failed: {found}, limit {cutoff}")
        self.test = test
        self.cutoff = cutoff


class DeviceStopped(RandomnessFailed):
    """A random device ended, failed, or did not give enough in time."""


class SignatureInvalid(RefusedError):
    """A text is not the one that the holder of this key signed in this context."""


def require_length(what: str, data: bytes, length: int) -> None:
    """Raise LengthError unless `data` has exactly `length` bytes."""
    if len(data) != length:
        raise LengthError(what, f"{length} bytes", len(data))
