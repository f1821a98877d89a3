"""What can go wrong between a store and the key-encryption key that opens it.

BellwireError
├── KekRefused      (StoreRefused) the data key does not open: wrong secret, changed record
├── KekUnusable     (UsageError) a source that is not named right, or cannot be used here
└── KekUnavailable  (UnreachableError) keyring or token are needed and do not answer

A refusal does not say which of secret and record is wrong: whoever tries secrets learns nothing.
"""

from bellwire.base.errors import UnreachableError, UsageError
from bellwire.keys.errors import StoreRefused


class KekRefused(StoreRefused):
    """The data key does not open; nothing in the store was touched."""


class KekUnusable(UsageError):
    """A source of the key-encryption key is not named right, or cannot be used on this machine."""


class KekUnavailable(UnreachableError):
    """The keyring or token that has the key-encryption key does not answer."""
