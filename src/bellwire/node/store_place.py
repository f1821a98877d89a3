"""Where a node's key store is: a file in its folder, or a schema on a PostgreSQL server."""

from pathlib import Path

from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.database.place import ServerPlace
from bellwire.keys.database.interface import Place

STORE_FILE = "keys.sqlite"

_SCHEMAS = {Side.ALICE: "bellwire_a", Side.BOB: "bellwire_b"}
"""One for each site, so that both may try out one server."""


def store_place(url: str, folder: Path, side: Side) -> Place:
    """The place of a node's store.

    Args:
        url: `store.url` of the settings.
        folder: The node's.
        side: Whose store it is.

    Raises:
        UsageError: a server is named, and there is a store in the folder.
    """
    file = folder / STORE_FILE
    if not url:
        return file
    if file.exists():
        raise UsageError(
            f"expected no store in {folder} with store.url, got {STORE_FILE}",
            hint="A store stays where it was made: leave store.url empty, or choose a new state "
            "folder, at both nodes, with a new authentication key.",
        )
    return ServerPlace(url, _SCHEMAS[side])
