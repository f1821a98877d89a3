"""Stores that may have been put back to an earlier state: their bits, pads and link's key go.

What may have left, or been burnt, since a store was copied cannot be told from what has not; so
nothing of it stays. A node that was restored from a backup has the backup's history in its folder
until its first start has taken it in: a store that lies beside it is voided before anything else.
"""

from contextlib import closing
from pathlib import Path

import msgspec

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.base.private import read_own_file, write_whole
from bellwire.keys import history
from bellwire.keys.database.opening import has_store, open_database
from bellwire.keys.errors import StoreCorrupt, StoreRefused
from bellwire.keys.history import MAX_HISTORY, History
from bellwire.keys.store import KeyStore
from bellwire.node.settings import Settings
from bellwire.node.store_place import store_place

HISTORY_FILE = "history.json"
MARK = "fenced"
"""Says that a node waits for a new link's key: for whoever brings it."""


def fence_store(settings: Settings, folder: Path, side: Side) -> int:
    """Void the store of a stopped node; again is harmless. Needs none of its secrets.

    Returns:
        The epoch that begins.

    Raises:
        UsageError: there is no store.
        StoreBusy: the node runs.
        StoreCorrupt: it is an empty database.
        StoreRefused: it is another side's.
        StoreError: nothing was changed.
    """
    place = store_place(settings.store.url, folder, side)
    if not has_store(place):
        raise UsageError(
            f"expected a node's store in {folder}, got none",
            hint="Name its --state; a node makes it at its first start.",
        )
    with closing(open_database(place)) as database:
        with database.transaction() as cursor:
            row = cursor.execute("SELECT side FROM store").fetchone()
            if row is None:
                raise StoreCorrupt(f"expected a store in {folder}, got an empty database")
            if row[0] != side.value:
                raise StoreRefused(f"expected the store of {side.value}, got that of {row[0]}")
            history.void(cursor)
            (epoch,) = cursor.execute("SELECT epoch FROM store").fetchone()
        database.truncate()
    write_whole(folder / MARK, b"this node waits for a new authentication key\n", replace=True)
    return int(epoch)


def waits_for_key(folder: Path) -> bool:
    """Whether a node's store was fenced, and no key was placed since."""
    return (folder / MARK).exists()


def key_is_placed(folder: Path) -> None:
    """The key that a fenced store waits for is about to be stored."""
    (folder / MARK).unlink(missing_ok=True)


def settle_restored(folder: Path, store: KeyStore) -> None:
    """Finish a restore, if there was one: whatever the store holds goes, and it has its history.

    Raises:
        UsageError: the history cannot be read.
        StoreError: it is finished at the next start.
    """
    path = folder / HISTORY_FILE
    content = read_own_file(path, MAX_HISTORY + 1)
    if content is None:
        return
    found = read_history(content, path)
    store.void()
    store.take_history(found)
    path.unlink()


def read_history(content: bytes, where: object) -> History:
    """A history from its JSON.

    Raises:
        UsageError: it is none.
    """
    try:
        return msgspec.json.decode(content, type=History)
    except UNDECODABLE as error:
        raise UsageError(f"expected the history of a store in {where}, got another") from error
