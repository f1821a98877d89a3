"""A password as a pair of signing keys: it proves itself, and never leaves the person's device.

Argon2id stretches the password to a seed; the relay keeps the public half, and a log-in signs what
is new with each connection. The salt follows from the relay and the handle, so that nothing has to
be asked for first that would tell whether the handle is there.

Source: RFC 9106, 4: the second recommended option's memory, passes and salt, in one lane, since
OpenSSL has threads for the lanes of one derivation at a time; spec/accounts.md, 3.
"""

import hashlib
from typing import Final

from bellwire.base.secret import Secret
from bellwire.chat.errors import ChatMisuse
from bellwire.chat.identity import SEED_BYTES, Identity
from bellwire.crypto.labels import CHAT_PASSWORD

MEMORY_KIB: Final = 64 << 10
ITERATIONS: Final = 3
LANES: Final = 1
SALT_BYTES: Final = 16

MIN_BYTES: Final = 12
"""Whoever steals what the relay keeps can try passwords at leisure, 64 MiB each."""

MAX_BYTES: Final = 1024


def check_new(password: Secret) -> None:
    """Return only if a new account may have this password.

    Raises:
        ChatMisuse: it is too short or too long.
    """
    if not MIN_BYTES <= len(password) <= MAX_BYTES:
        raise ChatMisuse(
            f"expected a password of {MIN_BYTES} to {MAX_BYTES} bytes, got {len(password)}",
            hint="Take several words drawn at random.",
        )


def key_of(password: Secret, handle: str, relay_id: bytes) -> Identity:
    """The key pair that a password is for this handle at this relay; a tenth of a second of work.

    Raises:
        ChatMisuse: no password is that long.
        MemoryError: there are not 64 MiB.
    """
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415 - seldom needed

    if len(password) > MAX_BYTES:
        raise ChatMisuse(f"expected a password of at most {MAX_BYTES} bytes, got {len(password)}")
    salt = hashlib.sha256(CHAT_PASSWORD + relay_id + handle.encode()).digest()[:SALT_BYTES]
    seed = Argon2id(
        salt=salt, length=SEED_BYTES, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB
    ).derive(password.reveal())
    return Identity(Secret(seed))
