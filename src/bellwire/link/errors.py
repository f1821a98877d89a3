"""What goes wrong on the quantum link.

BellwireError
├── UsageError
│   ├── ParameterError   a physical value, a share, a number of pulses that cannot be    exit 2
│   ├── LabOnly          an attack or a seed was asked of a link outside the lab         exit 2
│   ├── TooRare          a chain of repeaters all but never delivers a pair              exit 2
│   ├── RunDirTaken      the sockets' folder is another link's                           exit 2
│   └── TagsUnreadable   a recording of time tags is none, or is damaged; with the place exit 2
├── UnreachableError
│   ├── LinkUnreachable  the link's process does not answer                              exit 4
│   └── LinkTimeout      no answer in time, mostly because the peer never asked          exit 4
├── NotMatched (base.matching)
│   ├── ClocksNotAligned no offset and drift brings two recordings together              exit 1
│   └── TagsUsedUp       a recording has no tags left that were not used                 exit 1
├── LinkRefused          the link declined a request and said why                        exit 1
└── LinkMisbehaved       the link answered what the protocol does not allow              exit 1
"""

from enum import StrEnum
from pathlib import Path

from bellwire.base.errors import BellwireError, UnreachableError, UsageError
from bellwire.base.matching import NotMatched


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


class LabOnly(UsageError):
    """Attacks and reproducible noise are for the lab, and the lab is never on by default.

    Attributes:
        what: What was asked for.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"expected {what} only in the lab, got it outside",
            hint="Add --lab: a link in the lab can be attacked, and its keys repeated.",
        )
        self.what = what


class TooRare(UsageError):
    """A chain of repeaters as described delivers a pair never, or at a hopeless expense.

    Attributes:
        reason: Why, in words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"expected a chain that delivers pairs, got one where {reason}",
            hint="Take more links, less loss, a longer cut-off or swaps that succeed more often.",
        )
        self.reason = reason


class RunDirTaken(UsageError):
    """The folder for the sockets is another link's.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"expected no link in {path}, got one that runs there",
            hint="Stop the other link, or choose another folder with --run-dir.",
        )
        self.path = path


class TagsUnreadable(UsageError):
    """A recording of time tags that cannot be read, or written.

    Attributes:
        path: The file.
        place: Byte or line where it goes wrong; None if the whole file is meant.
    """

    def __init__(self, path: Path, place: str | None, what: str) -> None:
        where = f"{path}" if place is None else f"{path}, {place}"
        super().__init__(f"{where}: {what}", hint="spec/time-tags.md gives the formats.")
        self.path = path
        self.place = place


class TagsUsedUp(NotMatched):
    """A recording has no tags left; none is ever used twice."""


class ClocksNotAligned(NotMatched):
    """No offset and drift of the clocks makes two recordings coincide.

    Attributes:
        examined: Which stretch of the recording was compared, in words.
    """

    def __init__(self, examined: str, best: str) -> None:
        super().__init__(
            f"the clocks of the two recordings do not align: {examined}; {best}",
            hint="Were both recorded at once? A larger search_s or max_drift_ppm in tags.toml "
            "widens the search.",
        )
        self.examined = examined


class LinkUnreachable(UnreachableError):
    """Nothing answers at the link's socket, or the connection broke during a call."""


class LinkTimeout(UnreachableError):
    """A block was asked for, and the answer did not come in time."""


class Refusal(StrEnum):
    """Why the link declines a request (spec/link-socket.md)."""

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
        reason: The reason in words.
    """

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(f"the link refused ({refusal}): {reason}")
        self.refusal = refusal
        self.reason = reason


class LinkMisbehaved(BellwireError):
    """The link's answer breaks its own protocol; nothing of it was used."""
