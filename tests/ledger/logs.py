"""A small log with its keys and witnesses, for the tests of what is signed."""

from collections.abc import Sequence

from bellwire.base.secret import Secret
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.growing import Edge, grow
from bellwire.ledger.note import Note
from bellwire.ledger.proving import Prover
from bellwire.ledger.receipt import Receipt
from bellwire.ledger.signing import Signer, log_signers, witness_signers
from bellwire.ledger.tiles import Tile, TileHashes
from bellwire.ledger.tree import leaf_hash

ORIGIN = "log.example/bellwire"
TIME = 1_800_000_000
LOG = log_signers(ORIGIN, Secret(bytes(range(64))))
ED25519, MLDSA44 = LOG
WITNESSES = [witness_signers(f"witness.example/w{i}", Secret(bytes([i]) * 64)) for i in range(1, 4)]


class SmallLog:
    """A log in memory that signs its checkpoints."""

    def __init__(self, entries: Sequence[bytes], origin: str = ORIGIN) -> None:
        self.origin = origin
        self.entries: list[bytes] = []
        self.edge = Edge()
        self._tiles: dict[tuple[int, int], TileHashes] = {}
        self.prover = Prover(self._read)
        self.append(entries)

    def _read(self, tile: Tile) -> TileHashes:
        return self._tiles[tile.level, tile.number]

    def append(self, entries: Sequence[bytes]) -> None:
        self.entries += entries
        self.edge, written = grow(self.edge, [leaf_hash(each) for each in entries])
        self._tiles |= {(tile.level, tile.number): hashes for tile, hashes in written.items()}

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = self.edge.size if size is None else size
        return Checkpoint(self.origin, size, self.prover.root(size))

    def note(self, *signers: Signer, size: int | None = None, time: int = TIME) -> Note:
        return signed(self.checkpoint(size), *(signers or LOG), time=time)

    def receipt(self, index: int, *signers: Signer) -> Receipt:
        size = self.edge.size
        proof = self.prover.inclusion(index, size)
        return Receipt(index, proof, self.note(*signers), self.entries[index])


def signed(checkpoint: Checkpoint, *signers: Signer, time: int = TIME) -> Note:
    return Note(checkpoint.text, tuple(each.sign(checkpoint, time) for each in signers))


def numbered(count: int) -> list[bytes]:
    return [b"entry %d" % i for i in range(count)]
