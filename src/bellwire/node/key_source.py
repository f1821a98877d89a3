"""The source of QKD keys of a device or a cloud: the node on the same machine.

It puts the node's words into those of `bellwire.iot.keys`. What the node refuses for security, or
because the key has left, is a refusal; what may succeed a moment later is not.
"""

import asyncio

from bellwire.base.errors import BellwireError
from bellwire.channel.handshake import QkdKey
from bellwire.iot.errors import KeyRefused, KeyUnavailable
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.errors import (
    DeliveryFailed,
    KeyGone,
    KeyIdMalformed,
    KeyNotReady,
    LinkRed,
    NodeUnreachable,
    NotEnoughKey,
)
from bellwire.keys.model import DeliveredKey, KeyId

READY_WITHIN_S = 5.0
"""How long a key may be in the agreement between the nodes before it counts as unavailable."""

ASK_AGAIN_S = 0.05


class NodeKeySource:
    """Draws from, and fetches at, the node behind a delivery socket; a `KeySource`.

    Args:
        client: Of the node's socket.
        ready_within_s: How long `fetch` asks again for a key that is not agreed ready.
    """

    def __init__(self, client: DeliveryClient, *, ready_within_s: float = READY_WITHIN_S) -> None:
        self._client = client
        self._ready_within_s = ready_within_s

    async def draw(self, bits: int) -> QkdKey:
        """A new key; errors as `KeySource.draw`, and KeySizeUnsupported."""
        try:
            return _to_qkd_key(await self._client.draw(bits))
        except LinkRed as error:
            raise KeyRefused(str(error), hint=error.hint) from error
        except (NotEnoughKey, NodeUnreachable, DeliveryFailed) as error:
            raise _unavailable(error) from error

    async def fetch(self, key_id: bytes) -> QkdKey:
        """The key that the peer drew; errors as `KeySource.fetch`."""
        try:
            return _to_qkd_key(await self._fetch_ready(KeyId(key_id)))
        except (LinkRed, KeyGone, KeyIdMalformed) as error:
            raise KeyRefused(str(error), hint=error.hint) from error
        except (KeyNotReady, NodeUnreachable, DeliveryFailed) as error:
            raise _unavailable(error) from error

    async def _fetch_ready(self, key_id: KeyId) -> DeliveredKey:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._ready_within_s
        while True:
            try:
                return await self._client.fetch(key_id)
            except KeyNotReady:
                if loop.time() >= give_up:
                    raise
            await asyncio.sleep(ASK_AGAIN_S)


def _to_qkd_key(delivered: DeliveredKey) -> QkdKey:
    return QkdKey(delivered.key_id.data, delivered.key, delivered.source.value)


def _unavailable(error: BellwireError) -> KeyUnavailable:
    return KeyUnavailable(str(error), hint=error.hint)
