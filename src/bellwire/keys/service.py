"""Keys for consumers on this machine: the link's keys under the grant of the nodes' own sockets.

What always holds: no key leaves unless the status lets keys flow when it is asked for AND when it
is committed.
"""

from collections.abc import Callable

from bellwire.base.clock import Clock
from bellwire.keys.errors import KeyGone, LinkRed
from bellwire.keys.grants import LOCAL
from bellwire.keys.kme import Delivery
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.model import DeliveredKey, KeyId, KeySourceKind, check_key_bits
from bellwire.keys.status import LinkStatus, StatusView


class FlowCheck:
    """Lets keys leave while a link's status does; read in the event loop's thread only.

    Args:
        status: Of the link.
        clock: Seconds since the epoch.
    """

    def __init__(self, status: LinkStatus, clock: Clock) -> None:
        self._status = status
        self._clock = clock

    def view(self) -> StatusView:
        """The status now."""
        return self._status.at(self._clock())

    def __call__(self) -> None:
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


class KeyService:
    """Draws and fetches keys of one link for consumers on this machine.

    Args:
        keys: Of the link.
        flow: The link's status.
        source: Where the link's keys come from.

    Attributes:
        left: Called with `draw` or `fetch`, id and length of each key that left.
    """

    def __init__(self, keys: LinkKeys, flow: FlowCheck, source: KeySourceKind) -> None:
        self.left: Callable[[str, bytes, int], None] | None = None
        self._keys = keys
        self._flow = flow
        self._source = source

    @property
    def source(self) -> KeySourceKind:
        """Where the link's keys come from."""
        return self._source

    @property
    def stock_bits(self) -> int:
        """Bits that may be drawn here now, as far as the status lets keys flow."""
        return self._keys.takeable_bits

    def status(self) -> StatusView:
        """The status of the link now."""
        return self._flow.view()

    async def draw(self, bits: int) -> DeliveredKey:
        """Hand out a key as master.

        Raises:
            LinkRed: the status does not let keys flow.
            KeySizeUnsupported: not a multiple of 8, or not from 8 to 8,192.
            NotEnoughKey: there is none of that size.
            PeerAbsent: the peer's KME was not met since this node started.
            StoreError: the store could not do it.
        """
        check_key_bits(bits)
        self._flow()
        grant = self._keys.numbered(own=True, number=LOCAL)
        return self._delivered("draw", await self._keys.submit_take(grant, 1, bits))

    async def fetch(self, key_id: KeyId) -> DeliveredKey:
        """Hand out the key that the peer drew.

        Raises:
            KeyGone: it was fetched before, or no node made this id for consumers here.
            KeyNotReady: its block is not agreed ready here yet.
            LinkRed, PeerAbsent, StoreError: as `draw`.
        """
        self._flow()
        reading = self._keys.read(key_id.data, own=False)
        (grant,) = reading.grants
        if grant is None or grant.number != LOCAL:
            raise KeyGone(str(key_id), "it left before, or never was here")
        return self._delivered("fetch", await self._keys.submit_leave("", reading))

    def _delivered(self, how: str, delivery: Delivery) -> DeliveredKey:
        if self.left is not None:
            self.left(how, delivery.ids, 8 * len(delivery.keys))
        return DeliveredKey(KeyId(delivery.ids), delivery.keys, self._source)
