"""The key-encryption key of a node's store: from the settings; shown, and rotated."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.base.secret import Secret
from bellwire.crypto.kek.envelope import Envelope
from bellwire.crypto.kek.record import describe, named
from bellwire.crypto.kek.rotation import rotate
from bellwire.crypto.kek.source import KekSource
from bellwire.crypto.kek.sources import parse_source
from bellwire.keys.database.opening import has_store
from bellwire.keys.sealing import STORE_KEY
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
    record = Envelope(folder, parse_source("file", folder), STORE_KEY).record()
    if record is None:
        _require(folder, (folder / STORE_FILE).exists())
        return {"source": None, "key": None, "argon2id": None, "replaces": None}
    return describe(record)


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

    def unlocked(
        source: KekSource, earlier: KekSource | None
    ) -> AbstractContextManager[tuple[Envelope, Secret]]:
        return _unlocked(settings, folder, side, source, earlier)

    destroyed = rotate(unlocked, lambda source: Envelope(folder, source, STORE_KEY), old, new)
    return {"source": new.setting, "destroyed": named(destroyed)}


@contextmanager
def _unlocked(
    settings: Settings,
    folder: Path,
    side: Side,
    source: KekSource,
    earlier: KekSource | None,
) -> Iterator[tuple[Envelope, Secret]]:
    """The data key, with its store open: so that no node has it, and the key is the right one."""
    place = store_place(settings.store.url, folder, side)
    _require(folder, has_store(place))
    envelope = Envelope(folder, source, STORE_KEY)
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
