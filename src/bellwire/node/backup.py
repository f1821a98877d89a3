"""A backup of a site's keys: of what may come back, and of nothing else.

Taken while nodes run, or not. Of a store it has the history alone (`keys.history`): bits and pads
that came back could be used twice. An authority is copied under its lock, so that its index and its
files belong together. Private keys of authorities and identities are in it: mode 0600.
"""

import asyncio
import re
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bellwire.base.errors import UsageError
from bellwire.base.local import NotAnswered
from bellwire.base.private import read_own_file, write_whole
from bellwire.keys import history
from bellwire.keys.database.opening import has_store, open_database
from bellwire.keys.history import History
from bellwire.node.archive import pack
from bellwire.node.assemble import SITES, node_folder
from bellwire.node.fence import HISTORY_FILE, read_history
from bellwire.node.identity import PUBLIC_FILE, SEED_FILE
from bellwire.node.network.place import network_folder, network_sites
from bellwire.node.operator import OperatorClient
from bellwire.node.settings import Settings, default_file
from bellwire.node.store_place import store_place
from bellwire.node.used_keys import FILE as USED_KEYS
from bellwire.pki.authority import authority_folder
from bellwire.pki.folder import AuthorityFolder

SETTINGS_FILE = "bellwire.toml"
PROFILES = "profiles"
MAX_FILE = 1 << 20

_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.toml")


@dataclass(frozen=True, slots=True)
class Written:
    """A backup that was made.

    Attributes:
        written: The file.
        made_at: When, UTC.
        sites: Whose nodes have a store.
        files: What is in it.
        bytes: Its size.
    """

    written: Path
    made_at: str
    sites: tuple[str, ...]
    files: tuple[str, ...]
    bytes: int


def back_up(settings: Settings, out: Path, config: Path | None) -> Written:
    """Write a backup of everything in the state folder that concerns keys.

    Args:
        settings: Which state folder, and where stores are.
        out: The file; there must be none.
        config: The settings file that was named; None for the user's own, if there is one.

    Returns:
        What is in it.

    Raises:
        UsageError: there is nothing to back up, or a file at `out`.
        BellwireError: something cannot be read; nothing was written.
    """
    files: dict[str, bytes] = {}
    for site in SITES:
        files |= _node(settings, site)
        files |= _authority(settings.state.dir, site)
    for site in network_sites(settings.state.dir):
        files |= _network(settings.state.dir, site)
        files |= _authority(settings.state.dir, site)
    if not files:
        raise UsageError(
            f"expected a node's state or an authority in {settings.state.dir}, got neither",
            hint="Name the folder of state with --state.",
        )
    files |= _profiles(settings.state.dir / PROFILES)
    files |= _settings_file(config)
    made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sites = tuple(site for site in SITES if f"node-{site}/{HISTORY_FILE}" in files)
    content = pack(files, made_at=made_at, sites=sites)
    if not write_whole(out, content, replace=False):
        raise UsageError(f"expected no file at {out}, got one")
    return Written(out, made_at, sites, tuple(sorted(files)), len(content))


def _node(settings: Settings, site: str) -> dict[str, bytes]:
    folder = node_folder(settings.state.dir, site)
    found = _history(settings, site, folder)
    files = {} if found is None else {HISTORY_FILE: msgspec.json.encode(found)}
    for name in (SEED_FILE, PUBLIC_FILE, USED_KEYS, "tags.json"):
        content = _public(folder / name) if name == PUBLIC_FILE else _own(folder / name)
        if content is not None:
            files[name] = content
    return {f"{folder.name}/{name}": content for name, content in files.items()}


def _history(settings: Settings, site: str, folder: Path) -> History | None:
    """What a node's store has of history; None if there is no store."""
    if (folder / "operator.sock").exists():
        try:
            return asyncio.run(OperatorClient(folder / "operator.sock").history())
        except NotAnswered:
            pass  # left by a node that was killed
    restored = read_own_file(folder / HISTORY_FILE, history.MAX_HISTORY + 1)
    if restored is not None:
        return read_history(restored, folder / HISTORY_FILE)
    if not folder.exists():
        return None
    place = store_place(settings.store.url, folder, SITES[site])
    if not has_store(place):
        return None
    with closing(open_database(place)) as database, database.transaction() as cursor:
        return history.read(cursor)


def _network(state: Path, site: str) -> dict[str, bytes]:
    """Who a site of a network is; keys that wait there, and meetings, are made anew."""
    folder = network_folder(state, site)
    own, public = _own(folder / SEED_FILE), _public(folder / PUBLIC_FILE)
    found = {SEED_FILE: own, PUBLIC_FILE: public}
    return {f"{folder.name}/{name}": each for name, each in found.items() if each is not None}


def _authority(state: Path, site: str) -> dict[str, bytes]:
    folder = authority_folder(state, site)
    if not folder.exists():
        return {}
    files = AuthorityFolder(folder, site).copy()
    return {f"{folder.name}/{name}": content for name, content in files.items()}


def _profiles(folder: Path) -> dict[str, bytes]:
    names = sorted(path.name for path in folder.glob("*.toml")) if folder.is_dir() else []
    found = {name: _own(folder / name) for name in names if _PROFILE.fullmatch(name)}
    return {f"{PROFILES}/{name}": each for name, each in found.items() if each is not None}


def _settings_file(config: Path | None) -> dict[str, bytes]:
    content = _public(config or default_file())
    return {} if content is None else {SETTINGS_FILE: content}


def _own(path: Path) -> bytes | None:
    return read_own_file(path, MAX_FILE)


def _public(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return file.read(MAX_FILE)
