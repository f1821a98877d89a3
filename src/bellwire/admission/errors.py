"""What can go wrong at admission.

BellwireError
├── RegisterUnusable     a file of registrations is none of ours, or cannot be read or written
├── TooManyWait          the operator has to decide about others first
├── AdmissionUnusable    (UsageError) a server of admission cannot be asked so
├── EvidenceUnusable     (UsageError) a claim or a measurement that no connection can have
├── AssessorUnusable     (UsageError) a model cannot be asked as it was configured
├── PossessionUnusable   (UsageError) keys that cannot be proven: none, too many, malformed
├── RegistrationUnknown  (UsageError) nobody of that name is registered, or waits
├── TokenUnusable        (UsageError) an enrolment token cannot be made, or is none
├── PossessionUnproven   (RefusedError) a proof is not that of the holder of the key
├── ChallengeUnknown     (RefusedError) a challenge is over, was used, or was somebody else's
├── HandleTaken          (RefusedError) the name, or one that looks like it, is another's
├── NotAdmitted          (RefusedError) the verdict, the operator or a revocation is against it
├── AdmissionRefused     (RefusedError) a server does not register us, and says why
├── AdmissionAbsent      (UnreachableError) no server of admission answers
└── AssessorAbsent       (UnreachableError) the model gives no clear answer
"""

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError


class RegisterUnusable(BellwireError):
    """A file of registrations that is none of ours, or cannot be read or written."""


class TooManyWait(BellwireError):
    """So many wait for the operator that no other can."""


class AdmissionUnusable(UsageError):
    """A server of admission that cannot be asked so: no address, or keys in the clear."""


class EvidenceUnusable(UsageError):
    """A claim or a measurement that no connection can have."""


class AssessorUnusable(UsageError):
    """A model that cannot be asked as it was configured."""


class PossessionUnusable(UsageError):
    """Keys whose possession cannot be asked for: none, too many, of no known kind, malformed."""


class RegistrationUnknown(UsageError):
    """Nobody of that name is registered, or waits."""


class TokenUnusable(UsageError):
    """An enrolment token that cannot be made so, or is none."""


class PossessionUnproven(RefusedError):
    """A proof that whoever holds the key would not have given."""


class ChallengeUnknown(RefusedError):
    """A challenge that is over, was used, or was given to another address."""


class HandleTaken(RefusedError):
    """The name, or one that looks like it, is another's."""


class NotAdmitted(RefusedError):
    """The verdict, an operator, or a revocation is against it."""


class AdmissionRefused(RefusedError):
    """A server does not register us, and says why."""


class AdmissionAbsent(UnreachableError):
    """No server of admission answers, or not as one does."""


class AssessorAbsent(UnreachableError):
    """The model gives no answer, or none that is clear: nobody is admitted by it."""
