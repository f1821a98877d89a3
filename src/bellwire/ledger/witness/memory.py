"""What a witness remembers of each log: a small file of its own, whole and durable, or the old one.

A second folder, on another disk, may have the same files. It is written after the first and before
anything is answered, so at a start no first file may be older than its second: if one is, the
first folder was put back to an earlier state, and a witness that went on from it could cosign
another history than the one it has cosigned.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.ledger.tree import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from bellwire.ledger.witness.errors import WitnessRolledBack, WitnessStateDamaged

MAX_FILE_BYTES: Final = 4096
SUFFIX: Final = ".seen"


@dataclass(frozen=True, slots=True)
class Seen:
    """The last checkpoint of a log that was cosigned.

    Attributes:
        size: Its entries; 0 where none was cosigned.
        root: (32,) its root.
        time: When, in seconds since 1970.
        halted: Whether the log is followed no more: the state was found to have been put back.
    """

    size: int = 0
    root: bytes = EMPTY_ROOT
    time: int = 0
    halted: bool = False


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    origin: Annotated[str, Meta(min_length=1, max_length=255)]
    size: Annotated[int, Meta(ge=0, le=MAX_SIZE)]
    root: Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
    time: Annotated[int, Meta(ge=0, le=MAX_SIZE)]
    halted: bool


_decoder = msgspec.json.Decoder(_File)


class Memory:
    """The files of one witness; for one process and one thread at a time.

    Args:
        folder: Of the files; made if it is missing.
        second: Of their copies, on another disk; None for none.
        origins: The logs that are followed, whose files are compared now.

    Raises:
        WitnessRolledBack: a file is older than its copy.
        WitnessStateDamaged: a file is not what was written.
        PathUnusable, PathExposed: a folder or file cannot be used, or others may read it.
    """

    def __init__(self, folder: Path, second: Path | None, origins: tuple[str, ...]) -> None:
        self._folder = own_folder(folder)
        self._second = None if second is None else own_folder(second)
        for origin in origins:
            if self._second is not None:
                self._compare(origin, self._second)

    def recall(self, origin: str) -> Seen:
        """What was kept last, read anew: a write that failed may have been made all the same.

        Raises:
            WitnessStateDamaged: a file is not what was written.
            PathUnusable, PathExposed: it cannot be read, or others may.
        """
        return self._read(self._folder, origin) or Seen()

    def keep(self, origin: str, seen: Seen) -> None:
        """Remember; it is on the disk when this returns.

        Raises:
            PathUnusable: it could not be written; which of the two states is there is unknown.
        """
        file = _File(origin, seen.size, seen.root, seen.time, seen.halted)
        content = msgspec.json.encode(file) + b"\n"
        write_whole(_path(self._folder, origin), content, replace=True)
        if self._second is not None:
            write_whole(_path(self._second, origin), content, replace=True)

    def _compare(self, origin: str, second: Path) -> None:
        here, there = self.recall(origin), self._read(second, origin) or Seen()
        forked = here.size == there.size and here.root != there.root
        if here.size < there.size or forked or (there.halted and not here.halted):
            raise WitnessRolledBack(
                f"expected what {self._folder} has of {origin[:80]!r} to be as new as its copy,"
                f" of {there.size} entries, got {here.size} entries",
                hint="The folder was put back to an earlier state. Bring the newest one back: the"
                " copy has it.",
            )

    def _read(self, folder: Path, origin: str) -> Seen | None:
        path = _path(folder, origin)
        data = read_own_file(path, MAX_FILE_BYTES + 1)
        if data is None:
            return None
        try:
            found = _decoder.decode(data)
        except UNDECODABLE as error:
            raise WitnessStateDamaged(f"expected what was kept in {path}, got: {error}") from error
        if found.origin != origin:
            raise WitnessStateDamaged(
                f"expected the file of {origin[:80]!r} at {path}, got another"
            )
        return Seen(found.size, found.root, found.time, found.halted)


def _path(folder: Path, origin: str) -> Path:
    return folder / (hashlib.sha256(origin.encode()).hexdigest()[:32] + SUFFIX)
