"""A person's pads: each in a file of its own, of which what has served is overwritten in place.

A pad's file is the pad under AES-256-CTR with a key of its own, from the store's data key. It lies
outside the database because a database copies what it writes, into its log, and overwriting must
reach every copy. What has been taken is in the database, durable with the transaction that takes
it; the bytes are overwritten after that, and again for everything taken whenever the store is
opened, so that a crash between the two leaves nothing. What flash or a snapshot keeps is out of our
hands.

Counter mode alone has no integrity; a pad that was altered on disk does no more than make the
one-time tags of its messages fail.
"""

import os
import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from bellwire.base.private import own_folder, sync_folder, unusable, write_whole
from bellwire.base.secret import Secret
from bellwire.chat.errors import ChatMisuse, PadMissing, PadSpent, StoreCorrupt
from bellwire.chat.pads import (
    MAX_PAD_BYTES,
    MIX_BYTES,
    NO_PAD,
    OVERHEAD_BYTES,
    PAD_ID_BYTES,
    POINT_BYTES,
    Slice,
)
from bellwire.chat.store.database import Database
from bellwire.etsi014.record import SessionRecord

SOURCES: Final = ("simulated", "recorded", "hardware", "vendor", "local")
MAX_AHEAD: Final = 4096
"""Runs of a peer's pad that may have served beyond the first that has not."""

_RUN: Final = struct.Struct(">QQ")
_BLOCK: Final = 16


@dataclass(frozen=True, slots=True)
class NewPad:
    """A pad made for one message. Secret.

    Attributes:
        pad_id: Its id, and its session's.
        pad: All of it.
        source: Where it came from.
        record: What its session measured, if that is known.
    """

    pad_id: bytes
    pad: Secret
    source: str
    record: SessionRecord | None = None

    def part(self, offset: int, length: int) -> Slice:
        """Some of its bytes, from `POINT_BYTES` on."""
        key = self.pad.reveal()
        point = Secret(key[:POINT_BYTES])
        return Slice(self.pad_id, offset, point, Secret(key[offset : offset + length]), self.source)


