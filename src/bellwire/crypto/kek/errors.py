"""What can go wrong between a wrapped secret and the key-encryption key that opens it.

BellwireError
├── KekRefused      (RefusedError) the secret does not open: wrong key, changed record
├── KekUnusable     (UsageError) a source that is not named right, or cannot be used here
└── KekUnavailable  (UnreachableError) keyring or token are needed and do not answer

A refusal does not say which of key and record is wrong: whoever tries keys learns nothing.
"""

from bellwire.base.errors import RefusedError, UnreachableError, UsageError


class KekRefused(RefusedError):
    """What is wrapped does not open; nothing was touched."""


class KekUnusable(UsageError):
    """A source of the key-encryption key is not named right, or cannot be used on this machine."""


class KekUnavailable(UnreachableError):
    """The keyring or token that has the key-encryption key does not answer."""
