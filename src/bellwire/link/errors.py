"""What goes wrong on the quantum link.

BellwireError
├── UsageError
│   ├── ParameterError   a physical value, a share, a number of pulses that cannot be    exit 2
│   └── LinkBusy         the directory belongs to another running link, or to others     exit 2
├── UnreachableError
│   ├── LinkUnreachable  the link's process does not answer                              exit 4
│   └── LinkTimeout      no answer in time, mostly because the peer never asked          exit 4
├── LinkRefused          the link declined a request and said why                        exit 1
└── LinkMisbehaved       the link answered what the protocol does not allow              exit 1
"""

from enum import StrEnum

from bellwire.base.errors import BellwireError, UnreachableError, UsageError


class ParameterError(UsageError):
    """A value outside what physics or this program permits.

    Attributes:
        parameter: Its name.
        permitted: The range, in words.
        got: What came.
    """

    def __init__(self, parameter: str, permitted: str, got: object) -> None:
        super().__init__(f"expected {parameter} {permitted}, got {got}")
        self.parameter = parameter
        self.permitted = permitted
        self.got = got


class LinkBusy(UsageError):
    """The directory for the sockets cannot be ours: another link runs there, or it is not private.

    Attributes:
        directory: Where the sockets were to be.
    """

    def __init__(self, directory: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.directory = directory


class LinkUnreachable(UnreachableError):
    """Nothing answers at the link's socket, or the connection broke during a call."""


class LinkTimeout(UnreachableError):
    """A block was asked for, and the answer did not come in time."""


class Refusal(StrEnum):
    """Why the link declines a request."""

    MALFORMED = "malformed"
    MISMATCH = "mismatch"
    TIMEOUT = "timeout"
    DUPLICATE = "duplicate"
    SPENT = "spent"
    BUSY = "busy"
    TOO_LARGE = "too-large"
    PARAMETER = "parameter"
    FAILED = "failed"


class LinkRefused(BellwireError):
    """The link declined, and said why.

    Attributes:
        refusal: The reason's code.
    """

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(f"the link refused ({refusal}): {message}")
        self.refusal = refusal


class LinkMisbehaved(BellwireError):
    """The link's answer breaks its own protocol; nothing of it was used."""
