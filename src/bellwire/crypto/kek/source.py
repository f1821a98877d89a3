"""What every source of a key-encryption key can do."""

from typing import Protocol

from bellwire.base.secret import Secret
from bellwire.crypto.kek.record import Kek, Kind


class KekSource(Protocol):
    """Where key-encryption keys come from: files, a passphrase, the keyring, a token."""

    @property
    def kind(self) -> Kind:
        """The word that records say."""
        ...

    @property
    def setting(self) -> str:
        """What to write into the settings to mean this source; never a secret."""
        ...

    def new(self) -> tuple[Secret, Kek]:
        """Make a key-encryption key of 32 bytes; it is durable before this returns.

        Raises:
            KekUnusable, KekUnavailable, KekRefused: it cannot be made.
        """
        ...

    def recover(self, kek: Kek) -> Secret:
        """The key-encryption key that `kek` describes.

        Raises:
            KekRefused: it is not there, or the wrong secret was given.
            KekUnusable, KekUnavailable: the source cannot be asked.
        """
        ...

    def retire(self, key: str) -> None:
        """Destroy the key-encryption key of this id; one that is gone is gone.

        Raises:
            KekUnusable, KekUnavailable: it may still be there.
        """
        ...
