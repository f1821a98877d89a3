"""Which pre-placed keys a node has had: each has pads, and pads are for one store's life.

A digest of each stays in the node's folder, beside the store, so that a key is refused that comes
once more: after a fence, or after a store was moved away. The digest is of 64 random bytes and
tells nothing of them.
"""

import hashlib
from pathlib import Path

from bellwire.base.private import read_own_file, write_whole
from bellwire.base.secret import Secret
from bellwire.keys.errors import PreplacedKeyInvalid
from bellwire.keys.reserve import FIXED_BYTES, AuthenticationKeys
from bellwire.keys.store import KeyStore

FILE = "used-keys"
MAX_FILE = 1 << 20


def refuse_used(folder: Path, key: Secret) -> None:
    """Let a pre-placed key pass that this node never had.

    Raises:
        PreplacedKeyInvalid: it had it.
        PathUnusable, PathExposed: the file of those that it had cannot be read.
    """
    if _digest(key.reveal()[:FIXED_BYTES]) in _known(folder):
        raise PreplacedKeyInvalid(
            "expected a new pre-placed key, got one that this node has had: its pads are used",
            hint="Make another one, for both sites: bellwire node --new-authentication-key FILE",
        )


def note_used(folder: Path, store: KeyStore) -> None:
    """Remember the key that a store has.

    Raises:
        PathUnusable, PathExposed: the file cannot be written.
        StoreError, PreplacedKeyInvalid: the store cannot be read, or has none.
    """
    known, mine = _known(folder), _digest(_fixed(store.authentication_keys()))
    if mine not in known:
        lines = "".join(f"{each}\n" for each in [*known, mine])
        write_whole(folder / FILE, lines.encode(), replace=True)


def _fixed(keys: AuthenticationKeys) -> bytes:
    parts = (keys.mac_key, keys.alice_to_bob, keys.bob_to_alice)
    return b"".join(part.reveal() for part in parts)


def _digest(fixed: bytes) -> str:
    return hashlib.sha256(b"bellwire used key 1\n" + fixed).hexdigest()


def _known(folder: Path) -> list[str]:
    content = read_own_file(folder / FILE, MAX_FILE)
    return [] if content is None else content.decode("ascii", "replace").split()
