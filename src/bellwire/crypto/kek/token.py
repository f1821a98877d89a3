"""Key-encryption keys that only a PKCS #11 token can open, by the library `python-pkcs11`.

On the token lies an AES-256 key that was made there, is sensitive, cannot be extracted and does
nothing but wrap and unwrap. The key-encryption key itself is 32 random bytes, and lies in the
record wrapped by it (CKM_AES_KEY_WRAP, RFC 3394). So each opening needs the token and its PIN.
"""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bellwire.base.errors import get_extra
from bellwire.base.secret import Secret
from bellwire.crypto.kek.errors import KekRefused, KekUnavailable, KekUnusable
from bellwire.crypto.kek.given import Given
from bellwire.crypto.kek.record import ID_BYTES, KEK_BYTES, Kek, Kind, TokenKek, does_not_open
from bellwire.crypto.kek.token_uri import TokenUri

_PIN_REFUSED = (
    "PinIncorrect",
    "PinInvalid",
    "PinLenRange",
    "PinExpired",
    "PinLocked",
    "UserPinNotInitialized",
)


@dataclass(frozen=True, slots=True)
class Token:
    """A source of key-encryption keys.

    Attributes:
        uri: Which token, and the label of its keys.
        pin: The user's PIN.
        setting: As the settings name it.
    """

    uri: TokenUri
    pin: Given
    setting: str

    @property
    def kind(self) -> Kind:
        """`pkcs11`."""
        return "pkcs11"

    def new(self) -> tuple[Secret, Kek]:
        """See `KekSource`."""
        key, secret = secrets.token_hex(ID_BYTES), Secret(secrets.token_bytes(KEK_BYTES))
        with self._session() as (pkcs11, session):
            passing = session.create_object(
                {
                    pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                    pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES,
                    pkcs11.Attribute.VALUE: secret.reveal(),
                    pkcs11.Attribute.EXTRACTABLE: True,
                    pkcs11.Attribute.SENSITIVE: False,
                    pkcs11.Attribute.TOKEN: False,
                }
            )
            wrapping = session.generate_key(
                pkcs11.KeyType.AES,
                256,
                id=bytes.fromhex(key),
                label=self.uri.label,
                store=True,
                capabilities=pkcs11.MechanismFlag.WRAP | pkcs11.MechanismFlag.UNWRAP,
                template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
            )
            try:
                wrapped = wrapping.wrap_key(passing, mechanism=pkcs11.Mechanism.AES_KEY_WRAP)
            except BaseException:
                # A token that cannot wrap so is not left with a key of no use.
                wrapping.destroy()
                raise
        return secret, TokenKek(key, bytes(wrapped).hex())

    def recover(self, kek: Kek) -> Secret:
        """See `KekSource`."""
        assert isinstance(kek, TokenKek)
        with self._session() as (pkcs11, session):
            found = self._keys(pkcs11, session, kek.key)
            if len(found) != 1:
                raise KekRefused(
                    f"expected one key {self.uri.label!r} with id {kek.key} on the token, "
                    f"got {len(found)}",
                    hint="Use the token that has it; nothing was changed.",
                )
            try:
                opened = found[0].unwrap_key(
                    pkcs11.ObjectClass.SECRET_KEY,
                    pkcs11.KeyType.AES,
                    bytes.fromhex(kek.wrapped),
                    store=False,
                    mechanism=pkcs11.Mechanism.AES_KEY_WRAP,
                    template={
                        pkcs11.Attribute.EXTRACTABLE: True,
                        pkcs11.Attribute.SENSITIVE: False,
                    },
                )
            except pkcs11.PKCS11Error:
                raise does_not_open() from None
            secret = Secret(opened[pkcs11.Attribute.VALUE])
        if len(secret) != KEK_BYTES:
            raise does_not_open()
        return secret

    def retire(self, key: str) -> None:
        """See `KekSource`."""
        with self._session() as (pkcs11, session):
            for found in self._keys(pkcs11, session, key):
                found.destroy()

    def _keys(self, pkcs11: Any, session: Any, key: str) -> list[Any]:
        return list(
            session.get_objects(
                {
                    pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                    pkcs11.Attribute.LABEL: self.uri.label,
                    pkcs11.Attribute.ID: bytes.fromhex(key),
                }
            )
        )

    @contextlib.contextmanager
    def _session(self) -> Iterator[tuple[Any, Any]]:
        """The library and a session in which the user is logged in; both are given up after it."""
        try:
            import pkcs11  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            raise KekUnusable(
                "expected the library python-pkcs11 for this source, got none",
                hint=get_extra("pkcs11"),
            ) from None
        try:
            module = pkcs11.lib(self.uri.module)
        except pkcs11.PKCS11Error:
            raise KekUnusable(
                f"expected a PKCS #11 library at {self.uri.module}, got none that can be loaded"
            ) from None
        try:
            token = self._token(module)
            with token.open(rw=True, user_pin=_text(self.pin.read())) as session:
                yield pkcs11, session
        except pkcs11.PKCS11Error as error:
            name = type(error).__name__
            if name in _PIN_REFUSED:
                raise KekRefused(
                    f"expected the token to take the PIN, got {name}",
                    hint="It was tried once; many tokens lock after a few wrong PINs.",
                ) from None
            raise KekUnavailable(f"expected the token to answer, got {name}") from None
        finally:
            pkcs11.unload(self.uri.module)

    def _token(self, module: Any) -> Any:
        wanted = self.uri
        found = [
            token
            for token in module.get_tokens()
            if wanted.token in {None, token.label}
            and wanted.serial in {None, token.serial.decode(errors="replace").rstrip()}
            and wanted.manufacturer in {None, token.manufacturer_id}
            and wanted.model in {None, token.model}
        ]
        if len(found) != 1:
            raise KekUnavailable(
                f"expected one token as the PKCS #11 URI describes it, got {len(found)}",
                hint="Plug it in, or say token=, serial=, manufacturer= and model= as it does.",
            )
        return found[0]


def _text(pin: Secret) -> str:
    try:
        return pin.reveal().decode()
    except UnicodeDecodeError:
        raise KekUnusable("expected a PIN in UTF-8, got other bytes") from None
    finally:
        pin.wipe()
