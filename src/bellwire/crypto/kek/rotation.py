"""Rotation of a key-encryption key, between sources too, and finished after a crash."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from bellwire.base.secret import Secret
from bellwire.crypto.kek.envelope import Envelope
from bellwire.crypto.kek.errors import KekRefused
from bellwire.crypto.kek.record import Kek, Replaced, kind_of
from bellwire.crypto.kek.source import KekSource

Unlocked = Callable[[KekSource, KekSource | None], AbstractContextManager[tuple[Envelope, Secret]]]
"""Holds a secret unlocked by the first source, and settled with the second as `earlier`."""


def rotate(
    unlocked: Unlocked, record_of: Callable[[KekSource], Envelope], old: KekSource, new: KekSource
) -> Replaced | None:
    """Wrap a secret under a new key-encryption key of `new`, and destroy the old one.

    A rotation that was interrupted once the record had been replaced is finished by the same call.

    Args:
        unlocked: Who holds the secret while this lasts.
        record_of: The envelope, to look at its record.
        old: Where the present key-encryption key comes from.
        new: Where the new one comes from; may be the same.

    Returns:
        The key that was destroyed; None for a passphrase.

    Raises:
        KekRefused, KekUnusable, KekUnavailable: see `Envelope`.
    """
    record = record_of(old).record()
    left = None if record is None else record.replaces
    if (
        record is not None
        and left is not None
        and left.source == old.setting != new.setting
        and kind_of(record.kek) == new.kind
        and not _has(old, record.kek)
    ):
        with unlocked(new, old):
            return left
    with unlocked(old, None) as (envelope, bare):
        return envelope.rotate(bare, new)


def _has(source: KekSource, kek: Kek) -> bool:
    """Whether `source` can give the key-encryption key that `kek` describes."""
    try:
        return kind_of(kek) == source.kind and bool(source.recover(kek))
    except KekRefused:
        return False
