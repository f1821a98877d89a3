"""What an operator on the same machine may ask a relay: where and how it is, and to move.

A Unix socket that only the relay's owner may open (`base.local`); messages are MessagePack arrays.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import BellwireError
from bellwire.base.local import AnswerMalformed, LocalServer, ask
from bellwire.channel.places import MAX_PLACES, Level
from bellwire.chat.errors import MoveRefused
from bellwire.chat.relay.ladder import Whereabouts

if TYPE_CHECKING:  # who asks need not load a relay
    from bellwire.chat.relay.moving import Mover

SOCKET: Final = "operator.sock"
REQUEST_LIMIT: Final = 1 << 14
ANSWER_LIMIT: Final = 1 << 16
ANSWER_WITHIN_S: Final = 10.0


class Look(msgspec.Struct, frozen=True, array_like=True, tag="look"):
    """Where is it?"""


class Status(msgspec.Struct, frozen=True, array_like=True, tag="status"):
    """How is it?"""


class Move(msgspec.Struct, frozen=True, array_like=True, tag="move"):
    """Move there."""

    level: Level
    places: Annotated[tuple[Annotated[str, Meta(max_length=600)], ...], Meta(max_length=MAX_PLACES)]


class There(msgspec.Struct, frozen=True, array_like=True, tag="there"):
    """Fields of `Whereabouts`, in its order."""

    level: Level
    places: tuple[str, ...]
    sequence: int
    until: int | None


class Condition(msgspec.Struct, frozen=True, array_like=True, tag="condition"):
    """How a relay is.

    Attributes:
        connections: That are open.
        listeners: Of them, those to which an account's payloads are delivered.
        waiting: Requests that wait for the store.
        store: `sqlite` or `postgresql`.
        store_works: Whether it did what it was last asked.
        news: Words from and to relays that share the store: `heard`, `away`, or `none` is set up.
    """

    connections: int
    listeners: int
    waiting: int
    store: str
    store_works: bool
    news: str


class Refusal(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """It is where it was."""

    why: str
    hint: str | None


def operator_server(mover: "Mover", folder: Path) -> LocalServer:
    """Answers operators between `start` and `close`."""

    async def answer(request: bytes) -> bytes:
        asked = msgspec.msgpack.decode(request, type=Look | Move | Status)
        if isinstance(asked, Status):
            return msgspec.msgpack.encode(mover.condition())
        try:
            if isinstance(asked, Move):
                found = await mover.move(asked.level, asked.places)
            else:
                found = mover.whereabouts()
        except BellwireError as error:
            return msgspec.msgpack.encode(Refusal(str(error), error.hint))
        there = There(found.level, found.places, found.sequence, found.until)
        return msgspec.msgpack.encode(there)

    return LocalServer(folder / SOCKET, answer, request_limit=REQUEST_LIMIT)


class RelayOperator:
    """Asks the relay of a folder.

    Args:
        folder: The relay's own.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / SOCKET

    async def look(self) -> Whereabouts:
        """Where it is.

        Raises:
            NotAnswered: no relay runs there.
            AnswerMalformed: what answers is none.
        """
        return self._place(await self._ask(Look()))

    async def status(self) -> Condition:
        """How it is.

        Raises:
            NotAnswered, AnswerMalformed: as `look`.
        """
        answer = await self._ask(Status())
        if not isinstance(answer, Condition):
            raise self._malformed()
        return answer

    async def move(self, level: Level, places: tuple[str, ...] = ()) -> Whereabouts:
        """Have it move; on return those who are connected were told.

        Raises:
            MoveRefused: it cannot; it is where it was.
            NotAnswered, AnswerMalformed: as `look`.
        """
        return self._place(await self._ask(Move(level, places)))

    def _place(self, answer: There | Condition) -> Whereabouts:
        if not isinstance(answer, There):
            raise self._malformed()
        return Whereabouts(answer.level, answer.places, answer.sequence, answer.until)

    async def _ask(self, request: Look | Move | Status) -> There | Condition:
        data = await ask(
            self._path,
            msgspec.msgpack.encode(request),
            answer_limit=ANSWER_LIMIT,
            timeout_s=ANSWER_WITHIN_S,
        )
        try:
            answer = msgspec.msgpack.decode(data, type=There | Condition | Refusal)
        except UNDECODABLE as error:
            raise self._malformed() from error
        if isinstance(answer, Refusal):
            raise MoveRefused(answer.why, hint=answer.hint)
        return answer

    def _malformed(self) -> AnswerMalformed:
        return AnswerMalformed(f"what answers at {self._path} is no relay")
