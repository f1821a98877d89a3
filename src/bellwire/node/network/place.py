"""Where a site's network process keeps what it keeps: a store of its own, and files beside it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.crypto.kek.envelope import Envelope
from bellwire.crypto.kek.sources import parse_source
from bellwire.database.place import ServerPlace
from bellwire.keys.database.interface import Place
from bellwire.keys.database.opening import has_store
from bellwire.keys.sealing import STORE_KEY
from bellwire.keys.store import KeyStore
from bellwire.network.meetings import Meetings
from bellwire.node.settings import Settings, credentials_folder
from bellwire.node.store_place import STORE_FILE

SOCKET: Final = "network.sock"
MAX_MEETINGS: Final = 4 << 20
SIDE: Final = Side.ALICE
"""The store is no link's; the side is only a part of its name."""


def network_folder(state: Path, site: str) -> Path:
    """Where a site's network process keeps its state."""
    return state / f"network-{site}"


def is_network_site(state: Path, site: str) -> bool:
    """Whether a state folder has the state of a site of that name."""
    return re.fullmatch(r"[A-Za-z0-9_-]{1,64}", site) is not None and (
        network_folder(state, site).is_dir()
    )


def network_sites(state: Path) -> list[str]:
    """Sites of networks whose state is in a state folder."""
    names = sorted(path.name.removeprefix("network-") for path in state.glob("network-*"))
    return [name for name in names if is_network_site(state, name)]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a site keeps.

    Attributes:
        store: Keys that wait for its SAEs.
        meetings: Keys of sites that have met.
    """

    store: KeyStore
    meetings: Meetings


def open_kept(settings: Settings, site: str) -> Kept:
    """Open what a site keeps, or make it.

    Raises:
        BellwireError: a file or the database cannot be used.
    """
    folder = own_folder(network_folder(settings.state.dir, site))
    place = _place(settings.store.url, folder, site)
    source = parse_source(settings.kek.source, folder, credentials_folder())
    envelope = Envelope(folder, source, STORE_KEY)
    data_key = envelope.unlock(fresh=not has_store(place))
    store = KeyStore.open(place, data_key, SIDE)
    try:
        envelope.settle(data_key)
        meetings = _meetings(folder, store)
    except BaseException:
        store.close()
        raise
    return Kept(store, meetings)


def _place(url: str, folder: Path, site: str) -> Place:
    file = folder / STORE_FILE
    if not url:
        return file
    if file.exists():
        raise UsageError(
            f"expected no store in {folder} with store.url, got {STORE_FILE}",
            hint="A store stays where it was made: leave store.url empty, or choose a new state "
            "folder.",
        )
    name = "".join(each if each.isalnum() else "_" for each in site.lower())
    return ServerPlace(url, f"bellwire_network_{name}"[:63])


def _meetings(folder: Path, store: KeyStore) -> Meetings:
    """The keys of sites that have met, in a sealed file beside the store."""
    path = folder / "meetings.sealed"
    box = store.box(path.name)
    sealed = read_own_file(path, MAX_MEETINGS)
    kept = None if sealed is None else box.open(0, sealed)

    def keep(keys: bytes) -> None:
        write_whole(path, box.seal(0, keys), replace=True)

    return Meetings(kept, keep)
