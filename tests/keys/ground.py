"""Where the stores of the crash machine lie, and what can happen to them there.

`Files` is SQLite on a disk that forgets what was not synced; `postgres.ground` is a server. What a
model promises is the same on both.
"""

import itertools
import random
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from tests.keys.disk import DISK, FULL, IOERR_FSYNC
from tests.keys.faults import Armed, Crash, Faults
from tests.keys.stores import new_store, open_store

from bellwire.base.detections import Side
from bellwire.database.cursor import Cursor
from bellwire.keys.database.sqlite import SqliteDatabase
from bellwire.keys.store import KeyStore

Unit = tuple[int, int]
"""Block, and number within it: what a unit is whatever the two sides number it."""


class Held(NamedTuple):
    """What a store holds, as the disk says.

    Attributes:
        epoch: Of the pool.
        sequence, peer_sequence: As `rows.PoolMarks`.
        units: Those left; True where this side hands them out.
        handed: (first unit's number, slave) of keys that others wait for.
        copies: Who waits for each.
        grants: (own, number) and what it means: master, slaves, agreed.
    """

    epoch: int
    sequence: int
    peer_sequence: int
    units: dict[Unit, bool]
    handed: frozenset[tuple[int, str]]
    copies: dict[bytes, str]
    grants: dict[tuple[int, int], tuple[str, str, int]]

    @property
    def left(self) -> object:
        """All but where the sequence is."""
        return self.epoch, self.units, self.handed, self.copies


def held(cursor: Cursor) -> Held:
    """Read it."""
    (marks,) = cursor.execute("SELECT epoch, sequence, peer_sequence FROM store").fetchall()
    units: dict[Unit, bool] = {}
    rows = cursor.execute(
        "SELECT first, marks.units, block, outgoing, taken, gone, first_unit FROM marks "
        "JOIN blocks ON number = block"
    ).fetchall()
    for first, count, block, outgoing, taken, gone, start in rows:
        bits = int.from_bytes(gone, "little")
        for at in range(taken if outgoing else 0, count):
            if outgoing or not bits >> at & 1:
                units[block, first - start + at] = bool(outgoing)
    handed = frozenset(cursor.execute("SELECT first, slave FROM handed").fetchall())
    copies = dict(cursor.execute("SELECT id, waiting FROM copies").fetchall())
    grants = {
        (own, number): (master, slaves, agreed)
        for own, number, master, slaves, agreed in cursor.execute(
            "SELECT own, number, master, slaves, agreed FROM grants"
        ).fetchall()
    }
    epoch, sequence, heard = marks
    return Held(epoch, sequence, heard, units, handed, copies, grants)


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a step.

    Attributes:
        kind: One of its ground's kinds.
        at: Number of the statement or call.
        after: Whether the statement still runs.
    """

    kind: str
    at: int
    after: bool = False


class Ground(Protocol):
    """Where the stores of both sides lie. A place is whatever the ground knows a store by."""

    @property
    def kinds(self) -> Sequence[str]:
        """Faults that can strike here."""

    def new(self, side: Side) -> Any:
        """A place with a store that has its pre-placed key."""

    def open(self, place: Any, side: Side) -> KeyStore:
        """The store at a place."""

    def look(self, store: KeyStore, place: Any) -> Held:
        """What it holds now."""

    def closed(self, store: KeyStore) -> bool:
        """Whether it will not go on without a new start."""

    def arm(self, fault: Fault | None) -> None:
        """Let a fault strike what is done from now on."""

    def disarm(self) -> None:
        """Let nothing more go wrong."""

    def failed(
        self, store: KeyStore, place: Any, fault: Fault, chance: random.Random, *, died: bool
    ) -> Any:
        """Where to start anew after a fault; None if the process goes on."""

    def crash(self, store: KeyStore, place: Any, chance: random.Random | None) -> Any:
        """End its process here, or with a chance the machine's power; where to start anew."""

    def durable(self, place: Any, side: Side) -> Held | None:
        """What a power cut right now would leave; None for nothing that can be read."""

    def save(self, place: Any, side: Side) -> Any:
        """A backup."""

    def put_back(self, saved: Any, place: Any, side: Side) -> Any:
        """A store as it was in a backup; its process has ended."""

    def close(self) -> None:
        """Give everything up."""


class Nothing(random.Random):
    """Of what was not synced nothing is there."""

    def choice(self, _: object) -> float:  # type: ignore[override]
        return 0.0

    def random(self) -> float:
        return 1.0


class Files:
    """SQLite on `tests.keys.disk`; a place is a folder."""

    kinds = ("error", "kill", "full", "sync", "power")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = itertools.count()

    def new(self, side: Side) -> Path:
        place = self._folder / str(next(self._names))
        new_store(place, side).close()
        return place

    def open(self, place: Path, side: Side) -> KeyStore:
        return open_store(place, side)

    def look(self, store: KeyStore, place: Path) -> Held:
        with store._database.transaction() as cursor:
            return held(cursor)

    def closed(self, store: KeyStore) -> bool:
        return cast(SqliteDatabase, store._database)._closed

    def arm(self, fault: Fault | None) -> None:
        if fault is None:
            return
        match fault.kind:
            case "error":
                error: BaseException = sqlite3.OperationalError("disk I/O error")
                Armed.faults = Faults(fault.at, error, after=fault.after)
            case "kill":
                Armed.faults = Faults(fault.at, Crash(), after=fault.after)
            case "sync":
                DISK.fail_after(fault.at, IOERR_FSYNC)
            case _:
                DISK.fail_after(fault.at, FULL)

    def disarm(self) -> None:
        Armed.faults = None
        DISK.mend()

    def failed(
        self, store: KeyStore, place: Path, fault: Fault, chance: random.Random, *, died: bool
    ) -> Path | None:
        if died:
            return self._image(store.side, place, None)
        if fault.kind == "power":
            return self._image(store.side, place, chance)
        return place if self.closed(store) else None

    def crash(self, store: KeyStore, place: Path, chance: random.Random | None) -> Path:
        return self._image(store.side, place, chance)

    def durable(self, place: Path, side: Side) -> Held | None:
        target = self._image(side, place, Nothing())
        with closing(sqlite3.connect(target / side.value / "keys.db")) as connection:
            try:
                return held(connection.cursor())
            except sqlite3.Error:
                return None
            finally:
                shutil.rmtree(target)

    def save(self, place: Path, side: Side) -> Path:
        return self._image(side, place, None)

    def put_back(self, saved: Path, place: Path, side: Side) -> Path:
        target = self._folder / str(next(self._names))
        shutil.copytree(saved, target)
        return target

    def close(self) -> None:
        self.disarm()

    def _image(self, side: Side, place: Path, chance: random.Random | None) -> Path:
        """What a kill now would leave, or, with a chance, a power cut."""
        target = self._folder / str(next(self._names))
        (target / side.value).mkdir(parents=True, mode=0o700)
        for path in (place / side.value).iterdir():
            copy = target / side.value / path.name
            if chance is None or not path.name.startswith("keys.db"):
                shutil.copy(path, copy)
            else:
                copy.write_bytes(DISK.after_power_cut(path, chance))
            copy.chmod(0o600)
        return target
