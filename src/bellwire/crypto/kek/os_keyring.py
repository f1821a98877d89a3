"""Key-encryption keys in the keyring of the operating system, by the library `keyring`.

Each is an entry of 32 random bytes in hexadecimal, of the service `bellwire`, named by its id. What
it is worth is for the backend to say: the Secret Service of a desktop, for instance, opens it with
the user's login.
"""

import secrets
from dataclasses import dataclass
from types import ModuleType

from bellwire.base.errors import get_extra
from bellwire.base.secret import Secret
from bellwire.crypto.kek.errors import KekRefused, KekUnavailable, KekUnusable
from bellwire.crypto.kek.record import ID_BYTES, KEK_BYTES, Kek, KeyringKek, Kind

SERVICE = "bellwire"

_NO_KEYRING = ("keyring.backends.fail", "keyring.backends.null")


@dataclass(frozen=True, slots=True)
class OsKeyring:
    """A source of key-encryption keys."""

    @property
    def setting(self) -> str:
        """`keyring`."""
        return "keyring"

    @property
    def kind(self) -> Kind:
        """`keyring`."""
        return "keyring"

    def new(self) -> tuple[Secret, Kek]:
        """See `KekSource`."""
        library = _library()
        key, secret = secrets.token_hex(ID_BYTES), Secret(secrets.token_bytes(KEK_BYTES))
        try:
            library.set_password(SERVICE, key, secret.reveal().hex())
        except library.errors.KeyringError as error:
            raise _unavailable(error) from None
        if self.recover(KeyringKek(key)) != secret:
            raise KekUnavailable("expected the keyring to give back what it took, got another")
        return secret, KeyringKek(key)

    def recover(self, kek: Kek) -> Secret:
        """See `KekSource`."""
        assert isinstance(kek, KeyringKek)
        library = _library()
        try:
            entry = library.get_password(SERVICE, kek.key)
        except library.errors.KeyringError as error:
            raise _unavailable(error) from None
        try:
            data = bytes.fromhex(entry or "")
        except ValueError:
            data = b""
        if len(data) != KEK_BYTES:
            raise KekRefused(
                f"expected the key-encryption key {kek.key} of {SERVICE} in the keyring, got none",
                hint="Run as the user whose keyring has it; nothing was changed.",
            )
        return Secret(data)

    def retire(self, key: str) -> None:
        """See `KekSource`."""
        library = _library()
        try:
            if library.get_password(SERVICE, key) is not None:
                library.delete_password(SERVICE, key)
        except library.errors.KeyringError as error:
            raise _unavailable(error) from None


def _library() -> ModuleType:
    try:
        import keyring  # noqa: PLC0415 - an extra
        import keyring.errors  # noqa: PLC0415
    except ModuleNotFoundError:
        raise KekUnusable(
            "expected the library keyring for this source, got none",
            hint=get_extra("keyring"),
        ) from None
    try:
        backend = keyring.get_keyring()
    except keyring.errors.KeyringError as error:
        raise _unavailable(error) from None
    if type(backend).__module__ in _NO_KEYRING:
        raise KekUnavailable(
            "expected a keyring of the operating system, got none",
            hint="Log in to a desktop, or take another source of the key-encryption key.",
        )
    return keyring


def _unavailable(error: Exception) -> KekUnavailable:
    # Its words may be anything, the entry's name included: the kind is enough.
    return KekUnavailable(
        f"expected the keyring to answer, got {type(error).__name__}",
        hint="Unlock it, then try again.",
    )
