"""What can go wrong about a proof.

BellwireError
├── ClaimFailed           a claim was run, and does not hold
├── CannotRun             a claim cannot be run on this machine; the message says why
├── UsageError
│   ├── UnknownClaim      no claim has that name
│   └── NoCheckout        tests are asked for, and there are none beside the program
└── RefusedError
    └── ReportLeaks       a report has something that looks like a secret; it was not written
"""

from bellwire.base.errors import BellwireError, RefusedError, UsageError


class ClaimFailed(BellwireError):
    """A claim does not hold; the message is the figure that shows it."""


class CannotRun(BellwireError):
    """A claim needs something that this machine does not have."""


class UnknownClaim(UsageError):
    """A claim is asked for that does not exist."""


class NoCheckout(UsageError):
    """The tests that the threat model names are not installed with the program."""


class ReportLeaks(RefusedError):
    """A report would have shown key material."""
