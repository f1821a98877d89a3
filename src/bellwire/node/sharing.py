"""The node's side of a pool that further processes share (`keys.sharing`): it speaks and agrees."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import BellwireError
from bellwire.keys.errors import SlaveUnknown, StoreError
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.model import KeySourceKind
from bellwire.keys.sharing import AGREED, REFUSED, Sharing, Word
from bellwire.keys.status import StatusView

LOOK_EVERY_S = 0.1
SPEAK_EVERY_S = 0.5
"""Well below the three seconds after which a word counts for nothing."""

MAX_ASKED = 64
"""Grants that the peer is asked for at once."""

log = structlog.get_logger()


class SiteSharing:
    """Speaks to the further processes of a site, for ever.

    Args:
        keys: Of the link.
        board: Of the store.
        kme: Id of this site's KME.
        source: Where keys come from.
        view: The link's status now.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        keys: LinkKeys,
        board: Sharing,
        kme: str,
        source: KeySourceKind,
        *,
        view: Callable[[], StatusView],
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._board = board
        self._kme = kme
        self._source = source
        self._view = view
        self._clock = clock
        self._asking: dict[tuple[str, tuple[str, ...]], asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        said: Word | None = None
        said_at = 0.0
        loop = asyncio.get_running_loop()
        well = True
        try:
            while True:
                word = self._word()
                try:
                    if word != said or loop.time() - said_at >= SPEAK_EVERY_S:
                        now = self._clock()
                        await asyncio.to_thread(self._board.say, word, now)
                        said, said_at = word, loop.time()
                    self._ask(await asyncio.to_thread(self._board.wanted))
                    well = True
                except StoreError as error:
                    if well:
                        log.warning("other processes were not told", error=str(error))
                    well = False
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for task in self._asking.values():
                task.cancel()
            await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _word(self) -> Word:
        peer = self._keys.peer
        epoch, confirmed = self._keys.agreed
        return Word(
            kme=self._kme,
            source=self._source,
            view=replace(self._view(), history=()),
            met=peer.met,
            peer=peer.kme,
            saes=sorted(peer.saes),
            epoch=epoch,
            confirmed=confirmed,
        )

    def _ask(self, wanted: list[tuple[str, tuple[str, ...]]]) -> None:
        for each in wanted:
            if each not in self._asking and len(self._asking) < MAX_ASKED:
                self._asking[each] = asyncio.create_task(self._agree(*each))

    async def _agree(self, master: str, slaves: tuple[str, ...]) -> None:
        try:
            said = AGREED
            try:
                await self._keys.grant(master, slaves)
            except SlaveUnknown:
                said = REFUSED
            await asyncio.to_thread(self._board.answer, master, slaves, said)
        except BellwireError as error:
            # Whoever waits gives up by himself, and asks again.
            log.info("no grant for another process", error=str(error))
        finally:
            del self._asking[master, slaves]
