"""Watching a log: is it still what it was, does everybody see the same, whose keys change.

A monitor reads every entry itself and hashes it, so it need not believe a proof: the root that it
comes to is the checkpoint's, or the log is not what it signed. What it has read it reads again,
piece by piece, for ever: a byte that is changed later is found in the next round. Checkpoints that
were seen elsewhere are compared; two that one log signed and that do not grow out of each other are
a split view, which the two notes prove to anybody.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bellwire.base import handles
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.entries.fields import PublicKey
from bellwire.ledger.entries.model import Entry, Registration, Revocation
from bellwire.ledger.errors import LogAltered
from bellwire.ledger.growing import Edge
from bellwire.ledger.proving import Prover
from bellwire.ledger.reading import Altered, LogReader

MOST_TOLD: Final = 100
"""Findings of a kind that are told one by one."""


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it must be.

    Attributes:
        what: `altered`, `root`, `split view`, `entry`, `missing`, `your name` or `their name`.
        said: In words.
        number: Of the entry, where it is one.
    """

    what: str
    said: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a handle is: what is looked after.

    Attributes:
        handle: In its one form.
        digests: `key_digest` of each public key that is theirs.
        since: The first entry that is looked at.
        ours: Whether it is ourselves.
    """

    handle: str
    digests: frozenset[str]
    since: int = 0
    ours: bool = True

    def look(self, number: int, entry: Registration | Revocation) -> Finding | None:
        """What an entry, of this handle or of one that looks like it, does to its holder."""
        if number < self.since:
            return None
        what, whose = ("your name", "yours") if self.ours else ("their name", "those you know")
        said = None
        if isinstance(entry, Revocation):
            if entry.handle == self.handle and not self.digests.isdisjoint(entry.keys):
                said = f"keys of {self.handle} were revoked"
        elif entry.handle != self.handle:
            said = f"{entry.handle}, which looks like {self.handle}, was registered"
        elif not all(key_digest(each) in self.digests for each in entry.keys):
            said = f"keys of {self.handle} were registered that are not {whose}"
        return None if said is None else Finding(what, said, number)


def key_digest(key: PublicKey) -> str:
    """SHA-256 of a public key, as a revocation names it."""
    return hashlib.sha256(key.key).hexdigest()


def require_none(checkpoint: Checkpoint, findings: Sequence[Finding]) -> None:
    """Return only if nothing was found.

    Raises:
        LogAltered: something was; the first of it is said.
    """
    if findings:
        raise LogAltered(
            f"expected {checkpoint.origin} as it was signed, got {len(findings)} findings, the"
            f" first: {findings[0].said}",
            hint="Keep what was printed, and both checkpoints where there are two.",
        )


class Monitor:
    """Watches one log.

    Args:
        reader: Its way to the log.
        holders: Whose handles to look after.

    Attributes:
        edge: How far the log was read.
        findings: What was found so far.
    """

    def __init__(self, reader: LogReader, holders: Iterable[Holder] = ()) -> None:
        self.edge = Edge()
        self.findings: list[Finding] = []
        self._reader = reader
        self._holders: defaultdict[str, list[Holder]] = defaultdict(list)
        for each in holders:
            self._holders[handles.skeleton(each.handle)].append(each)
        self._next: dict[tuple[str, str], int] = {}
        self._ahead: dict[Checkpoint, int] = {}
        self._told: set[Altered] = set()
        self._again = 0

    def follow(self, checkpoint: Checkpoint) -> None:
        """Read what was appended up to a checkpoint whose signatures hold, and compare.

        Raises:
            TileMalformed: a tile or a bundle is not what it must be.
        """
        if checkpoint.size < self.edge.size:
            self._tell("split view", f"it shows {checkpoint.size:,} entries, and had more before")
            return
        earlier, self.findings = self.findings, []
        edge, altered = self._reader.follow(checkpoint.size, self.edge, self._look)
        # What was altered comes first: the rest may follow from it.
        of_entries, self.findings = self.findings, earlier
        self._altered(altered, signed=edge.root == checkpoint.root)
        self.findings += of_entries
        if edge.root != checkpoint.root:
            self._tell(
                "root",
                f"the {checkpoint.size:,} entries that it shows are not those that it signed",
            )
        self.edge = edge
        for other in [each for each in self._ahead if each.size <= checkpoint.size]:
            del self._ahead[other]
            self.compare(checkpoint, other)

    def read_again(self, checkpoint: Checkpoint, entries: int) -> None:
        """Read a piece of what was followed to once more; the next call takes the next piece.

        Args:
            checkpoint: To which it was followed last.
            entries: How many at least.

        Raises:
            TileMalformed: a tile is not what it must be.
        """
        if checkpoint.size:
            start = self._again if self._again < checkpoint.size else 0
            self._again, altered = self._reader.reread(checkpoint, start, entries)
            self._altered(altered, signed=False)

    def compare(self, shown: Checkpoint, other: Checkpoint) -> None:
        """Compare two checkpoints, of which the signatures of both hold.

        Args:
            shown: By the log, and followed to.
            other: Seen elsewhere, or earlier. One of more entries is compared when the log has
                come as far, if `overdue` does not tell of it before.
        """
        if other.size > shown.size:
            if len(self._ahead) < MOST_TOLD:
                self._ahead.setdefault(other, 0)
            return
        root = Prover(lambda tile: self._reader.tile(tile, shown.size)).root(other.size)
        if root != other.root:
            self._tell(
                "split view",
                f"it signed two histories of {other.size:,} entries: keep both checkpoints",
            )

    def overdue(self, shown: Checkpoint, patience: int) -> None:
        """Tell of what was seen elsewhere and does not come here; once a round.

        Args:
            shown: By the log.
            patience: Rounds in which a log, or a mirror of it, may be behind.
        """
        for other in self._ahead:
            self._ahead[other] += 1
        late = [other for other, rounds in self._ahead.items() if rounds > patience]
        if late:
            self._tell(
                "split view",
                f"elsewhere it has {max(each.size for each in late):,} entries, and here"
                f" {shown.size:,}: it shows you an older state",
            )

    def _altered(self, found: list[Altered], *, signed: bool) -> None:
        """Tell what was found, once each; `signed` if the entries are those that were signed."""
        new = [each for each in found if each not in self._told]
        self._told.update(new[:MOST_TOLD])
        for each in new[:MOST_TOLD]:
            are = "is" if each.count == 1 else "are"
            why = f"{each} {are} not what the log hashed"
            if signed and not each.unreadable:
                why = f"{each} {are} as signed, and the log's own hash of it is not"
            self._tell("altered", why, each.number)
        if len(new) > MOST_TOLD:
            self._tell("altered", f"and {len(new) - MOST_TOLD:,} more")

    def _look(self, number: int, encoded: bytes) -> None:
        try:
            entry = decode(encoded)
        except EntryMalformed as error:
            self._tell("entry", str(error), number)
            return
        self._count(number, entry)
        if isinstance(entry, Registration | Revocation):
            self.findings += self._concerning(number, entry)

    def _concerning(self, number: int, entry: Registration | Revocation) -> Iterator[Finding]:
        if self._holders:
            for holder in self._holders.get(handles.skeleton(entry.handle), ()):
                if (found := holder.look(number, entry)) is not None:
                    yield found

    def _count(self, number: int, entry: Entry) -> None:
        writer = entry.writer, entry.epoch
        expected = self._next.get(writer, 1)
        if entry.sequence != expected:
            self._tell(
                "missing",
                f"{entry.writer} goes on with {entry.sequence}, expected {expected}",
                number,
            )
        self._next[writer] = entry.sequence + 1

    def _tell(self, what: str, said: str, number: int | None = None) -> None:
        if sum(each.what == what for each in self.findings) <= MOST_TOLD:
            self.findings.append(Finding(what, said, number))
