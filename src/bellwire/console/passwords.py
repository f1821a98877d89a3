"""Passwords of people who sign in with a browser, kept as Argon2id hashes.

Parameters are those of RFC 9106, section 4 (second choice: 64 MiB, 3 passes), but for one lane, as
for the accounts of chat (docs/decisions/account-passwords.md). Names that nobody has, and accounts
without a password, cost the same work as others.
"""

import asyncio
import os
import re
import unicodedata
from collections.abc import Callable
from typing import Final, TypeVar

from bellwire.console.errors import PasswordsBusy, PasswordUnusable, SignInRefused

T = TypeVar("T")

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 128
"""In characters: ASVS 4.0, 2.1.1 and 2.1.2."""

MEMORY_KIB: Final = 64 << 10
PASSES: Final = 3
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
AT_ONCE: Final = 2
"""Hashes under way: 64 MiB each."""

MOST_WAITING: Final = 16

_HEAD = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1$"
PHC: Final = rf"\A{re.escape(_HEAD)}[A-Za-z0-9+/]{{22}}\$[A-Za-z0-9+/]{{43}}\Z"
"""Hashes as they are kept; one with other parameters could ask for any amount of memory."""

_DECOY = f"{_HEAD}{'A' * 22}${'A' * 43}"
"""Nobody's: that its password were found is as likely as any other guess of 256 bits."""


def check_new(password: str, name: str) -> None:
    """Let a new password of an account pass.

    Raises:
        PasswordUnusable: it is too short, too long, or the account's name.
    """
    length = len(_normal(password))
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise PasswordUnusable(
            f"password: expected {MIN_LENGTH} to {MAX_LENGTH} characters, got {length}",
            hint="Take several words drawn at random.",
        )
    if password.strip().casefold() == name.casefold() or len(set(password)) == 1:
        raise PasswordUnusable("password: expected one that is not easily guessed, got another")


def hashed(password: str) -> str:
    """The hash of a password that `check_new` let pass; a tenth of a second of work.

    Raises:
        MemoryError: there are not 64 MiB.
    """
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415 - seldom needed

    made = Argon2id(
        salt=os.urandom(SALT_BYTES),
        length=HASH_BYTES,
        iterations=PASSES,
        lanes=1,
        memory_cost=MEMORY_KIB,
    )
    return made.derive_phc_encoded(_bytes(password))


def verify(password: str, against: str | None) -> None:
    """Return only if a password is that of a hash; without one the work is the same.

    Raises:
        SignInRefused: it is not.
        MemoryError: there are not 64 MiB.
    """
    from cryptography.exceptions import InvalidKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415

    try:
        Argon2id.verify_phc_encoded(_bytes(password), against or _DECOY)
    except InvalidKey:
        raise SignInRefused("no account has this name and password") from None
    if against is None:
        raise SignInRefused("no account has this name and password")


class Turns:
    """Lets a few hashes run at once; who comes when many wait is refused."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def take(self, work: Callable[[], T]) -> T:
        """What `work` gives, done in a thread when its turn comes.

        Raises:
            PasswordsBusy: too many wait.
        """
        if self._waiting >= MOST_WAITING:
            raise PasswordsBusy("too many passwords are being checked at once")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def _normal(password: str) -> str:
    # The same keys give other code points on other systems (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")
