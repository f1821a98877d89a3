"""Whose keys a handle has, by a log that is read whole.

That an entry is in a log does not make it the latest. So every entry up to a checkpoint is read and
hashed; the root that comes out is the checkpoint's, or nothing is told. Of the registrations of a
handle, the newest counts that was admitted and of which no key was revoked, before it or after.

Entries: spec/ledger.md, 3.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from bellwire.base import handles
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.fields import KeyAlgorithm
from bellwire.ledger.entries.model import Registration, Revocation
from bellwire.ledger.errors import HandleAbsent, LogAltered
from bellwire.ledger.growing import Edge
from bellwire.ledger.monitor import key_digest
from bellwire.ledger.reading import LogReader

MOST_ALIKE: Final = 20
"""Handles that look like the wanted one, which are told."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a log says of a handle.

    Attributes:
        handle: Whose.
        number: Of the entry that counts.
        entry: That entry.
        encoded: Its bytes, as the log has them.
        earlier: Numbers of registrations that do not count any more, ascending.
        revocations: Numbers of entries that revoked keys, ascending.
        alike: Other handles that look like it, sorted.
    """

    handle: str
    number: int
    entry: Registration
    encoded: bytes
    earlier: tuple[int, ...]
    revocations: tuple[int, ...]
    alike: tuple[str, ...]

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each public key, by algorithm."""
        return {each.algorithm.value: key_digest(each) for each in self.entry.keys}

    def key(self, algorithm: KeyAlgorithm) -> bytes | None:
        """The public key of an algorithm; None: they have none."""
        found = [each.key for each in self.entry.keys if each.algorithm is algorithm]
        return found[0] if found else None


def find(
    reader: LogReader, checkpoint: Checkpoint, handle: str, writers: Collection[str] = ()
) -> Known:
    """Read a log up to a checkpoint, and say which keys of a handle count.

    Args:
        reader: Of the log, not trusted.
        checkpoint: Whose signatures and cosignatures hold.
        handle: In its one form.
        writers: Whose registrations and revocations count; none named: everybody's.

    Raises:
        HandleAbsent: nobody is admitted under this handle, or all keys were revoked.
        LogAltered: the log does not show what it signed.
        EntryMalformed: an entry cannot be read, so that nobody knows what it says.
        TileMalformed: a tile is not what it must be.
    """
    there = Reading(handle, writers)
    follow(reader, checkpoint, Edge(), [there])
    return there.known()


def follow(
    reader: LogReader, checkpoint: Checkpoint, edge: Edge, readings: "Collection[Reading]"
) -> Edge:
    """Read what a log has after `edge`, for each handle that is looked for; how far it was read.

    Raises:
        LogAltered: the log does not show what it signed; what was read of it does not count.
        EntryMalformed, TileMalformed: as `find`.
    """

    def take(number: int, encoded: bytes) -> None:
        entry = decode(encoded)
        if isinstance(entry, Registration | Revocation):
            for each in readings:
                each.take(number, entry, encoded)

    edge, altered = reader.follow(checkpoint.size, edge, take)
    if altered or edge.root != checkpoint.root:
        what = f"{altered[0]} altered" if altered else "other entries"
        raise LogAltered(f"expected {checkpoint.origin} as it was signed, got {what}")
    return edge


class Reading:
    """What was read of one handle so far.

    Args:
        handle: In its one form.
        writers: Whose entries count; none named: everybody's.
    """

    def __init__(self, handle: str, writers: Collection[str] = ()) -> None:
        self._handle, self._writers = handle, frozenset(writers)
        self._skeleton = handles.skeleton(handle)
        self._joined: list[tuple[int, Registration, bytes]] = []
        self._revoked: set[str] = set()
        self._revocations: list[int] = []
        self._alike: set[str] = set()

    def take(self, number: int, entry: Registration | Revocation, encoded: bytes) -> None:
        """Note an entry, if it is about this handle or one that looks like it."""
        if self._writers and entry.writer not in self._writers:
            return
        if entry.handle != self._handle:
            if handles.skeleton(entry.handle) == self._skeleton and len(self._alike) < MOST_ALIKE:
                self._alike.add(entry.handle)
        elif isinstance(entry, Revocation):
            self._revoked.update(entry.keys)
            self._revocations.append(number)
        elif entry.verdict == "secure":
            self._joined.append((number, entry, encoded))

    @property
    def joined(self) -> list[tuple[int, Registration]]:
        """Number and content of each registration, whether it counts or not, ascending."""
        return [(number, entry) for number, entry, _ in self._joined]

    def known(self) -> Known:
        """What counts; HandleAbsent as `find`."""
        counts = [
            each
            for each in self._joined
            if self._revoked.isdisjoint(key_digest(key) for key in each[1].keys)
        ]
        if not counts:
            were = f", and {len(self._joined)} whose keys were revoked" if self._joined else ""
            raise HandleAbsent(
                f"expected somebody who is admitted as {self._handle}, got nobody{were}"
            )
        number, entry, encoded = counts[-1]
        return Known(
            handle=self._handle,
            number=number,
            entry=entry,
            encoded=encoded,
            earlier=tuple(at for at, _, _ in self._joined if at != number),
            revocations=tuple(self._revocations),
            alike=tuple(sorted(self._alike)),
        )
