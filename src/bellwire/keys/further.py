"""The keys of a link at a process beside the node: the same pool, and the node's word for the rest.

What always holds: no key of the link leaves unless the node spoke within the last three seconds, by
the clock of this process, and what it said lets keys flow. Marks are durable before a key leaves,
as everywhere; that nothing leaves twice is the pool's doing, and needs no word of the node.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from bellwire.base.clock import Clock
from bellwire.base.secret import Secret
from bellwire.keys.errors import LinkRed, PeerAbsent, SlaveUnknown, StoreError
from bellwire.keys.grants import Grant
from bellwire.keys.kme import Delivery
from bellwire.keys.link_keys import AGREED_WITHIN_S, LinkKeys
from bellwire.keys.lives import Agreement
from bellwire.keys.sharing import AGREED, REFUSED, Sharing, Word
from bellwire.keys.site import Site
from bellwire.keys.status import Status, StatusView
from bellwire.keys.store import KeyStore

SILENT_S = 3.0
"""How long a word of the node counts."""

FOLLOW_EVERY_S = 0.2
ASK_EVERY_S = 0.05


class NodeWord:
    """What the node said last, and whether it still speaks; for the event loop's thread.

    Args:
        clock: Seconds, never set back.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._beat: int | None = None
        self._word: Word | None = None
        self._heard_at: float | None = None
        self._began = time.time()
        self._spoke = asyncio.Event()

    def hear(self, beat: int, word: Word) -> None:
        """Take in a row; the first one may be of a node that is long gone, and proves nothing."""
        if self._beat is not None and beat != self._beat:
            self._heard_at = self._clock()
            self._word = word
            self._spoke.set()
        self._beat = beat

    @property
    def word(self) -> Word | None:
        """The node's word; None while it is silent."""
        if self._heard_at is None or self._clock() - self._heard_at > SILENT_S:
            return None
        return self._word

    async def first(self) -> Word:
        """The first word that the node says."""
        await self._spoke.wait()
        assert self._word is not None
        return self._word

    def view(self) -> StatusView:
        """The link's status as the node said it; stale while it is silent."""
        word = self.word
        if word is not None:
            return word.view
        silent = f"the node was not heard within {SILENT_S:.0f} s"
        if self._word is not None:
            level = self._word.view.status
            kept = level if level is Status.RED else Status.YELLOW
            return replace(self._word.view, status=kept, stale=True, reason=silent)
        return StatusView(
            status=Status.YELLOW,
            reason=silent,
            qber=None,
            last_qber=None,
            last_chsh=None,
            since=self._began,
            stale=True,
            history=(),
        )

    def check_flow(self) -> None:
        """Let pass.

        Raises:
            LinkRed: no key may leave.
        """
        view = self.view()
        if not view.keys_may_flow:
            raise LinkRed(
                f"no key leaves: the link is {view.status.value}{', stale' if view.stale else ''}: "
                f"{view.reason}"
            )


