"""What follows from each message of the peering, sans-I/O (spec/kme-peering.md).

A session is one connection. It begins with both sides' SYNC; before the first of a node's life no
key is handed out, for only the peer can tell that a store was put back to an earlier state. Where
the two pools disagree, both void all bits and begin a new epoch: keys are lost, none is repeated.

Calls wait for the disk and may take its time; all are made from one thread at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bellwire.base.clock import Clock
from bellwire.keys.errors import PeeringBroken
from bellwire.keys.grants import LOCAL, Grants
from bellwire.keys.key_ids import MAX_GRANT
from bellwire.keys.lives import AGREEMENT_STEPS, Agreement, News
from bellwire.keys.peering.messages import (
    LADDER,
    MAX_RANGES,
    VERSION,
    Agreed,
    Declined,
    Give,
    Issued,
    Message,
    Propose,
    Ready,
    Saes,
    Sync,
    Took,
)
from bellwire.keys.pool import Pool

UNEVEN = 4
"""A side that has so many times less than the other gets half of what the other has more."""


@dataclass(slots=True)
class Peer:
    """What is known of the peer's KME; it outlives a connection.

    Attributes:
        kme: Its id; empty before the first SYNC.
        saes: The SAEs of its site.
        agreement: Whether the two pools agree, as far as was found since this node started.
    """

    kme: str = ""
    saes: frozenset[str] = frozenset()
    agreement: Agreement = Agreement.UNKNOWN

    @property
    def met(self) -> bool:
        """Whether keys of the link may leave."""
        return self.agreement is Agreement.ALIKE

    def learn(self, news: News) -> None:
        """The agreement follows its table."""
        self.agreement = AGREEMENT_STEPS[self.agreement, news]


class Session:
    """One connection of the peering.

    Args:
        kme: Our KME's id.
        pool: Ours, loaded.
        grants: Ours, loaded.
        peer: Is kept up to date.
        serves: Whether an SAE is of our site.
        clock: Dates what the peer issued.
        answered: Called with a grant's number and whether the peer has it.
        fenced: Called when the pools were voided, with the reason.
    """

    def __init__(
        self,
        kme: str,
        pool: Pool,
        grants: Grants,
        peer: Peer,
        *,
        serves: Callable[[str], bool],
        clock: Clock,
        answered: Callable[[int, bool], None],
        fenced: Callable[[str], None],
    ) -> None:
        self._kme = kme
        self._pool = pool
        self._grants = grants
        self._peer = peer
        self._serves = serves
        self._clock = clock
        self._answered = answered
        self._fenced = fenced
        self._ours: Sync | None = None  # said, and not compared yet
        self._told = (-1, -1)
        self._peer_free: int | None = None
        self._shared_at = 0
        self._steps: dict[int, int] = {}

    def start(self) -> list[Message]:
        """What this side says first."""
        return [self._sync(fence=False)]

    def saes(self, names: frozenset[str]) -> list[Message]:
        """Say who is of our site."""
        return [Saes(sorted(names))]

    def propose(self, number: int) -> list[Message]:
        """Ask the peer to take in an own grant."""
        grant = self._grants.numbered(own=True, number=number)
        return [] if grant is None else [Propose(number, grant.master, grant.slaves)]

    def block_ready(self, block: int) -> list[Message]:
        """Say that a block is ready here, and compare if the peer has said so before."""
        stop = dict(self._pool.ladder(LADDER)).get(block)
        if stop is None:
            return []
        said = self._steps.pop(block, None)
        if said is not None:
            return [Ready(block, stop), *self._compare(block, stop, said)]
        return [Ready(block, stop)]

    def doubt(self) -> list[Message]:
        """The peer has told of a grant that is not here: this store was put back; begin anew."""
        self._peer.learn(News.MISNUMBERED)
        return [self._sync(fence=True)]

    def report(self) -> list[Message]:
        """Say what left since the last time, and share what is left; nothing if nothing changed."""
        self._pool.exchange.heed_others()
        marks = self._pool.marks
        state = marks.sequence, self._pool.free_units
        if state == self._told or not self._peer.met:
            return []
        self._told = state
        ranges = self._pool.exchange.new_issues()
        said: list[Message] = [
            Issued(state[0], ranges[at : at + MAX_RANGES], state[1], marks.next_unit)
            for at in range(0, max(1, len(ranges)), MAX_RANGES)
        ]
        return said + self._share()

    def _share(self) -> list[Message]:
        """Give the peer segments if it has run short of them and we have not."""
        free, theirs = self._pool.free_units, self._peer_free
        if theirs is None or self._shared_at != self._pool.marks.next_unit:
            return []
        if theirs * UNEVEN >= free or self._pool.exchange.offered():
            return []
        firsts = self._pool.exchange.offer((free - theirs) // 2)
        # What it has now, as far as we know: it says so itself when it changes.
        self._peer_free = None
        return [Give(firsts)] if firsts else []

    def receive(self, message: Message) -> list[Message]:
        """What the peer said, and what is to be answered.

        Raises:
            PeeringBroken: it may not say that.
            StoreError: it could not be kept.
        """
        if not isinstance(message, Sync) and not self._peer.kme:
            raise PeeringBroken("expected SYNC first")
        answer: list[Message] = []
        match message:
            case Sync():
                answer = self._receive_sync(message)
            case Saes(names):
                self._peer.saes = frozenset(names)
            case Ready() | Issued() if self._ours is not None:
                pass  # said before the peer's SYNC, and maybe of an epoch that is over
            case Ready(block, stop):
                answer = self._receive_ready(block, stop)
            case Propose(number, master, slaves):
                answer = [self._receive_proposal(number, master, slaves)]
            case Agreed(number):
                self._answered(number, self._grants.agree(number) is not None)
            case Declined(number, last):
                self._grants.decline(number, last)
                self._answered(number, False)
            case Issued(sequence, ranges, free, next_unit):
                if any(first >= stop for first, stop in ranges):
                    raise PeeringBroken("expected ranges of units, got an empty one")
                self._pool.exchange.take_report(sequence, ranges, self._clock())
                # Of other blocks than ours it says nothing: one side is ready a moment before.
                self._peer_free = free if next_unit == self._pool.marks.next_unit else None
                self._shared_at = next_unit
                answer = self._share()
            case Give(firsts):
                taken = self._pool.exchange.take_over(firsts)
                answer = [Took(taken)] if taken else []
            case Took(firsts):
                self._pool.exchange.given(firsts)
        return answer

    def _sync(self, *, fence: bool) -> Sync:
        self._pool.add()  # what the disk says counts: memory may be behind it, or ahead
        self._ours = Sync(VERSION, self._kme, *self._pool.marks, self._pool.ladder(LADDER), fence)
        return self._ours

    def _receive_sync(self, theirs: Sync) -> list[Message]:
        if theirs.version != VERSION:
            raise PeeringBroken(f"expected version {VERSION} of the peering, got {theirs.version}")
        if self._peer.kme not in ("", theirs.kme) or theirs.kme == self._kme:
            raise PeeringBroken("expected the KME that was there before, and another than ours")
        answer: list[Message] = []
        if self._ours is None:
            answer.append(self._sync(fence=False))
        ours, self._ours = self._ours, None
        assert ours is not None
        self._peer.kme = theirs.kme
        why = _difference(ours, theirs)
        if why is not None:
            self._peer.learn(News.DIFFERENT)
            self._grants.agree_anew()
            self._pool.fence(
                max(ours.epoch, theirs.epoch) + 1,
                max(ours.sequence, theirs.peer_sequence) + 1,
            )
            self._fenced(why)
            # Compared anew: a block may have become ready at one side only meanwhile.
            return [*answer, self._sync(fence=False)]
        common = dict(ours.ladder).keys() & dict(theirs.ladder).keys()
        if common:
            self._pool.confirm(dict(ours.ladder)[max(common)])
        self._steps = {
            block: stop for block, stop in theirs.ladder if block not in dict(ours.ladder)
        }
        for block, stop in self._pool.ladder(LADDER):
            said = self._steps.pop(block, None)
            if said is not None:
                answer += self._compare(block, stop, said)
        self._peer.learn(News.SAME)
        offered = self._pool.exchange.offered()
        return [*answer, Give(offered)] if offered else answer

    def _receive_ready(self, block: int, stop: int) -> list[Message]:
        mine = dict(self._pool.ladder(LADDER)).get(block)
        if mine is not None:
            return self._compare(block, mine, stop)
        self._steps[block] = stop
        while len(self._steps) > LADDER:
            del self._steps[min(self._steps)]
        return []

    def _compare(self, block: int, mine: int, theirs: int) -> list[Message]:
        # Blocks become ready in ascending order: one below that is only the peer's stays so.
        if mine == theirs and not any(other < block for other in self._steps):
            self._pool.confirm(mine)
            return []
        self._peer.learn(News.MISNUMBERED)
        return [self._sync(fence=True)]

    def _receive_proposal(self, number: int, master: str, slaves: tuple[str, ...]) -> Message:
        ours = [slave for slave in slaves if self._serves(slave)]
        if not LOCAL < number < MAX_GRANT or len(set(slaves)) < len(slaves) or not ours:
            return Declined(number, 0)
        if self._grants.accept(number, master, slaves):
            return Agreed(number)
        return Declined(number, self._grants.last(own=False))


def _difference(ours: Sync, theirs: Sync) -> str | None:
    """Why the two pools cannot go on as they are; None if they can. The same at both sides."""
    if ours.fence or theirs.fence:
        return "the two sides numbered the same bits differently"
    if ours.epoch != theirs.epoch:
        return "one side has begun a new epoch"
    if ours.peer_sequence > theirs.sequence or theirs.peer_sequence > ours.sequence:
        return "one side's store was put back to an earlier state"
    one, other = dict(ours.ladder), dict(theirs.ladder)
    common = one.keys() & other.keys()
    if any(one[block] != other[block] for block in common) or _apart(one, other):
        return "the two sides numbered the same bits differently"
    if one and other and not common:
        return "the two sides know none of each other's last blocks"
    return None


def _apart(one: dict[int, int], other: dict[int, int]) -> bool:
    """Whether a side has a block that the other, which has later ones, can never have."""
    if not one or not other:
        return False
    begin, end = max(min(one), min(other)), min(max(one), max(other))
    return any(begin <= block < end for block in one.keys() ^ other.keys())
