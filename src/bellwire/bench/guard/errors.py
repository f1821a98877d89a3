"""What can go wrong when a guard is measured.

BellwireError
├── NetworkUnusable  (UsageError) networks of their own cannot be made here
└── NotMeasured      what was to be measured did not happen
"""

from bellwire.base.errors import BellwireError, UsageError


class NetworkUnusable(UsageError):
    """Network namespaces cannot be made here: they need root, Linux and iproute2."""


class NotMeasured(BellwireError):
    """A cut, a packet or a status that was waited for did not come in time."""
