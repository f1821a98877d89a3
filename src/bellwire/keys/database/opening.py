"""Opening the database of a place, whichever it is."""

from pathlib import Path

from bellwire.keys.database.interface import Database, Place
from bellwire.keys.database.sqlite import SqliteDatabase
from bellwire.keys.errors import StoreRefused


def open_database(place: Place, *, shared: bool = False) -> Database:
    """Open a store's database, making an empty one where there is none.

    Args:
        place: Where it is.
        shared: For one more process beside the node that owns the store.

    Raises:
        PathUnusable, StoreUnusable: it cannot be made, read or written.
        PathExposed: others may read the files.
        StoreRefused: it belongs to another program, is not durable, or cannot be shared.
        StoreCorrupt: it is damaged; it is left as it is.
        StoreBusy: another node has it open.
    """
    if isinstance(place, Path):
        if shared:
            raise StoreRefused(
                "expected a store on a PostgreSQL server, which processes can share, got a file"
            )
        return SqliteDatabase.open(place)
    from bellwire.keys.database.postgres import PostgresDatabase  # noqa: PLC0415 - seldom needed

    return PostgresDatabase.open(place, shared=shared)


def has_store(place: Place) -> bool:
    """Whether there is a store already.

    Raises:
        StoreUnusable: that cannot be found out.
    """
    if isinstance(place, Path):
        return place.exists()
    from bellwire.keys.database.postgres import is_there  # noqa: PLC0415 - seldom needed

    return is_there(place)
