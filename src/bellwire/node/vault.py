"""The key store as the classical channel sees it: durable calls that never block the event loop."""

import asyncio
from collections.abc import Awaitable, Callable

from bellwire.base.clock import Clock
from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.distill.conversation import BlockAuthentication
from bellwire.distill.report import SIGNED_CONTACT_ASSUMPTION, BlockReport
from bellwire.keys.model import BlockRecord, BlockState, ContactMethod, KeySourceKind
from bellwire.keys.reserve import SET_BYTES, TagPurpose
from bellwire.keys.session_pads import PadFor
from bellwire.keys.store import KeyStore


class StoreVault:
    """A `node.classical.Vault` over a key store.

    What a block erases is gone from the store's tables at once, and from its log with the next
    `tend`: to empty the log takes several syncs, and a session is waited for.

    Args:
        store: Opened, with a pre-placed authentication key in it.
        source: Where this node's key comes from.
        clock: Dates the records.

    Attributes:
        refilled_bits: What blocks have paid to the authentication key since the start.
        released: Called with the number of each block that became ready.
    """

    def __init__(self, store: KeyStore, source: KeySourceKind, clock: Clock) -> None:
        self._store = store
        self._source = source
        self._clock = clock
        self.refilled_bits = 0
        self._in_log = False
        self.released: Callable[[int], Awaitable[None]] | None = None

    async def mac_key(self) -> Secret:
        """The line's key."""
        return (await asyncio.to_thread(self._store.authentication_keys)).mac_key

    async def last_block(self) -> int:
        """Highest block number ever burnt here."""
        return await asyncio.to_thread(self._store.last_block)

    async def authentication(self, block: int) -> BlockAuthentication:
        """Burn a block number and hand out its tag keys.

        Raises:
            BlockNumberUsed: the number is not above every earlier one.
            ReserveExhausted: no pads are left for it.
        """
        # In one go: a session is waited for, and each way into the thread and back takes its time.
        return await asyncio.to_thread(self._authentication, block)

    def _authentication(self, block: int) -> BlockAuthentication:
        keys, contact = self._store.authentication_keys(), self._store.first_contact()
        assert contact is not None
        signed = contact.method is ContactMethod.SIGNED
        self._in_log = True
        pads = self._store.burn(block, zeroise=False)
        return BlockAuthentication(
            hash_keys={side: keys.hash_key(side) for side in Side},
            received_pads={side: pads.pad(side, TagPurpose.RECEIVED) for side in Side},
            transcript_pads={side: pads.pad(side, TagPurpose.TRANSCRIPT) for side in Side},
            consumed_bits=8 * SET_BYTES,
            first_contact=contact.method.value,
            assumptions=(SIGNED_CONTACT_ASSUMPTION,) if signed else (),
        )

    async def keep(self, report: BlockReport, secret: Secret, pad: PadFor | None = None) -> None:
        """Keep a verified block as pending; `pad` says whose pad a session's is."""
        record = BlockRecord(
            block=report.number,
            protocol=report.protocol,
            source=self._source,
            secret_bits=report.extracted_bits,
            qber=report.qber,
            chsh=report.chsh,
            epsilon=report.epsilon,
            decided_at=self._clock(),
        )
        await asyncio.to_thread(self._store.put_pending, record, secret, pad)

    async def pending(self) -> list[int]:
        """Blocks kept here, not known to be kept by the peer."""
        return await asyncio.to_thread(self._store.pending)

    async def kept(self, blocks: list[int]) -> list[int]:
        """Those among `blocks` that are kept here, pending or ready."""

        def look() -> list[int]:
            return [b for b in blocks if self._store.state(b) is not BlockState.ABSENT]

        return await asyncio.to_thread(look)

    async def release(self, block: int) -> None:
        """The peer keeps it too: it may be used."""
        self._in_log = True
        ready = await asyncio.to_thread(self._store.mark_ready, block, zeroise=False)
        self.refilled_bits += ready.refill_bits
        if self.released is not None and ready.units:
            await self.released(block)

    async def discard(self, block: int) -> None:
        """The peer does not keep it and never will."""
        await asyncio.to_thread(self._store.discard, block)

    async def tend(self) -> None:
        """What is due every second: what blocks erased goes from the log, too.

        Raises:
            StoreError: it could not be emptied; it is tried again the next time.
        """
        if not self._in_log:
            return
        self._in_log = False  # before: what is erased meanwhile is for the next time
        try:
            await asyncio.to_thread(self._store.zeroise)
        except BaseException:
            self._in_log = True
            raise
