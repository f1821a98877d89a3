"""Stores for tests: opened with fixed keys, filled with blocks, copied as a crash leaves them."""

import random
import shutil
from pathlib import Path

from bellwire.base.detections import Protocol, Side
from bellwire.base.secret import Secret
from bellwire.keys.kek.envelope import Envelope
from bellwire.keys.kek.key_file import KeyFiles
from bellwire.keys.model import BlockRecord, KeySourceKind
from bellwire.keys.reserve import preplaced_bytes
from bellwire.keys.store import KeyStore

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

KEK = Secret(bytes(range(32)))
SETS = 6


def some_bytes(count: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(count)


PREPLACED = Secret(some_bytes(preplaced_bytes(SETS), 4711))


def data_key(folder: Path) -> Secret:
    """The data key of a node's store, wrapped by a file beside it."""
    return Envelope(folder, KeyFiles(folder)).unlock(fresh=False)


def record(block: int, secret_bits: int) -> BlockRecord:
    return BlockRecord(
        block=block,
        protocol=Protocol.E91,
        source=KeySourceKind.SIMULATED,
        secret_bits=secret_bits,
        qber=0.02,
        chsh=2.7,
        epsilon=1e-10,
        decided_at=1000.0,
    )


def secret(block: int, secret_bits: int) -> Secret:
    return Secret(some_bytes(-(-secret_bits // 8), block))


def open_store(folder: Path, side: Side = Side.ALICE) -> KeyStore:
    return KeyStore.open(folder / side.value / "keys.db", KEK, side)


def new_store(folder: Path, side: Side = Side.ALICE) -> KeyStore:
    store = open_store(folder, side)
    store.install_preplaced(PREPLACED)
    return store


def add_pending(store: KeyStore, block: int, secret_bits: int) -> None:
    store.burn(block)
    store.put_pending(record(block, secret_bits), secret(block, secret_bits))


def add_ready(store: KeyStore, block: int, secret_bits: int) -> None:
    add_pending(store, block, secret_bits)
    store.mark_ready(block)


def pair(folder: Path) -> tuple[KeyStore, KeyStore]:
    return new_store(folder, Side.ALICE), new_store(folder, Side.BOB)


def crash_copy(folder: Path, target: Path) -> Path:
    """What a kill at this moment would leave: the files as the system has them now."""
    shutil.copytree(folder, target)
    return target
