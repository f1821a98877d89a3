"""A process that opens a log, makes proofs, and says how much memory that took."""

import random
import sys
from pathlib import Path
from typing import Final

import msgspec
import psutil

from bellwire.ledger.proving import Prover
from bellwire.ledger.store.store import LogStore

SEED: Final = 10


class Took(msgspec.Struct, frozen=True):
    """Resident memory, bytes.

    Attributes:
        before: Of the process with the program loaded and no log open.
        after: When the log was open and the proofs were made.
    """

    before: int
    after: int


def prove(prover: Prover, size: int, count: int) -> None:
    """Make so many inclusion proofs of entries at random."""
    chance = random.Random(SEED)  # noqa: S311 - which entries
    for _ in range(count):
        prover.inclusion(chance.randrange(size), size)


def main() -> None:
    """`FOLDER PROOFS` → `Took` as JSON on standard output."""
    folder, proofs = Path(sys.argv[1]), int(sys.argv[2])
    process = psutil.Process()
    before = process.memory_info().rss
    store = LogStore(folder)
    try:
        prove(Prover(store.tile), store.head.size, proofs)
        took = Took(before, process.memory_info().rss)
    finally:
        store.close()
    sys.stdout.write(msgspec.json.encode(took).decode())
