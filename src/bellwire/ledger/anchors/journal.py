"""What was done for each anchor, durably, before it is done: a file for each, whole or absent.

The file of an anchor is there, with the signed transaction in it, before the transaction leaves. So
whatever a crash interrupts, the same transaction is sent again, and none beside it. Files are as
public as the chain, but the folder is its owner's: who writes here decides what is anchored.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.ledger.anchors.anchor import Anchor, log_id
from bellwire.ledger.anchors.chain import MAX_RAW, Attempt, Place, Stage
from bellwire.ledger.anchors.errors import AnchorJournalDamaged
from bellwire.ledger.tree import HASH_BYTES, MAX_SIZE

MAX_ATTEMPTS: Final = 16
MAX_FILE: Final = 4096 + MAX_ATTEMPTS * (2 * MAX_RAW + 512)
SUFFIX: Final = ".anchor"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An anchor on its way, or arrived.

    Attributes:
        chain: Its name, in full.
        sender: In whose name.
        origin: Of the log.
        size: Of the log.
        root: (32,) of its tree.
        stage: How far it is.
        attempts: Of the present slot, the last one offers most.
        place: Where it was seen last, if it is in a block.
        v: Of this form.
    """

    chain: Annotated[str, Meta(max_length=100)]
    sender: Annotated[str, Meta(max_length=100)]
    origin: Annotated[str, Meta(min_length=1, max_length=255)]
    size: Annotated[int, Meta(ge=1, le=MAX_SIZE)]
    root: Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
    stage: Stage
    attempts: Annotated[tuple[Attempt, ...], Meta(min_length=1, max_length=MAX_ATTEMPTS)]
    place: Place | None = None
    v: Literal[1] = 1

    @property
    def anchor(self) -> Anchor:
        """What is anchored."""
        return Anchor(log_id(self.origin), self.size, self.root)


_decoder = msgspec.json.Decoder(Record)


class Journal:
    """The files of one folder; one process writes, others may read.

    Args:
        folder: Made if it is missing.

    Raises:
        PathUnusable, PathExposed: it cannot be used, or others may enter it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = own_folder(folder)

    def keep(self, record: Record) -> None:
        """Remember; it is on the disk when this returns.

        Raises:
            PathUnusable: it could not be written; the record before may be there, or this one.
        """
        write_whole(self._path(record), msgspec.json.encode(record) + b"\n", replace=True)

    def all(self) -> Iterator[Record]:
        """Every anchor, those of a chain and a log by size.

        Raises:
            AnchorJournalDamaged: a file is not what was written.
            PathUnusable, PathExposed: it cannot be read, or others may.
        """
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            data = read_own_file(path, MAX_FILE + 1)
            if data is None:
                continue
            try:
                record = _decoder.decode(data)
            except UNDECODABLE as error:
                raise AnchorJournalDamaged(
                    f"expected what was kept of an anchor in {path}, got: {error}",
                    hint="Without it, what was sent may be paid again. Bring the file back.",
                ) from error
            if self._path(record) != path:
                raise AnchorJournalDamaged(f"expected at {path} its own anchor, got another's")
            yield record

    def _path(self, record: Record) -> Path:
        chain = hashlib.sha256(record.chain.encode()).hexdigest()[:16]
        log = log_id(record.origin).hex()[:16]
        return self._folder / f"{chain}-{log}-{record.size:019}{SUFFIX}"
