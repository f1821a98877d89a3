"""What can go wrong at admission.

BellwireError
├── EvidenceUnusable     (UsageError) a claim or a measurement that no connection can have
├── AssessorUnusable     (UsageError) a model cannot be asked as it was configured
└── AssessorAbsent       (UnreachableError) the model gives no clear answer
"""

from bellwire.base.errors import UnreachableError, UsageError


class EvidenceUnusable(UsageError):
    """A claim or a measurement that no connection can have."""


class AssessorUnusable(UsageError):
    """A model that cannot be asked as it was configured."""


class AssessorAbsent(UnreachableError):
    """The model gives no answer, or none that is clear: nobody is admitted by it."""
