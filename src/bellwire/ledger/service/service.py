"""The log at work: entries of many writers share a commit, and what it has become is signed.

Whoever brings entries waits until they are durable, and never for a witness. Entries that come
while a commit is under way are the next one. Checkpoints are signed at a pace, when the log grew,
and shown when as many witnesses have cosigned as the log's policy asks for. All methods are for the
event loop's thread; the store's work is done in one of its own.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog

from bellwire.base.clock import Clock
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.errors import LedgerError
from bellwire.ledger.note import Note
from bellwire.ledger.proving import Prover
from bellwire.ledger.service.errors import BatchUnusable, LogBusy, WriterUnknown
from bellwire.ledger.service.signer import LogSigner
from bellwire.ledger.service.witnesses import Witnesses
from bellwire.ledger.store.store import Appended, Batch, LogStore
from bellwire.ledger.tiles import TILE_WIDTH

MAX_BATCH: Final = TILE_WIDTH
"""Entries that a writer brings at once: an entry bundle."""

MAX_WAITING: Final = 64 * MAX_BATCH
"""Entries that may wait for a commit; more are refused, and brought again."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Waiting:
    batch: Batch
    done: "asyncio.Future[Appended]"


class LogService:
    """A log that is open.

    Args:
        store: Its entries.
        signer: Its keys, and what it signed last.
        clock: Seconds since the epoch.
        every_s: At least so long between two checkpoints, in seconds.
        witnesses: Who is to cosign; None where nobody is.
    """

    def __init__(
        self,
        store: LogStore,
        signer: LogSigner,
        clock: Clock,
        *,
        every_s: float = 1.0,
        witnesses: Witnesses | None = None,
    ) -> None:
        self.store = store
        self.signer = signer
        self.prover = Prover(store.tile)
        self._clock = clock
        self._every_s = every_s
        self.witnesses = witnesses
        self._waiting: list[_Waiting] = []
        self._entries = 0
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "bellwire-log")
        self._grew = asyncio.Event()

    @property
    def note(self) -> Note | None:
        """The checkpoint that is shown; None before the first."""
        return self.signer.shown

    async def add(self, writer: str, entries: Sequence[bytes]) -> Appended:
        """Append entries of a writer, those that are not there yet.

        Args:
            writer: Who brings them, by the token.
            entries: With consecutive numbers of one epoch, at most 256.

        Returns:
            Their numbers in the log.

        Raises:
            EntryMalformed: one is none.
            WriterUnknown: one is in another's name.
            BatchUnusable: too many, none, or they do not follow on each other.
            SequenceGap, SequenceTaken: their numbers are not what comes next.
            LogBusy: the store failed, or too many wait: bring them again.
        """
        batch = checked(writer, entries)
        if self._entries + len(entries) > MAX_WAITING:
            raise LogBusy("too many entries wait for the log; bring them again")
        waiting = _Waiting(batch, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._entries += len(entries)
        if self._task is None:
            self._task = asyncio.create_task(self._commit())
        return await waiting.done

    async def run(self) -> None:
        """Sign what grew, and have it cosigned, until cancelled.

        Raises:
            LogBehind, PathUnusable: the log can sign nothing more.
        """
        while True:
            self._grew.clear()
            head, note = self.store.head, self.signer.note
            if note is None or head.size > self.signer.signed.size:
                note = await asyncio.to_thread(
                    self.signer.sign, head, self.prover.root, self._clock()
                )
            elif (wait_s := self._rest_s(note)) != 0.0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._grew.wait(), wait_s)
                continue
            if self.witnesses is None:
                await self._show(note)
            else:
                await self.witnesses.cosign(note, self._show)
            await asyncio.sleep(self._every_s)

    async def close(self) -> None:
        """Commit what waits, and give the thread up; the store stays open."""
        while self._task is not None:
            await asyncio.wait([self._task])
        self._thread.shutdown()

    def _rest_s(self, note: Note) -> float | None:
        """Seconds in which nothing is to be done if the log does not grow; None: for ever."""
        if self.witnesses is not None:
            return self.witnesses.due_in_s(note)
        return None if self.note == note else 0.0

    async def _show(self, note: Note) -> None:
        await asyncio.to_thread(self.signer.show, note)

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting, self._entries = self._waiting, [], 0
            try:
                outcomes = await loop.run_in_executor(
                    self._thread, self.store.append, [each.batch for each in group]
                )
            except Exception as error:  # nobody is to wait for ever for an answer
                log.error("entries were not stored", error=str(error))  # noqa: TRY400
                for each in group:
                    _settle(each.done, LogBusy("the log's store failed; bring the entries again"))
                continue
            for each, outcome in zip(group, outcomes, strict=True):
                _settle(each.done, outcome)
            self._grew.set()
        self._task = None


def checked(writer: str, entries: Sequence[bytes]) -> Batch:
    """Entries as the store takes them.

    Raises:
        EntryMalformed, WriterUnknown, BatchUnusable: as `LogService.add`.
    """
    if not 1 <= len(entries) <= MAX_BATCH:
        raise BatchUnusable(f"entries: expected 1 to {MAX_BATCH} at once, got {len(entries)}")
    read = [decode(each) for each in entries]
    first = read[0]
    for number, each in enumerate(read, first.sequence):
        if each.writer != writer:
            raise WriterUnknown(f"writer: expected entries of {writer}, got one of {each.writer}")
        if (each.epoch, each.sequence) != (first.epoch, number):
            raise BatchUnusable(
                f"sequence: expected {number} of epoch {first.epoch}, got {each.sequence} of"
                f" {each.epoch}"
            )
    return Batch(writer, first.epoch, first.sequence, entries)


def _settle(done: "asyncio.Future[Appended]", outcome: Appended | LedgerError) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):  # whoever brought them may have left
        if isinstance(outcome, LedgerError):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