class FurtherKeys(LinkKeys):
    """The keys of one link beside its node; `follow` runs as long as keys are to leave.

    Args:
        store: This side's, opened `shared`.
        kme: Id of this side's KME.
        serves: Whether an SAE is of this site.
        clock: Seconds since the epoch.
        sync_s: How long a commit takes, in seconds.
    """

    def __init__(
        self,
        store: KeyStore,
        kme: str,
        *,
        serves: Callable[[str], bool],
        clock: Clock,
        sync_s: float = 0.0,
    ) -> None:
        self.node = NodeWord()
        super().__init__(
            store,
            kme,
            check_flow=self.node.check_flow,
            serves=serves,
            clock=clock,
            sync_s=sync_s,
        )
        self._board: Sharing = store.sharing()
        self._epoch: int | None = None

    async def open(self, mac_key: Secret) -> None:
        """As `LinkKeys.open`; what the node said before counts for nothing yet."""
        await super().open(mac_key)
        await self.catch_up()

    async def close(self) -> None:
        """Serve what waits; to zeroise what left is the node's."""
        await self._committer.close()

    async def follow(self) -> None:
        """Listen to the node, for ever."""
        while True:
            try:
                await self.catch_up()
            except StoreError:
                self._heed()  # it is tried again; meanwhile the last word grows old
            await asyncio.sleep(FOLLOW_EVERY_S)

    async def catch_up(self) -> None:
        """Know what the node said, what the pool is, and to whom keys were granted.

        Raises:
            StoreError: the store cannot be read.
        """

        def look() -> tuple[int, Word] | None:
            heard = self._board.heard()
            self._pool.add()
            epoch = self._pool.marks.epoch
            if epoch != self._epoch:
                # A fence took all agreements back; a new key of the link came with one, too.
                self._pool.load(self._store.authentication_keys().mac_key)
                self._grants.load()
                self._epoch = epoch
            if heard is not None and heard[1].epoch == epoch:
                self._pool.confirm(heard[1].confirmed)
            return heard

        heard = await self._alone(look)
        if heard is not None:
            self.node.hear(*heard)
        self._heed()
        self._committer.block_ready()

    def _heed(self) -> None:
        word = self.node.word
        self.peer.agreement = Agreement.ALIKE if word and word.met else Agreement.UNKNOWN
        if word is not None:
            self.peer.kme, self.peer.saes = word.peer, frozenset(word.saes)

    async def reload(self) -> None:
        """Read the grants anew: the node has taken in another one, maybe.

        Raises:
            StoreError: they cannot be read.
        """
        await self.catch_up()
        await self._alone(self._grants.load)

    async def grant(self, master: str, slaves: tuple[str, ...]) -> Grant:
        """The grant of a master and slaves; the node agrees on it with the peer if it is new.

        Raises:
            SlaveUnknown: the peer does not take it.
            PeerAbsent, QuotaReached, StoreError: not now.
        """
        self._require_met()
        await self.reload()
        known = self.known_grant(master, slaves)
        if known is not None:
            return known
        await self._alone(lambda: self._board.want(master, slaves, self._clock()))
        try:
            async with asyncio.timeout(AGREED_WITHIN_S):
                said = await self._answer(master, slaves)
        except TimeoutError as error:
            raise PeerAbsent("the peer's KME did not agree to a new pair of SAEs") from error
        if said == REFUSED:
            raise SlaveUnknown("none of the slaves is an SAE of the peer's KME")
        await self.reload()
        known = self.known_grant(master, slaves)
        if known is None:
            raise PeerAbsent("the peer's KME did not agree to a new pair of SAEs")
        return known

    async def _answer(self, master: str, slaves: tuple[str, ...]) -> str:
        while True:
            said = await self._alone(lambda: self._board.answered(master, slaves))
            if said in (AGREED, REFUSED):
                return said
            await asyncio.sleep(ASK_EVERY_S)

    def knows(self, ids: bytes) -> bool:
        """Whether memory says of all ids to whom their keys were granted."""
        return self.read(ids, own=False).whole


class FurtherSite(Site):
    """The KME of a site at a process beside its node: what it does not know, the node may."""

    def get_keys_with_ids(self, caller: str, master: str, ids: bytes) -> "asyncio.Future[Delivery]":
        """Keys that `master` got, for `caller` as slave; see `KeyServer`."""
        keys = self._links[0].keys
        if not isinstance(keys, FurtherKeys) or not self.serves(caller) or keys.knows(ids):
            return super().get_keys_with_ids(caller, master, ids)
        return asyncio.ensure_future(self._once_known(keys, caller, master, ids))

    async def _once_known(
        self, keys: FurtherKeys, caller: str, master: str, ids: bytes
    ) -> Delivery:
        await keys.reload()
        return await super().get_keys_with_ids(caller, master, ids)
