"""Bringing a checkpoint onto a chain, once, however often it is tried.

    (none) ── prepare, keep ──> sent ── in a block ──> included ── deep enough ──> final
                                 ^ │                       │
                                 │ └── void: sign anew     └── taken back ──> sent
                                 └──── waited long: offer more, in the same slot

What always holds: what is sent is kept before; an anchor gets another slot only once none of its
attempts can come into the chain any more; and no log is anchored that does not grow out of what was
anchored of it before.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import structlog

from bellwire.base.clock import Clock
from bellwire.ledger.anchors.anchor import anchor_of, verify_anchor
from bellwire.ledger.anchors.chain import Purse, Stage
from bellwire.ledger.anchors.errors import (
    AnchorTooDear,
    ChainRefused,
    ChainUnreachable,
)
from bellwire.ledger.anchors.journal import MAX_ATTEMPTS, Journal, Record
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.tiles import Tile, TileHashes

FIRST_WAIT_S: Final = 1.0
MOST_WAIT_S: Final = 60.0

_log = structlog.get_logger(__name__)


def waits() -> Iterator[float]:
    """How long to wait before each further look, in seconds: doubling, to a minute."""
    wait = FIRST_WAIT_S
    while True:
        yield wait
        wait = min(2 * wait, MOST_WAIT_S)


class Anchoring:
    """Anchors of one account on one chain.

    Args:
        purse: The account and its chain.
        journal: What was done; of this process alone.
        clock: Seconds since 1970.
        sleep: Waits so many seconds.
    """

    def __init__(
        self, purse: Purse, journal: Journal, clock: Clock, sleep: Callable[[float], None]
    ) -> None:
        self._purse = purse
        self._journal = journal
        self._clock = clock
        self._sleep = sleep

    def unfinished(self) -> list[Record]:
        """Anchors of this account that are not final yet."""
        own = self._purse.name, self._purse.sender
        return [
            each
            for each in self._journal.all()
            if (each.chain, each.sender) == own and each.stage is not Stage.FINAL
        ]

    def begin(
        self, checkpoint: Checkpoint, read: Callable[[Tile], TileHashes]
    ) -> tuple[Record, bool]:
        """Sign and keep the anchor of a checkpoint, unless there is one; nothing is sent yet.

        Args:
            checkpoint: Whose signatures hold.
            read: Gives the log's tiles, not trusted.

        Returns:
            The anchor, and whether it is new.

        Raises:
            AnchorMismatch: the log has another history than was anchored on this chain.
            AnchorUnusable: the log is empty.
            AnchorTooDear, ChainRefused, ChainUnreachable, ChainUntrue: by the chain.
        """
        anchor = anchor_of(checkpoint)
        before = [
            each
            for each in self._journal.all()
            if (each.chain, each.origin) == (self._purse.name, checkpoint.origin)
        ]
        if before:
            last = max(before, key=lambda each: each.size)
            verify_anchor(last.anchor, checkpoint, read)
            if last.size == checkpoint.size:
                return last, False
        attempt = self._purse.prepare(anchor, int(self._clock()))
        record = Record(
            chain=self._purse.name,
            sender=self._purse.sender,
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=checkpoint.root,
            stage=Stage.SENT,
            attempts=(attempt,),
        )
        self._journal.keep(record)
        return record, True

    def finish(self, record: Record, within_s: float, enough: Stage = Stage.FINAL) -> Record:
        """Send an anchor and follow it, with pauses that grow.

        Args:
            record: From `begin` or `unfinished`.
            within_s: How long to try; what is not there then goes on at the next call.
            enough: `sent` returns once a node has taken it, `included` once it is in a block.

        Returns:
            As far as it came: at least `enough`, or as far as the time sufficed.

        Raises:
            ChainUnreachable, ChainRefused, AnchorTooDear: still, when the time was over.
            ChainUntrue: the node is of another chain.
        """
        until = self._clock() + within_s
        for wait in waits():
            trouble: ChainUnreachable | ChainRefused | AnchorTooDear | None = None
            try:
                record = self._step(record)
                if record.stage in _AT_LEAST[enough]:
                    return record
            except (ChainUnreachable, ChainRefused, AnchorTooDear) as error:
                _log.warning("anchor delayed", chain=self._purse.name, reason=str(error))
                trouble = error
            left = until - self._clock()
            if left <= 0:
                if trouble is not None:
                    raise trouble
                return record
            self._sleep(min(wait, left))
        raise AssertionError("waits never end")

    def _step(self, record: Record) -> Record:
        """Look how far an anchor is, and do what is next."""
        now = int(self._clock())
        sight = self._purse.look(record.attempts)
        attempts = record.attempts
        if sight.stage is Stage.VOID:
            attempts = (self._purse.prepare(record.anchor, now),)
        elif sight.stage is Stage.SENT and self._should_raise(record, now):
            with contextlib.suppress(AnchorTooDear):  # what was offered may still be taken
                attempts = (*attempts, self._purse.prepare(record.anchor, now, attempts[-1]))
        stage = Stage.SENT if sight.stage is Stage.VOID else sight.stage
        if (stage, sight.place, attempts) != (record.stage, record.place, record.attempts):
            record = msgspec.structs.replace(
                record, stage=stage, place=sight.place, attempts=attempts
            )
            self._journal.keep(record)
        if stage is Stage.SENT:
            self._purse.send(attempts[-1])
        return record

    def _should_raise(self, record: Record, now: int) -> bool:
        free = len(record.attempts) < MAX_ATTEMPTS
        return free and self._purse.may_raise(record.attempts[-1], now)


_AT_LEAST: Final = {
    Stage.SENT: frozenset({Stage.SENT, Stage.INCLUDED, Stage.FINAL}),
    Stage.INCLUDED: frozenset({Stage.INCLUDED, Stage.FINAL}),
    Stage.FINAL: frozenset({Stage.FINAL}),
}
