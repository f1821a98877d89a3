"""Stores for tests: opened with fixed keys, filled with blocks, copied as a crash leaves them."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from bellwire.base.detections import Protocol, Side
from bellwire.base.secret import Secret
from bellwire.crypto.kek.envelope import Envelope
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.keys.database.interface import Place
from bellwire.keys.kme import KEY_ID_BYTES, Delivery
from bellwire.keys.model import BlockRecord, KeySourceKind
from bellwire.keys.pool import Pool
from bellwire.keys.requests import Leave, Request, Take
from bellwire.keys.reserve import preplaced_bytes
from bellwire.keys.sealing import STORE_KEY
from bellwire.keys.store import KeyStore

DATA = Path(__file__).parent / "data"

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

KEK = Secret(bytes(range(32)))
SETS = 6


def some_bytes(count: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(count)


PREPLACED = Secret(some_bytes(preplaced_bytes(SETS), 4711))


def data_key(folder: Path) -> Secret:
    """The data key of a node's store, wrapped by a file beside it."""
    return Envelope(folder, KeyFiles(folder), STORE_KEY).unlock(fresh=False)


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


def place(folder: Path, side: Side) -> Place:
    """Where the stores of a folder are; tests of another database put something else here."""
    return folder / side.value / "keys.db"


def open_store(folder: Path, side: Side = Side.ALICE) -> KeyStore:
    return KeyStore.open(place(folder, side), KEK, side)


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


def pool_of(store: KeyStore) -> Pool:
    """The pool of a store, loaded, as if the peer had said that it numbers all units alike."""
    pool = store.pool()
    pool.load(store.authentication_keys().mac_key)
    pool.confirm(pool.marks.next_unit)
    return pool


def add_to(pool: Pool, store: KeyStore, block: int, secret_bits: int) -> None:
    """Make a block ready in a store whose pool is loaded."""
    add_ready(store, block, secret_bits)
    pool.add()
    pool.confirm(pool.marks.next_unit)


def serve(pool: Pool, request: Request, now: float = 1000.0) -> Delivery:
    """The keys of one request; what stands against it is raised."""
    (outcome,) = pool.commit([request], now)
    if not isinstance(outcome, Delivery):
        raise outcome
    return outcome


def take(pool: Pool, bits: int = 256, number: int = 1) -> Delivery:
    """New keys for a consumer at the node's own socket."""
    return serve(pool, Take(0, number, bits))


def leave(pool: Pool, ids: bytes, sharers: tuple[str, ...] = ("",)) -> Delivery:
    """The keys of the peer's ids, for the first of `sharers`."""
    epoch, places = pool.read_ids(pool.side.peer, ids)
    there = [place for place in places if place is not None]
    assert len(there) == len(places)
    return serve(pool, Leave(ids, there, sharers[0], [sharers] * len(there), epoch))


def each(ids: bytes) -> list[bytes]:
    return [ids[at : at + KEY_ID_BYTES] for at in range(0, len(ids), KEY_ID_BYTES)]


def put_aside(folder: Path, version: int, side: Side = Side.ALICE) -> None:
    """A store as the code of an earlier schema left it: block 1 ready, 2 pending, a key drawn."""
    path = folder / side.value / "keys.db"
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA / f"version_{version}.sql").read_text())
