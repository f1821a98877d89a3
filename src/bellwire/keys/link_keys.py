"""The keys of one link at one node: its pool, its grants, and what its peer knows of them.

This is where a door's request, once it is clear whom it concerns, becomes one of the pool's; and
where the peering's news arrive. Everything is for the event loop's thread; what waits for the disk
waits in another.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

import msgspec

from bellwire.base.clock import Clock
from bellwire.base.secret import Secret
from bellwire.keys.committer import Committer
from bellwire.keys.errors import PeerAbsent, PreplacedKeyInvalid, SlaveUnknown, StoreError
from bellwire.keys.grants import Grant, Grants
from bellwire.keys.key_ids import Place
from bellwire.keys.kme import Delivery
from bellwire.keys.lives import News
from bellwire.keys.model import UNIT_BITS
from bellwire.keys.peering.messages import Issued, Message
from bellwire.keys.peering.session import Peer, Session
from bellwire.keys.pool import Pool
from bellwire.keys.requests import Fetch, Leave, Make, Take
from bellwire.keys.store import KeyStore

AGREED_WITHIN_S = 3.0
"""How long the peer may take to agree to a new pair of SAEs: a round trip and a sync."""

ZEROISE_EVERY = 10
"""Calls of `tend` for one that cleans the disk of what left: a log that is emptied has to grow
again, and a commit that makes a file grow costs twice as much as one that writes it over."""

NEVER_MET = "the peer's KME was not met since this node started"

Result = TypeVar("Result")


class Reading(msgspec.Struct, frozen=True):
    """What ids say of the keys of one side's masters.

    Attributes:
        ids: As they came.
        epoch: The one in which they say it.
        places: Where the keys lie; None for an id that is none of that side's.
        grants: Who gets those of each place; None for an unknown one.
        whole: Whether each id says who gets its key.
    """

    ids: bytes
    epoch: int
    places: list[Place | None]
    grants: list[Grant | None]
    whole: bool


class LinkKeys:
    """The keys of one link; `open` before anything else, once the link has its first key.

    Args:
        store: This side's.
        kme: Id of this side's KME.
        check_flow: Raises LinkRed while no key may leave.
        serves: Whether an SAE is of this site.
        clock: Seconds since the epoch.
        sync_s: How long a sync of the store's disk takes, in seconds.
        time_to_live_s: Age at which keys that no slave fetched are given up, in seconds.
    """

    def __init__(
        self,
        store: KeyStore,
        kme: str,
        *,
        check_flow: Callable[[], None],
        serves: Callable[[str], bool],
        clock: Clock,
        sync_s: float = 0.0,
        time_to_live_s: float = 86_400.0,
    ) -> None:
        self.side = store.side
        self.peer = Peer()
        self.fences: list[str] = []
        self._store = store
        self._kme = kme
        self._serves = serves
        self._clock = clock
        self.time_to_live_s = time_to_live_s
        self._pool: Pool = store.pool()
        self._grants: Grants = store.grants()
        self._committer = Committer(self._pool, check_flow, clock, sync_s=sync_s)
        self._answers: dict[int, list[asyncio.Future[bool]]] = {}
        self._session: Session | None = None
        self._say: Callable[[list[Message]], None] | None = None
        self._opened = False
        self._tended = 0
        self._doubting: asyncio.Future[None] | None = None

    # Life

    async def open(self, mac_key: Secret) -> None:
        """Read what the store holds; again is harmless.

        Raises:
            StoreError: it cannot be read.
        """
        if self._opened:
            return

        def load() -> None:
            self._pool.load(mac_key)
            self._grants.load()

        await self._alone(load)
        self._opened = True

    async def close(self) -> None:
        """Serve what waits, and zeroise what left."""
        await self._committer.close()
        if self._opened:
            with contextlib.suppress(StoreError):  # then it happens at the next start
                await asyncio.to_thread(self._pool.clean)

    async def add_block(self, number: int) -> None:
        """A block of the store became ready."""
        if not self._opened:
            return
        await self._alone(self._pool.add)
        self._committer.block_ready()
        if self._session is not None:
            session = self._session
            self._tell(await self._alone(lambda: session.block_ready(number)))

    async def tend(self) -> None:
        """What is due every second: give up what nobody fetched, and at times zeroise what left."""
        if not self._opened:
            return
        if self.peer.met:  # what is given up counts, as what leaves: `Pool.commit` says why
            before = self._clock() - self.time_to_live_s
            await self._alone(lambda: self._pool.expire(before))
        self._tended += 1
        if self._tended % ZEROISE_EVERY == 0:
            await self._alone(self._pool.clean)

    # What there is

    @property
    def stock_bits(self) -> int:
        """Bits that this side may still hand out as master."""
        return self._pool.free_bits

    @property
    def agreed(self) -> tuple[int, int]:
        """The pool's epoch, and the unit in it up to which the peer numbers alike."""
        return self._pool.agreed

    @property
    def takeable_bits(self) -> int:
        """Those that may be handed out now: both sides are known to number them alike."""
        return UNIT_BITS * self._pool.takeable_units if self.peer.met else 0

    def serves(self, sae: str) -> bool:
        """Whether an SAE is of this site."""
        return self._serves(sae)

    # Keys leave

    async def take(self, master: str, slaves: tuple[str, ...], number: int, bits: int) -> Delivery:
        """New keys for a master of this site.

        Raises:
            SlaveUnknown: the peer does not take the grant.
            PeerAbsent, NotEnoughKey, LinkRed, QuotaReached, StoreError: not now.
        """
        grant = await self.grant(master, slaves)
        return await self.submit_take(grant, number, bits)

    def numbered(self, *, own: bool, number: int) -> Grant:
        """A grant that is there.

        Raises:
            PreplacedKeyInvalid: the link has no key yet, and so no grant.
        """
        grant = self._grants.numbered(own=own, number=number)
        if grant is None:
            raise PreplacedKeyInvalid("expected a pre-placed key in the store, got none")
        return grant

    def known_grant(self, master: str, slaves: tuple[str, ...]) -> Grant | None:
        """The grant of a master and slaves if both sides have it."""
        grant = self._grants.find(master, slaves)
        return grant if grant is not None and grant.agreed else None

    def submit_take(
        self, grant: Grant, number: int, bits: int, copied: tuple[str, ...] = ()
    ) -> "asyncio.Future[Delivery]":
        """New keys under a grant that is agreed; errors as `take`, by the future.

        Raises:
            PeerAbsent: the pools were not compared since this node started.
            StoreError: too many requests are waiting.
        """
        self._require_met()
        return self._committer.submit(Take(grant.number, number, bits, grant.master, copied))

    def submit(self, request: Make | Fetch) -> "asyncio.Future[Delivery]":
        """Keys of masters of this site: new ones, or those that wait here.

        Raises:
            PeerAbsent: keys wait, and only the peer can tell that the store was not put back to a
                state in which they had not left yet.
            StoreError: too many requests are waiting.
        """
        if isinstance(request, Fetch):
            self._require_met()
        return self._committer.submit(request)

    def read(self, ids: bytes, *, own: bool) -> "Reading":
        """What ids say, of keys of this side's masters (`own`) or the peer's.

        Raises:
            PeerAbsent: nothing was read of the store yet, as the peer was not met.
        """
        if not self._opened:
            raise PeerAbsent(NEVER_MET)
        master = self.side if own else self.side.peer
        epoch, places = self._pool.read_ids(master, ids)
        numbered = self._grants.numbered
        grants: list[Grant | None] = []
        whole = True
        for place in places:
            grant = None if place is None else numbered(own=own, number=place.grant)
            grants.append(grant)
            if grant is None:
                whole = False
                if place is not None and not own and self._session is not None:
                    # Only the peer makes such ids, and it had our word on the grant before.
                    self._doubting = asyncio.ensure_future(self._doubt(self._session))
        return Reading(ids, epoch, places, grants, whole)

    async def _doubt(self, session: Session) -> None:
        if self.peer.met:
            self._tell(await self._alone(session.doubt))

    def submit_leave(self, caller: str, reading: "Reading") -> "asyncio.Future[Delivery]":
        """Keys that the peer's masters got and granted to the caller, each of them found by `read`.

        Errors by the future: KeyGone (also if the pool was voided since `read`), KeyNotReady,
        LinkRed, StoreError.

        Raises:
            PeerAbsent, StoreError: as `submit_take`.
        """
        self._require_met()
        places = [place for place in reading.places if place is not None]
        grants = [grant for grant in reading.grants if grant is not None]
        shared = any(len(grant.slaves) > 1 for grant in grants)
        sharers = [
            tuple(slave for slave in grant.slaves if len(grant.slaves) == 1 or self._serves(slave))
            for grant in (grants if shared else ())
        ]
        leave = Leave(reading.ids, places, caller, sharers, reading.epoch, shared)
        return self._committer.submit(leave)

    async def grant(self, master: str, slaves: tuple[str, ...]) -> Grant:
        """The grant of a master and slaves, agreed with the peer if it is new.

        Raises:
            SlaveUnknown: the peer does not take it.
            PeerAbsent, QuotaReached, StoreError: not now.
        """
        for _ in range(2):  # a number that means another at the peer is passed over
            known = self._grants.find(master, slaves)
            if known is not None and known.agreed:
                return known
            self._require_met()
            if known is None:
                known = await self._alone(lambda: self._grants.propose(master, slaves))
            if await self._agree(known.number):
                break
        agreed = self._grants.find(master, slaves)
        if agreed is None or not agreed.agreed:
            raise SlaveUnknown("none of the slaves is an SAE of the peer's KME")
        return agreed

    async def _agree(self, number: int) -> bool:
        """Whether the peer takes in an own grant.

        Raises:
            PeerAbsent: it does not say.
        """
        session = self._session
        if session is None:
            raise PeerAbsent("the peer's KME must agree to a new pair of SAEs, and is not there")
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiting = self._answers.setdefault(number, [])
        waiting.append(answer)
        if len(waiting) == 1:
            self._tell(session.propose(number))
        try:
            async with asyncio.timeout(AGREED_WITHIN_S):
                return await answer
        except TimeoutError as error:
            raise PeerAbsent("the peer's KME did not agree to a new pair of SAEs") from error
        finally:
            waiting.remove(answer)
            if not waiting:
                self._answers.pop(number, None)

    def _require_met(self) -> None:
        if not self.peer.met:
            raise PeerAbsent(NEVER_MET)

    # The peering

    def meet(self, say: Callable[[list[Message]], None]) -> Session:
        """A connection to the peer's KME begins; what it has to say goes through `say`.

        Whoever holds the connection calls `hear` with each message and `part` at the end.
        """
        session = Session(
            self._kme,
            self._pool,
            self._grants,
            self.peer,
            serves=self._serves,
            clock=self._clock,
            answered=self._answered,
            fenced=self.fences.append,
        )
        self._session, self._say = session, say
        return session

    async def hear(self, session: Session, message: Message) -> None:
        """The peer said something.

        Raises:
            PeeringBroken: it may not say that.
            StoreError: it could not be kept.
        """
        # A report comes some times a second; whatever else there is may take its time.
        alone = self._committer.run_briefly if isinstance(message, Issued) else self._alone
        answer = await alone(lambda: session.receive(message))
        if session is self._session:
            self._tell(answer)
        self._committer.block_ready()

    async def report(self, session: Session) -> None:
        """Tell the peer what left since the last time."""
        if session is self._session:
            self._tell(await self._committer.run_briefly(session.report))

    def part(self, session: Session) -> None:
        """A connection is over."""
        if session is self._session:
            self._session = self._say = None
            self.peer.learn(News.PARTED)

    def _tell(self, messages: list[Message]) -> None:
        if messages and self._say is not None:
            self._say(messages)

    def _answered(self, number: int, taken: bool) -> None:
        # From the thread in which the session works.
        for answer in list(self._answers.get(number, [])):
            answer.get_loop().call_soon_threadsafe(_resolve, answer, taken)

    async def _alone(self, work: Callable[[], Result]) -> Result:
        return await self._committer.run_alone(work)


def _resolve(answer: "asyncio.Future[bool]", taken: bool) -> None:
    if not answer.done():
        answer.set_result(taken)
