"""A consumer's end of the delivery socket: how it gets keys from the node on its machine.

The node's end: `bellwire.keys.delivery_server`. A device alone has this module and nothing of a
node, so it imports no more than messages, models and errors. Format:
`spec/key-delivery-socket.md`.
"""

from pathlib import Path

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import BellwireError, UsageError
from bellwire.base.local import AnswerMalformed, NotAnswered, ask
from bellwire.base.secret import Secret
from bellwire.keys.errors import (
    DeliveryFailed,
    KeyGone,
    KeyNotReady,
    LinkRed,
    NodeUnreachable,
    NotEnoughKey,
)
from bellwire.keys.messages import (
    ANSWER_LIMIT,
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
    decode_answer,
    encode,
)
from bellwire.keys.model import DeliveredKey, KeyId, KeySourceKind, check_key_bits
from bellwire.keys.status import StatusView

ANSWER_WITHIN_S = 10.0
"""Seconds that a consumer waits by default: far above a disk's sync."""


class DeliveryClient:
    """Asks the node that listens at `path`; each call has a connection of its own.

    Args:
        path: The node's delivery socket.
        timeout_s: Seconds to wait for a whole answer.
    """

    def __init__(self, path: Path, *, timeout_s: float = ANSWER_WITHIN_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    async def draw(self, bits: int) -> DeliveredKey:
        """A new key of `bits` bits.

        Raises:
            KeySizeUnsupported: not a multiple of 8, or not from 8 to 65,536.
            NotEnoughKey: the pool cannot make it now.
            LinkRed: no key leaves.
            NodeUnreachable: no node answers in time.
            DeliveryFailed: the node failed, or answered something else.
        """
        check_key_bits(bits)
        answer = await self._ask(Draw(bits))
        if isinstance(answer, Key):
            delivered = _from_key(answer)
            if 8 * len(delivered.key) == bits:
                return delivered
        if isinstance(answer, Refused):
            if answer.kind is Refusal.NOT_ENOUGH_KEY:
                raise NotEnoughKey(bits, answer.there)
            raise _refusal(answer)
        raise _unexpected()

    async def fetch(self, key_id: KeyId) -> DeliveredKey:
        """The key that the peer's consumer drew under `key_id`.

        Raises:
            KeyGone: fetched before, or never there.
            KeyNotReady: not yet agreed ready; ask again.
            LinkRed, NodeUnreachable, DeliveryFailed: as `draw`.
        """
        answer = await self._ask(Fetch(key_id.data))
        if isinstance(answer, Key):
            delivered = _from_key(answer)
            if delivered.key_id == key_id:
                return delivered
        if isinstance(answer, Refused):
            if answer.kind is Refusal.KEY_GONE:
                raise KeyGone(str(key_id), answer.message)
            if answer.kind is Refusal.KEY_NOT_READY:
                raise KeyNotReady(str(key_id))
            raise _refusal(answer)
        raise _unexpected()

    async def status(self) -> StatusView:
        """The status of the link.

        Raises:
            NodeUnreachable, DeliveryFailed: as `draw`.
        """
        answer = await self._ask(GetStatus())
        if isinstance(answer, Status):
            return answer.view
        raise _refusal(answer) if isinstance(answer, Refused) else _unexpected()

    async def stock(self) -> tuple[int, KeySourceKind]:
        """Bits that may be drawn now, and where they come from.

        Raises:
            NodeUnreachable, DeliveryFailed: as `draw`.
        """
        answer = await self._ask(GetStock())
        if isinstance(answer, Stock):
            return answer.bits, answer.source
        raise _refusal(answer) if isinstance(answer, Refused) else _unexpected()

    async def _ask(self, request: Request) -> Answer:
        try:
            return decode_answer(
                await ask(
                    self._path,
                    encode(request),
                    answer_limit=ANSWER_LIMIT,
                    timeout_s=self._timeout_s,
                )
            )
        except NotAnswered as error:
            raise NodeUnreachable(
                f"expected a node at {self._path}, got no answer",
                hint="Is the node running, with this state folder?",
            ) from error
        except (AnswerMalformed, *UNDECODABLE) as error:
            raise _unexpected() from error


def _from_key(answer: Key) -> DeliveredKey:
    return DeliveredKey(KeyId(answer.key_id), Secret(answer.key), answer.source)


def _refusal(answer: Refused) -> BellwireError:
    if answer.kind is Refusal.LINK_RED:
        return LinkRed(answer.message)
    if answer.kind is Refusal.BAD_REQUEST:
        return UsageError(answer.message)
    return DeliveryFailed(f"the node failed: {answer.message}")


def _unexpected() -> DeliveryFailed:
    return DeliveryFailed("expected an answer to the request, got something else")
