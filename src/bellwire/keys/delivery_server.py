"""The node's end of the delivery socket: how consumers on this machine get keys.

A Unix socket of mode 0600 in a folder of mode 0700: who may open it may have keys, and nobody else
is asked for anything (`base.local`). Format: `spec/key-delivery-socket.md`.
"""

from pathlib import Path

from bellwire.base.errors import BellwireError, UsageError
from bellwire.base.local import LocalServer
from bellwire.keys.errors import KeyGone, KeyNotReady, LinkRed, NotEnoughKey, StoreError
from bellwire.keys.messages import (
    REQUEST_LIMIT,
    Answer,
    Draw,
    Fetch,
    GetStatus,
    GetStock,
    Key,
    Refusal,
    Refused,
    Request,
    Status,
    Stock,
    decode_request,
    encode,
)
from bellwire.keys.model import DeliveredKey, KeyId
from bellwire.keys.service import KeyService


class DeliveryServer(LocalServer):
    """Answers consumers of keys at `path` between `start` and `close`."""

    def __init__(self, path: Path, keys: KeyService) -> None:
        super().__init__(path, self._answer_body, request_limit=REQUEST_LIMIT)
        self._keys = keys

    async def _answer_body(self, body: bytes) -> bytes:
        return encode(await self._reply(decode_request(body)))

    async def _reply(self, request: Request) -> Answer:
        try:
            match request:
                case Draw(bits):
                    return _to_key(await self._keys.draw(bits))
                case Fetch(key_id):
                    return _to_key(await self._keys.fetch(KeyId(key_id)))
                case GetStatus():
                    return Status(self._keys.status())
                case GetStock():
                    return Stock(self._keys.stock_bits, self._keys.source)
        except BellwireError as error:
            return _to_refused(error)


def _to_key(delivered: DeliveredKey) -> Key:
    return Key(delivered.key_id.data, delivered.key.reveal(), delivered.source)


def _to_refused(error: BellwireError) -> Refused:
    match error:
        case LinkRed():
            return Refused(Refusal.LINK_RED, str(error))
        case NotEnoughKey():
            return Refused(Refusal.NOT_ENOUGH_KEY, str(error), error.there)
        case KeyGone():
            return Refused(Refusal.KEY_GONE, error.why)
        case KeyNotReady():
            return Refused(Refusal.KEY_NOT_READY, str(error))
        case UsageError() if not isinstance(error, StoreError):
            return Refused(Refusal.BAD_REQUEST, str(error)[:2000])
        case _:
            return Refused(Refusal.FAILED, str(error)[:2000])
