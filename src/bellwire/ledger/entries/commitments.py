"""Commitments: what is personal stays out of the log, and can still be shown to be what was meant.

The log holds HMAC-SHA-256 of the value under a salt of 32 random bytes. Whoever has the salt and
the value shows what was meant. Once all copies of the salt are erased the commitment says nothing:
guessing values leads nowhere without it. So what is personal can be erased from a log of which no
entry is ever taken away.
"""

import hashlib
import hmac
import secrets
from typing import Final

from bellwire.base.secret import Secret
from bellwire.ledger.entries.errors import CommitmentMismatch

SALT_BYTES: Final = 32
_LABEL: Final = b"bellwire ledger commitment 1\0"


def new_salt() -> Secret:
    """A fresh salt, of the operating system's randomness."""
    return Secret(secrets.token_bytes(SALT_BYTES))


def commit(salt: Secret, value: str) -> str:
    """What an entry holds in the place of the value.

    Args:
        salt: 32 bytes, of this value or this person alone. Secret as long as the value is to be.
        value: What is meant.

    Raises:
        ValueError: the salt is not 32 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"expected a salt of {SALT_BYTES} bytes, got {len(salt)}")
    digest = hmac.digest(salt.reveal(), _LABEL + value.encode(), hashlib.sha256)
    return f"#{digest.hex()}"


def verify(commitment: str, salt: Secret, value: str) -> None:
    """Let pass a value that is the one committed to.

    Raises:
        CommitmentMismatch: another value, or another salt.
    """
    if not hmac.compare_digest(commit(salt, value).encode(), commitment.encode()):
        raise CommitmentMismatch("expected the value and the salt of the commitment, got others")
