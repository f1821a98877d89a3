"""A key-encryption key from a passphrase, by Argon2id (RFC 9106), version 1.3.

The parameters lie in the record; each rotation takes a new salt and today's parameters. They ask
for four times the memory of the second option that RFC 9106, section 4, recommends (t = 3, p = 4,
64 MiB, salt of 128 bits).
"""

import secrets
import threading
from dataclasses import dataclass

from bellwire.base.secret import Secret
from bellwire.crypto.kek.errors import KekUnavailable, KekUnusable
from bellwire.crypto.kek.given import Given
from bellwire.crypto.kek.record import KEK_BYTES, SALT_BYTES, Kek, Kind, PassphraseKek

MEMORY_KIB = 256 << 10
ITERATIONS = 3
LANES = 4

MIN_NEW_BYTES = 12
"""Whoever has the record can try passphrases at leisure."""


_one_at_a_time = threading.Lock()
"""OpenSSL counts a process's threads for lanes without waiting: of two derivations at once one may
find none and fail, or wait for ever."""


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A source of key-encryption keys.

    Attributes:
        given: The passphrase.
        setting: As the settings name it.
        memory_kib: Of a new key, in KiB.
        iterations: Of a new key.
        lanes: Of a new key.
    """

    given: Given
    setting: str = "passphrase"
    memory_kib: int = MEMORY_KIB
    iterations: int = ITERATIONS
    lanes: int = LANES

    @property
    def kind(self) -> Kind:
        """`passphrase`."""
        return "passphrase"

    def new(self) -> tuple[Secret, Kek]:
        """See `KekSource`."""
        passphrase = self.given.read(new=True)
        if len(passphrase) < MIN_NEW_BYTES:
            raise KekUnusable(
                f"expected a new passphrase of at least {MIN_NEW_BYTES} bytes, "
                f"got {len(passphrase)}",
                hint="Take several words drawn at random.",
            )
        salt = secrets.token_hex(SALT_BYTES)
        kek = PassphraseKek(salt, self.memory_kib, self.iterations, self.lanes)
        return _derive(passphrase, kek), kek

    def recover(self, kek: Kek) -> Secret:
        """See `KekSource`; a wrong passphrase gives a key that opens nothing."""
        assert isinstance(kek, PassphraseKek)
        return _derive(self.given.read(), kek)

    def retire(self, key: str) -> None:
        """Nothing of a passphrase is kept."""


def _derive(passphrase: Secret, kek: PassphraseKek) -> Secret:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415 - seldom needed

    try:
        with _one_at_a_time:
            derived = Argon2id(
                salt=bytes.fromhex(kek.salt),
                length=KEK_BYTES,
                iterations=kek.iterations,
                lanes=kek.lanes,
                memory_cost=kek.memory_kib,
            ).derive(passphrase.reveal())
    except MemoryError:
        raise KekUnavailable(
            f"expected {kek.memory_kib >> 10} MiB of memory for the passphrase, got less"
        ) from None
    finally:
        passphrase.wipe()
    return Secret(derived)
