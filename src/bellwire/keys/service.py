"""Keys for consumers on this machine: the store behind the status of the link.

What always holds: no key leaves unless the status lets keys flow when it is asked for AND when the
store has answered. A key that the store gave up while the status turned is lost, never handed out.
Key ids go out, and come in, in their opaque form only.
The store waits for the disk in a thread, so that a sync never stops the event loop.
"""

import asyncio

from bellwire.base.clock import Clock
from bellwire.keys.errors import KeyGone, KeyNotReady, LinkRed
from bellwire.keys.model import DeliveredKey, KeyId, OpaqueKeyId
from bellwire.keys.opaque import KeyIdCipher
from bellwire.keys.sqlite import KeyStore
from bellwire.keys.status import LinkStatus, StatusView


class KeyService:
    """Draws and fetches keys of one link.

    Args:
        store: This side's store; without a pre-placed key, which comes before every other, there
            is no key to draw.
        status: The link's status; read in the event loop's thread only.
        clock: Seconds since the epoch.
    """

    def __init__(self, store: KeyStore, status: LinkStatus, clock: Clock) -> None:
        self._store = store
        self._status = status
        self._clock = clock

    def status(self) -> StatusView:
        """The status of the link now."""
        return self._status.at(self._clock())

    async def draw(self, bits: int) -> DeliveredKey[OpaqueKeyId]:
        """Hand out a key as master.

        Raises:
            LinkRed: the status does not let keys flow.
            KeySizeUnsupported, NotEnoughKey: as `KeyStore.draw`.
        """
        self._require_flow()
        delivered = await asyncio.to_thread(self._draw, bits)
        self._require_flow()
        return delivered

    async def fetch(self, key_id: OpaqueKeyId) -> DeliveredKey[OpaqueKeyId]:
        """Hand out the key that the peer drew.

        Raises:
            LinkRed: the status does not let keys flow.
            KeyGone: as `KeyStore.fetch`, or no node made this id.
            KeyNotReady: as `KeyStore.fetch`.
        """
        self._require_flow()
        try:
            delivered = await asyncio.to_thread(self._fetch, key_id)
        except KeyGone as error:
            raise KeyGone(str(key_id), error.why) from error
        except KeyNotReady as error:
            raise KeyNotReady(str(key_id)) from error
        self._require_flow()
        return delivered

    def _draw(self, bits: int) -> DeliveredKey[OpaqueKeyId]:
        return _outside(self._store.draw(bits), self._ids())

    def _fetch(self, key_id: OpaqueKeyId) -> DeliveredKey[OpaqueKeyId]:
        ids = self._ids()
        return _outside(self._store.fetch(ids.find(key_id)), ids)

    def _ids(self) -> KeyIdCipher:
        # Not kept: before the first block the pre-placed key may be missing, or give way.
        return KeyIdCipher(self._store.authentication_keys().mac_key)

    def _require_flow(self) -> None:
        view = self.status()
        if not view.keys_may_flow:
            raise LinkRed(
                f"no key leaves: the link is {view.status.value}{', stale' if view.stale else ''}: "
                f"{view.reason}"
            )


def _outside(delivered: DeliveredKey[KeyId], ids: KeyIdCipher) -> DeliveredKey[OpaqueKeyId]:
    return DeliveredKey(ids.hide(delivered.key_id), delivered.key, delivered.source)
