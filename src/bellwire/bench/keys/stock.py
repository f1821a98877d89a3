"""Two sites with equal keys in stock, made without photons: for benchmarks only.

Blocks go the way of distilled ones (`KeyStore`: burnt, pending, ready), but both sites draw them
from one seed, so nothing that lies here is a secret.
"""

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from bellwire.base.detections import Protocol, Side
from bellwire.base.secret import Secret
from bellwire.keys.model import BlockRecord, KeySourceKind
from bellwire.keys.reserve import SET_BYTES
from bellwire.keys.store import KeyStore
from bellwire.node.assemble import SITES, node_folder, open_store
from bellwire.node.first_contact import new_authentication_key

KEY_BITS = 256
BLOCK_KEYS = 1 << 18
"""Keys of one block: 8 MiB."""

_URL = "store.url"
_REFILL_BITS = 2 * 8 * SET_BYTES
_PROGRAM = "from bellwire.bench.keys.stock import main; main()"


def prepare(state: Path, keys: int, seeds: tuple[int, int] = (1, 1), url: str = "") -> None:
    """Make the stores of both sites under `state`, with `keys` keys of 256 bits on the link.

    Half of them is each side's to hand out. Of different seeds the two have different keys. With
    the `url` of a PostgreSQL server they are there.

    Raises:
        ArithmeticError: a store could not be filled.
    """
    (state / _URL).write_text(url)
    first = state / "first.key"
    new_authentication_key(first)
    making = []
    for site, seed in zip(SITES, seeds, strict=True):
        shutil.copy(first, state / f"{site}.key")
        arguments = [sys.executable, "-c", _PROGRAM, str(state), site, str(keys), str(seed)]
        making.append(subprocess.Popen(arguments))
    codes = [process.wait() for process in making]
    if any(codes):
        raise ArithmeticError("the stores could not be filled")
    first.unlink()


def fill(store: KeyStore, keys: int, seed: int) -> None:
    """Give a store so many keys."""
    for number, first in enumerate(range(0, keys, BLOCK_KEYS), 1):
        bits = KEY_BITS * min(BLOCK_KEYS, keys - first) + _REFILL_BITS
        store.burn(number)
        record = BlockRecord(
            block=number,
            protocol=Protocol.BB84,
            source=KeySourceKind.SIMULATED,
            secret_bits=bits,
            qber=0.02,
            chsh=None,
            epsilon=1e-10,
            decided_at=0.0,
        )
        drawn = np.random.default_rng([seed, number]).bytes(bits // 8)
        store.put_pending(record, Secret(drawn))
        store.mark_ready(number)


def open_site(state: Path, site: str) -> tuple[KeyStore, Side, Path]:
    """The store of a site, its side, and the folder it lies in."""
    folder = node_folder(state, site)
    side = SITES[site]
    key = state / f"{site}.key"
    url = (state / _URL).read_text()
    return open_store(folder, side, key if key.exists() else None, url=url), side, folder


def main() -> None:
    """Fill the store that the arguments name."""
    state, site, keys, seed = sys.argv[1:]
    store, _, _ = open_site(Path(state), site)
    with contextlib.closing(store):
        fill(store, int(keys), int(seed))
