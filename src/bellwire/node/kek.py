"""The key-encryption key of a node's store: from the settings; shown, and rotated."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.base.secret import Secret
from bellwire.keys.database.opening import has_store
from bellwire.keys.kek.envelope import Envelope
from bellwire.keys.kek.errors import KekRefused
from bellwire.keys.kek.record import Kek, PassphraseKek, Replaced, kind_of
from bellwire.keys.kek.source import KekSource
from bellwire.keys.kek.sources import parse_source
from bellwire.keys.store import KeyStore
from bellwire.node.settings import Settings, credentials_folder
from bellwire.node.store_place import STORE_FILE, store_place


def kek_source(settings: Settings, folder: Path) -> KekSource:
    """Where the key-encryption key of the node in `folder` comes from."""
    return parse_source(settings.kek.source, folder, credentials_folder())


def show_kek(folder: Path) -> dict[str, object]:
    """How the data key of the node in `folder` is wrapped; nothing secret, and nothing verified.

    Raises:
        UsageError: there is no store.
        KekRefused: the record is none of ours.
    """
    record = Envelope(folder, parse_source("file", folder)).record()
    if record is None:
        _require(folder, (folder / STORE_FILE).exists())
        return {"source": None, "key": None, "argon2id": None, "replaces": None}
    kek, replaced = record.kek, record.replaces
    return {
        "source": kind_of(kek),
        "key": None if isinstance(kek, PassphraseKek) else kek.key,
        "argon2id": {
            "memory_mib": kek.memory_kib // 1024,
            "iterations": kek.iterations,
            "lanes": kek.lanes,
        }
        if isinstance(kek, PassphraseKek)
        else None,
        "replaces": _named(replaced),
    }


def rotate_kek(settings: Settings, folder: Path, side: Side, to: str | None) -> dict[str, object]:
    """Wrap the data key of a stopped node under a new key-encryption key.

    A rotation that was interrupted once the record had been replaced is finished by the same call.

    Args:
        settings: Where the present one comes from.
        folder: The node's.
        side: Whose store it is.
        to: Where the new one comes from, as `kek.source` says it; None: from there, too.

    Returns:
        What to write into the settings, and which key was destroyed.

    Raises:
        UsageError: there is no store, or `to` names no source.
        StoreBusy: the node runs.
        KekRefused, KekUnusable, KekUnavailable: see `Envelope`.
    """
    old = kek_source(settings, folder)
    new = old if to is None else parse_source(to, folder, credentials_folder())
    record = Envelope(folder, old).record()
    left = None if record is None else record.replaces
    if (
        record is not None
        and left is not None
        and left.source == old.setting != new.setting
        and kind_of(record.kek) == new.kind
        and not _has(old, record.kek)
    ):
        with _unlocked(settings, folder, side, new, earlier=old):
            return {"source": new.setting, "destroyed": _named(left)}
    with _unlocked(settings, folder, side, old) as (envelope, data_key):
        destroyed = envelope.rotate(data_key, new)
    return {"source": new.setting, "destroyed": _named(destroyed)}


def _has(source: KekSource, kek: Kek) -> bool:
    """Whether `source` can give the key-encryption key that `kek` describes."""
    try:
        return kind_of(kek) == source.kind and bool(source.recover(kek))
    except KekRefused:
        return False


@contextmanager
def _unlocked(
    settings: Settings,
    folder: Path,
    side: Side,
    source: KekSource,
    earlier: KekSource | None = None,
) -> Iterator[tuple[Envelope, Secret]]:
    """The data key, with its store open: so that no node has it, and the key is the right one."""
    place = store_place(settings.store.url, folder, side)
    _require(folder, has_store(place))
    envelope = Envelope(folder, source)
    data_key = envelope.unlock(fresh=False)
    store = KeyStore.open(place, data_key, side)
    try:
        envelope.settle(data_key, earlier)
        yield envelope, data_key
    finally:
        store.close()
        data_key.wipe()


def _require(folder: Path, there: bool) -> None:
    if not there:
        raise UsageError(
            f"expected a node's store in {folder}, got none",
            hint="Name its --state; a node makes it at its first start.",
        )


def _named(key: Replaced | None) -> dict[str, str] | None:
    return None if key is None else {"source": key.source, "key": key.key}
