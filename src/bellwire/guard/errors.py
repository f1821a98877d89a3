"""What can go wrong at a guard.

BellwireError
├── ScopeUnusable      (UsageError) ports, addresses or interfaces that nothing can be guarded by
├── RightsMissing      (UsageError) this process may not change the firewall
├── FirewallUnusable   (UsageError) there is no firewall of that kind here, or not all it needs
├── FirewallFailed     the firewall did not take what it was told
├── ReportUnusable     (UsageError) the console cannot be told as was asked
├── OverrideUnusable   (UsageError) an override that cannot be, or a file of one that is none
├── PlacesUnusable     (UsageError) a relay cannot be followed as was asked, or what was kept of it
├── JournalUnusable    (UsageError) the list of what was done cannot be read or written
├── PlacesAbsent       (UnreachableError) what a relay says of its places cannot be read
├── StatusRefused      (RefusedError) what the node says is no status, is old, or was said before
└── StatusAbsent       (UnreachableError) the node does not say how the link is
"""

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError


class ScopeUnusable(UsageError):
    """Ports, addresses or interfaces by which nothing can be guarded."""


class RightsMissing(UsageError):
    """This process may not change the firewall: it lacks CAP_NET_ADMIN."""


class FirewallUnusable(UsageError):
    """The firewall that was asked for is not on this machine."""


class FirewallFailed(BellwireError):
    """The firewall did not take what it was told; what it has, it keeps until its lease ends."""


class ReportUnusable(UsageError):
    """A console that cannot be told: no token, or one that would cross a network in the clear."""


class OverrideUnusable(UsageError):
    """An override that is none: without an end, too long, or not readable."""


class PlacesUnusable(UsageError):
    """A relay that cannot be followed: no source or identity, or what was kept is unreadable."""


class JournalUnusable(UsageError):
    """The list of what was done at a guard cannot be read or written."""


class PlacesAbsent(UnreachableError):
    """What a relay says of its places cannot be read now; what was known holds."""


class StatusRefused(RefusedError):
    """What came is no status of now: malformed, too old, from the future, or said before."""


class StatusAbsent(UnreachableError):
    """The node cannot be asked, or has fallen silent."""
