"""Errors of the services' supervision.

BellwireError
├── UsageError
│   ├── ServicesUp        another supervisor has the state folder
│   ├── PortTaken         a port is in use by somebody else
│   └── PlanUnusable      the settings are not for `up`
└── UnreachableError
    └── NotStopped        the supervisor did not end in time
"""

from bellwire.base.errors import UnreachableError, UsageError


class ServicesUp(UsageError):
    """Another supervisor has this state folder."""


class PortTaken(UsageError):
    """A port that a service needs is in use by somebody else."""


class PlanUnusable(UsageError):
    """The settings are not for a supervisor of both sites."""


class NotStopped(UnreachableError):
    """The supervisor did not end in time, or does not answer."""
