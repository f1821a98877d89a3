"""The site's log as a console shows it: read, verified by the site's policy, entries with proofs.

The console believes nothing that the log says: what is shown was signed and cosigned as the policy
asks, grew out of what was shown before, and each entry's proof was verified. Pages get the same
proofs, and need not believe the console.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from msgspec import to_builtins

from bellwire.base.errors import RefusedError
from bellwire.console.errors import RecordAbsent, RecordRefused
from bellwire.console.views_record import (
    RecordConsistency,
    RecordEntries,
    RecordEntry,
    RecordView,
    WitnessView,
)
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.model import Entry
from bellwire.ledger.errors import LogAltered, PolicyUnusable, RangeUnusable
from bellwire.ledger.policy import (
    MAX_POLICY_BYTES,
    Policy,
    TrustedCheckpoint,
    parse_policy,
    verify_checkpoint,
)
from bellwire.ledger.proofs import verify_consistency, verify_inclusion
from bellwire.ledger.proving import Prover
from bellwire.ledger.reading import Fetch, LogReader
from bellwire.ledger.text import to_base64
from bellwire.ledger.tiles import TILE_WIDTH, Tile, TileHashes
from bellwire.ledger.tree import EMPTY_ROOT, leaf_hash

MOST_LOOKED_AT: Final = 2048
"""Entries that one request looks through for those of its filters: eight bundles."""
MOST_WAITING: Final = 16
"""Requests for the record that wait for each other."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries.

    Attributes:
        limit: At most so many.
        size: Of the tree that proofs are for; None: as it is now.
        start: Look from this number on.
        before: Else look back from this one; None: from the end.
        kind: Those of this kind alone.
        writer: Those of this writer alone.
        handle: Those about this handle alone.
    """

    limit: int
    size: int | None = None
    start: int | None = None
    before: int | None = None
    kind: str | None = None
    writer: str | None = None
    handle: str | None = None

    def takes(self, entry: Entry) -> bool:
        """Whether the filters let it pass."""
        return (
            self.kind in {None, entry.__struct_config__.tag}
            and self.writer in {None, entry.writer}
            and self.handle in {None, getattr(entry, "handle", None)}
        )


class Record:
    """One log.

    Args:
        fetch: The way to it; called in threads.
        policy: File of whom this site trusts, read anew for each request.
    """

    def __init__(self, fetch: Fetch, policy: Path) -> None:
        self._reader = LogReader(fetch)
        self._policy = policy
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._last: Checkpoint | None = None

    async def now(self) -> RecordView:
        """What the log has signed.

        Raises:
            RecordAbsent, UnreachableError: it, or the policy, cannot be read now.
            RecordRefused: a signature, a witness or a proof is missing, or does not hold.
        """
        return await self._in_turn(self._now)

    async def entries(self, wanted: Wanted) -> RecordEntries:
        """Entries with their proofs.

        Raises:
            RangeUnusable: the log has not so many.
            RecordAbsent, UnreachableError, RecordRefused: as `now`.
        """
        return await self._in_turn(lambda: self._entries(wanted))

    async def consistency(self, old: int, size: int | None) -> RecordConsistency:
        """The proof that a tree begins with an older one.

        Raises:
            RangeUnusable: `old` is larger, or the log has not so many.
            RecordAbsent, UnreachableError, RecordRefused: as `now`.
        """
        return await self._in_turn(lambda: self._consistency(old, size))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise RecordAbsent("too many ask for the record at once")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        except RefusedError as error:
            raise RecordRefused(str(error)) from error
        finally:
            self._waiting -= 1

    # In a thread, one at a time

    def _now(self) -> RecordView:
        text, policy = self._trusted()
        note = self._reader.note()
        found = self._verified(verify_checkpoint(note, policy))
        checkpoint = found.checkpoint
        return RecordView(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=to_base64(checkpoint.root),
            checkpoint=note.encode().decode(),
            policy=text,
            witnesses=[WitnessView(each.name, float(each.time)) for each in found.witnesses],
        )

    def _entries(self, wanted: Wanted) -> RecordEntries:
        now = self._checkpoint()
        prover = self._prover(now.size)
        tree = _tree(prover, now, wanted.size)
        found, first, end = self._look(now.size, tree.size, wanted)
        shown = []
        for number, encoded, entry in found:
            proof = prover.inclusion(number, tree.size)
            verify_inclusion(leaf_hash(encoded), number, tree.size, proof, tree.root)
            shown.append(_shown(number, encoded, entry, proof))
        return RecordEntries(tree.size, to_base64(tree.root), shown, first, end)

    def _consistency(self, old: int, size: int | None) -> RecordConsistency:
        now = self._checkpoint()
        prover = self._prover(now.size)
        newer = now.size if size is None else _within(now, size)
        proof = prover.consistency(old, newer)
        return RecordConsistency(old, newer, [to_base64(each) for each in proof])

    def _look(
        self, size: int, end: int, wanted: Wanted
    ) -> tuple[list[tuple[int, bytes, Entry]], int, int]:
        """Entries below `end` that are wanted, ascending; first and end of what was looked at."""
        upward = wanted.start is not None
        if wanted.start is not None:
            begin = min(wanted.start, end)
            walk = self._reader.entries(size, begin, min(begin + MOST_LOOKED_AT, end))
        else:
            begin = end if wanted.before is None else min(wanted.before, end)
            walk = self._back(size, begin, max(0, begin - MOST_LOOKED_AT))
        found, at = [], begin
        for number, encoded in walk:
            at = number + 1 if upward else number
            entry = decode(encoded)
            if wanted.takes(entry):
                found.append((number, encoded, entry))
                if len(found) == wanted.limit:
                    break
        return (found, begin, at) if upward else (found[::-1], at, begin)

    def _back(self, size: int, end: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """(number, bytes) of entries below `end` down to `stop`, a bundle at a time."""
        while end > stop:
            start = max((end - 1) // TILE_WIDTH * TILE_WIDTH, stop)
            yield from reversed(list(self._reader.entries(size, start, end)))
            end = start

    def _checkpoint(self) -> Checkpoint:
        _, policy = self._trusted()
        return self._verified(verify_checkpoint(self._reader.note(), policy)).checkpoint

    def _verified(self, found: TrustedCheckpoint) -> TrustedCheckpoint:
        """What was signed, if it grew out of what was shown before."""
        now, last = found.checkpoint, self._last
        if last is not None and last.origin == now.origin:
            if now.size < last.size:
                raise LogAltered(
                    f"expected {now.origin} with the {last.size:,} entries that it had, or more,"
                    f" got {now.size:,}"
                )
            proof = self._prover(now.size).consistency(last.size, now.size)
            verify_consistency(last.size, now.size, proof, last.root, now.root)
        self._last = now
        return found

    def _trusted(self) -> tuple[str, Policy]:
        try:
            with self._policy.open("rb") as file:
                data = file.read(MAX_POLICY_BYTES + 1)
            return data.decode("utf-8", "replace"), parse_policy(data)
        except (OSError, PolicyUnusable) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise RecordAbsent(f"whom to trust is not known: {why}") from error

    def _prover(self, size: int) -> Prover:
        at_hand: dict[Tile, TileHashes] = {}

        def read(tile: Tile) -> TileHashes:
            if tile not in at_hand:
                at_hand[tile] = self._reader.tile(tile, size)
            return at_hand[tile]

        return Prover(read)


def _tree(prover: Prover, now: Checkpoint, size: int | None) -> Checkpoint:
    """The tree of so many entries, from which the one that was signed grew."""
    if size is None or _within(now, size) == now.size:
        return now
    root = prover.root(size) if size else EMPTY_ROOT
    verify_consistency(size, now.size, prover.consistency(size, now.size), root, now.root)
    return Checkpoint(now.origin, size, root)


def _within(now: Checkpoint, size: int) -> int:
    if size > now.size:
        raise RangeUnusable(f"size: expected at most {now.size}, got {size}")
    return size


def _shown(number: int, encoded: bytes, entry: Entry, proof: tuple[bytes, ...]) -> RecordEntry:
    return RecordEntry(
        number=number,
        kind=str(entry.__struct_config__.tag),
        at=entry.at / 1000,
        writer=entry.writer,
        handle=getattr(entry, "handle", None),
        content=to_builtins(entry),
        leaf=to_base64(encoded),
        proof=[to_base64(each) for each in proof],
    )
