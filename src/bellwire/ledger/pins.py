"""Which keys a handle had when we looked last: a file for each handle, which no log can change.

Who finds other keys later is told, and decides; and a log that shows an older state than it did, or
another history, is refused before its keys are looked at.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.entries.fields import Digest, Handle
from bellwire.ledger.errors import KeysChanged, LogAltered, PinDamaged
from bellwire.ledger.people import Known
from bellwire.ledger.proofs import verify_consistency
from bellwire.ledger.proving import Prover
from bellwire.ledger.reading import LogReader
from bellwire.ledger.tree import HASH_BYTES, MAX_SIZE

MAX_FILE: Final = 4096


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was found last.

    Attributes:
        origin: Of the log.
        handle: Whose keys.
        digests: SHA-256 of each public key, by algorithm.
        number: Of the entry that had them.
        size: Of the log then.
        root: Of the log then.
    """

    origin: Annotated[str, Meta(min_length=1, max_length=255)]
    handle: Handle
    digests: Annotated[dict[str, Digest], Meta(min_length=1, max_length=6)]
    number: Annotated[int, Meta(ge=0, le=MAX_SIZE)]
    size: Annotated[int, Meta(ge=1, le=MAX_SIZE)]
    root: Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]


_decoder = msgspec.json.Decoder(Pin)


class Pins:
    """The pins of one folder.

    Args:
        folder: Made if it is missing.

    Raises:
        PathUnusable, PathExposed: it cannot be used, or others may enter it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = own_folder(folder)

    def get(self, origin: str, handle: str) -> Pin | None:
        """What was found last; None: nothing yet.

        Raises:
            PinDamaged: the file is not what was written.
        """
        path = self._path(origin, handle)
        data = read_own_file(path, MAX_FILE + 1)
        if data is None:
            return None
        try:
            pin = _decoder.decode(data)
        except UNDECODABLE as error:
            raise PinDamaged(f"expected a pin in {path}, got: {error}") from error
        if (pin.origin, pin.handle) != (origin, handle):
            raise PinDamaged(f"expected the pin of {handle} in {path}, got another's")
        return pin

    def keep(self, checkpoint: Checkpoint, known: Known) -> None:
        """Remember what was found; durable when this returns."""
        pin = Pin(
            origin=checkpoint.origin,
            handle=known.handle,
            digests=known.digests,
            number=known.number,
            size=checkpoint.size,
            root=checkpoint.root,
        )
        path = self._path(checkpoint.origin, known.handle)
        write_whole(path, msgspec.json.encode(pin) + b"\n", replace=True)

    def all(self, origin: str) -> list[Pin]:
        """What was found last of each handle in a log, by name.

        Raises:
            PinDamaged: a file is not what was written.
        """
        before = f"{_log(origin)}-"
        names = sorted(path.stem for path in self._folder.glob(f"{before}*.pin"))
        found = (self.get(origin, name.removeprefix(before)) for name in names)
        return [pin for pin in found if pin is not None]

    def _path(self, origin: str, handle: str) -> Path:
        return self._folder / f"{_log(origin)}-{handle}.pin"


def _log(origin: str) -> str:
    """What stands for a log in the names of files."""
    return hashlib.sha256(origin.encode()).hexdigest()[:16]


def require_grown(pin: Pin | Checkpoint, checkpoint: Checkpoint, reader: LogReader) -> None:
    """Return only if a log grew out of what it was when we looked last.

    Raises:
        LogAltered: it shows an older state.
        ConsistencyMismatch: it shows another history.
        TileMalformed: a tile is not what it must be.
    """
    if checkpoint.size < pin.size:
        raise LogAltered(
            f"expected {checkpoint.origin} with the {pin.size:,} entries that it had, or more,"
            f" got {checkpoint.size:,}"
        )
    proof = Prover(lambda tile: reader.tile(tile, checkpoint.size)).consistency(
        pin.size, checkpoint.size
    )
    verify_consistency(pin.size, checkpoint.size, proof, pin.root, checkpoint.root)


def require_same(pin: Pin, known: Known) -> None:
    """Return only if a handle has the keys that it had.

    Raises:
        KeysChanged: it has others.
    """
    if pin.digests == known.digests:
        return
    mine, theirs = pin.digests, known.digests
    kinds = sorted(kind for kind in mine.keys() | theirs if mine.get(kind) != theirs.get(kind))
    raise KeysChanged(
        f"expected the keys that {known.handle} had in entry {pin.number:,}, got others in entry"
        f" {known.number:,}: {', '.join(kinds)}",
        hint="Ask them by another way. If they made new keys, find them once with --accept.",
    )