class PadFiles:
    """The files, by the pads' ids. `erase` comes after the transaction that takes.

    Raises:
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._folder = own_folder(database.folder / "pads")

    def _path(self, pad_id: bytes) -> Path:
        return self._folder / f"{pad_id.hex()}.pad"

    def _stream(self, pad_id: bytes, offset: int, data: bytes) -> bytes:
        block, skip = divmod(offset, _BLOCK)
        key = self._database.key_of(b"pad " + pad_id)
        cipher = Cipher(AES256(key), CTR(block.to_bytes(_BLOCK, "big"))).encryptor()
        return cipher.update(bytes(skip) + data)[skip:]

    def write(self, pad_id: bytes, pad: Secret) -> None:
        """Keep a pad, durably."""
        write_whole(self._path(pad_id), self._stream(pad_id, 0, pad.reveal()), replace=True)

    def read(self, pad_id: bytes, offset: int, length: int) -> Secret:
        """Bytes of a pad.

        Raises:
            StoreCorrupt: the file is gone or cut.
        """
        try:
            descriptor = os.open(self._path(pad_id), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                data = os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreCorrupt("the file of a pad cannot be read") from error
        if len(data) != length:
            raise StoreCorrupt("the file of a pad is shorter than the pad")
        return Secret(self._stream(pad_id, offset, data))

    def erase(self, pad_id: bytes, runs: list[tuple[int, int]], *, durable: bool = False) -> None:
        """Overwrite bytes from … to …; a pad whose file is gone is erased already."""
        path = self._path(pad_id)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        except OSError as error:
            raise unusable(path, error) from error
        try:
            for begin, end in runs:
                os.pwrite(descriptor, bytes(end - begin), begin)
            if durable:
                os.fsync(descriptor)
        except OSError as error:
            raise unusable(path, error) from error
        finally:
            os.close(descriptor)

    def destroy(self, pad_id: bytes, length: int) -> None:
        """Overwrite all of a pad, and remove its file, if it has one."""
        if not self._path(pad_id).exists():
            return
        self.erase(pad_id, [(0, length)], durable=True)
        self._path(pad_id).unlink(missing_ok=True)
        sync_folder(self._folder)

    def keep_only(self, known: set[bytes]) -> None:
        """Destroy the files of pads that are not known."""
        names = {f"{pad_id.hex()}.pad" for pad_id in known}
        for path in self._folder.iterdir():
            if path.name not in names:
                path.write_bytes(bytes(path.stat().st_size))
                path.unlink()


class PadShelf:
    """The pads of one conversation within one transaction: `bellwire.chat.pads.Pads`."""

    def __init__(self, cursor: sqlite3.Cursor, files: PadFiles, contact: bytes) -> None:
        self._cursor = cursor
        self._files = files
        self._contact = contact
        self._served: dict[bytes, list[tuple[int, int]]] = {}
        self._finished: dict[bytes, int] = {}
        self._lent: dict[bytes, NewPad] = {}
        self._single = False

    def add(
        self, pad_id: bytes, pad: Secret, source: str, *, ours: bool, confirmed: bool = True
    ) -> None:
        """Keep a pad.

        Of ours, a `confirmed` one is known to be with the peer, too.

        Raises:
            ChatMisuse: it was here before, is too short or too long, or of an unknown source.
        """
        self._check_new(NewPad(pad_id, pad, source))
        self._files.write(pad_id, pad)
        self._insert(NewPad(pad_id, pad, source), ours=ours, confirmed=confirmed)

    def lend(self, pad: NewPad, *, ours: bool) -> None:
        """Use a pad for the one message of this transaction, in memory alone.

        With the transaction it counts as served, and nothing of it was ever on the disk. From now
        on, of ours no others are spent.

        Raises:
            ChatMisuse: as `add`.
        """
        self._check_new(pad)
        self._insert(pad, ours=ours, confirmed=False, single=True, served=True)
        self._lent[pad.pad_id] = pad
        self._single |= ours

    def keep_lent(self) -> None:
        """Keep, for the message that they are for, the peer's pads that were lent and not used."""
        for pad_id, each in self._lent.items():
            self._files.write(pad_id, each.pad)
            self._cursor.execute(
                "UPDATE pads SET reached = ?, retired = 0 WHERE pad_id = ? AND ours = 0",
                (POINT_BYTES, pad_id),
            )
        self._lent = {}

    def _check_new(self, new: NewPad) -> None:
        if len(new.pad_id) != PAD_ID_BYTES or new.pad_id == NO_PAD or new.source not in SOURCES:
            raise ChatMisuse(f"expected a pad with an id of 16 bytes from {', '.join(SOURCES)}")
        if not POINT_BYTES + OVERHEAD_BYTES <= len(new.pad) <= MAX_PAD_BYTES:
            raise ChatMisuse(f"expected a pad of 32 to {MAX_PAD_BYTES} bytes, got {len(new.pad)}")
        if self.knows(new.pad_id):
            raise ChatMisuse("expected a pad that was never here, got one that was")

    def _insert(
        self,
        new: NewPad,
        *,
        ours: bool,
        confirmed: bool,
        single: bool = False,
        served: bool = False,
    ) -> None:
        length = len(new.pad)
        reached = length if served else POINT_BYTES
        self._cursor.execute(
            "INSERT INTO pads (pad_id, contact, ours, source, length, reached, ahead, retired,"
            " single, confirmed, number) VALUES (?, ?, ?, ?, ?, ?, x'', ?, ?, ?,"
            " (SELECT coalesce(max(number), 0) + 1 FROM pads))",
            (
                new.pad_id, self._contact, ours, new.source, length, reached, served, single,
                confirmed,
            ),
        )  # fmt: skip

    def spend(self, length: int, *, mix: bool = False) -> Slice | None:
        """See `Pads`: pads serve in the order in which they came."""
        if self._single and not mix:
            return self._spend_lent(length)
        row = self._cursor.execute(
            "SELECT pad_id, reached, length, source FROM pads WHERE contact = ? AND ours = 1"
            " AND retired = 0 AND single = 0 AND confirmed >= ? AND length - reached >= ?"
            " ORDER BY number LIMIT 1",
            (self._contact, mix, length),
        ).fetchone()
        if row is None:
            return None
        pad_id, reached, whole, source = row
        part = self._part(pad_id, reached, length, source)
        self._move(pad_id, reached + length, [], whole)
        self._served.setdefault(pad_id, []).append((reached, reached + length))
        return part

    def _spend_lent(self, length: int) -> Slice | None:
        for pad_id, each in self._lent.items():
            if POINT_BYTES + length <= len(each.pad):
                del self._lent[pad_id]
                return each.part(POINT_BYTES, length)
        return None

    def look(self, pad_id: bytes, offset: int, length: int) -> Slice:
        """See `Pads`."""
        lent = self._lent.get(pad_id)
        if lent is not None:
            if length < 1 or not POINT_BYTES <= offset <= len(lent.pad) - length:
                raise PadSpent("expected bytes of this pad, got others")
            return lent.part(offset, length)
        row = self._theirs(pad_id)
        if row is None:
            raise PadMissing(pad_id)
        reached, runs, whole, source, retired = row
        end = offset + length
        taken = any(offset < run_end and begin < end for begin, run_end in runs)
        if retired or offset < reached or end > whole or taken or length < 1:
            raise PadSpent("expected bytes of this pad that have not served, got others")
        return self._part(pad_id, offset, length, source)

    def take(self, spent: tuple[Slice, ...]) -> None:
        """Count bytes of a peer's pads as served.

        Raises:
            PadSpent: the peer left too many gaps in its pad.
        """
        for part in spent:
            if self._lent.pop(part.pad_id, None) is not None:
                continue  # the whole pad counts as served
            row = self._theirs(part.pad_id)
            assert row is not None  # it was looked at in this transaction
            reached, runs, whole, _, _ = row
            begin, end = part.offset, part.offset + len(part.key)
            reached, runs = _merge(reached, [*runs, (begin, end)])
            if len(runs) > MAX_AHEAD:
                raise PadSpent(f"expected at most {MAX_AHEAD} gaps in a pad, got more")
            self._move(part.pad_id, reached, runs, whole)
            self._served.setdefault(part.pad_id, []).append((begin, end))

    def used(self, pad_id: bytes) -> None:
        """A message came under a pad of theirs: if it was for that one alone, it goes."""
        self._retire("single = 1 AND ours = 0 AND pad_id = ?", (pad_id,))

    def refuse(self, pad_id: bytes) -> None:
        """The peer has not got a pad of ours: nothing more goes under it."""
        self._retire("confirmed = 0 AND ours = 1 AND pad_id = ?", (pad_id,))

    def give_up(self) -> None:
        """Nobody will be talked with under these pads any more: all of them go."""
        self._retire("1", ())

    def retire(self, *, ours: bool) -> None:
        """Nothing is said any more under those that we send under, or under those that they do."""
        self._retire("ours = ?", (ours,))

    def confirm(self, pad_id: bytes) -> None:
        """The peer has opened something under a pad of ours."""
        self._cursor.execute(
            "UPDATE pads SET confirmed = 1 WHERE pad_id = ? AND contact = ? AND ours = 1",
            (pad_id, self._contact),
        )

    def _retire(self, which: str, values: tuple[object, ...]) -> None:
        for name, whole in self._cursor.execute(
            f"SELECT pad_id, length FROM pads WHERE contact = ? AND retired = 0 AND {which}",  # noqa: S608 - a literal of this file
            (self._contact, *values),
        ).fetchall():
            self._cursor.execute("UPDATE pads SET retired = 1 WHERE pad_id = ?", (name,))
            self._served.setdefault(name, [])
            self._finished[name] = whole

    def knows(self, pad_id: bytes) -> bool:
        """Whether a pad is, or was, here."""
        found = self._cursor.execute("SELECT 1 FROM pads WHERE pad_id = ?", (pad_id,)).fetchone()
        return found is not None

    def left(self) -> tuple[int, int]:
        """Bytes that are left under which we send, and in how many pads."""
        total, pads = self._cursor.execute(
            "SELECT coalesce(sum(length - reached), 0), count(*) FROM pads"
            " WHERE contact = ? AND ours = 1 AND retired = 0 AND single = 0",
            (self._contact,),
        ).fetchone()
        return total, pads

    def rooms(self) -> list[int]:
        """Bytes of text for which each pad of ours has room, in the order in which they serve.

        What the next step of the ratchet may mix in is left out of the first that has it.
        """
        rows = self._cursor.execute(
            "SELECT length - reached, confirmed FROM pads WHERE contact = ? AND ours = 1"
            " AND retired = 0 AND single = 0 ORDER BY number",
            (self._contact,),
        ).fetchall()
        mixed = next((at for at, (left, sure) in enumerate(rows) if sure and left >= MIX_BYTES), -1)
        return [
            left - OVERHEAD_BYTES - (MIX_BYTES if at == mixed else 0)
            for at, (left, _) in enumerate(rows)
        ]

    def overwrite(self) -> None:
        """Overwrite what has served, now that the transaction is durable."""
        for pad_id, runs in self._served.items():
            if pad_id in self._finished:
                self._files.destroy(pad_id, self._finished[pad_id])
            else:
                self._files.erase(pad_id, runs)

    def _part(self, pad_id: bytes, offset: int, length: int, source: str) -> Slice:
        point = self._files.read(pad_id, 0, POINT_BYTES)
        return Slice(pad_id, offset, point, self._files.read(pad_id, offset, length), source)

    def _theirs(self, pad_id: bytes) -> tuple[int, list[tuple[int, int]], int, str, bool] | None:
        row = self._cursor.execute(
            "SELECT reached, ahead, length, source, retired FROM pads"
            " WHERE pad_id = ? AND contact = ? AND ours = 0",
            (pad_id, self._contact),
        ).fetchone()
        if row is None:
            return None
        reached, ahead, whole, source, retired = row
        return reached, list(_RUN.iter_unpack(ahead)), whole, source, bool(retired)

    def _move(self, pad_id: bytes, reached: int, runs: list[tuple[int, int]], whole: int) -> None:
        # What is left cannot carry even an empty message: r goes, too.
        retired = whole - reached < OVERHEAD_BYTES
        if retired:
            self._finished[pad_id] = whole
        ahead = b"".join(_RUN.pack(*run) for run in runs)
        self._cursor.execute(
            "UPDATE pads SET reached = ?, ahead = ?, retired = ? WHERE pad_id = ?",
            (reached, ahead, retired, pad_id),
        )


def erase_served(cursor: sqlite3.Cursor, files: PadFiles) -> None:
    """Overwrite what a crash may have left: what has served, and pads never taken in."""
    known = {pad_id for (pad_id,) in cursor.execute("SELECT pad_id FROM pads").fetchall()}
    files.keep_only(known)
    for pad_id, reached, ahead, length, retired in cursor.execute(
        "SELECT pad_id, reached, ahead, length, retired FROM pads"
    ).fetchall():
        if retired:
            files.destroy(pad_id, length)
        else:
            runs = [(POINT_BYTES, reached), *_RUN.iter_unpack(ahead)]
            files.erase(pad_id, runs, durable=True)


def _merge(reached: int, runs: list[tuple[int, int]]) -> tuple[int, list[tuple[int, int]]]:
    """The first byte that has not served, and the runs beyond it that have."""
    ahead: list[tuple[int, int]] = []
    for begin, end in sorted(runs):
        if begin <= reached:
            reached = max(reached, end)
        elif ahead and begin <= ahead[-1][1]:
            ahead[-1] = (ahead[-1][0], max(ahead[-1][1], end))
        else:
            ahead.append((begin, end))
    return reached, ahead
