"""What an operator on the same machine asks a service: a request in, a structure or a refusal out.

A Unix socket that only the service's owner may open (`base.local`); bodies are MessagePack. Errors
of the service cross as their exit code and their words, and are raised again where it was asked.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError
from bellwire.base.local import AnswerMalformed, LocalServer, SocketUnusable, ask

SOCKET: Final = "operator.sock"
REQUEST_LIMIT: Final = 1 << 12
ANSWER_LIMIT: Final = 8 << 20
ANSWER_WITHIN_S: Final = 10.0

Asked = TypeVar("Asked")
Kind = TypeVar("Kind", bound=msgspec.Struct)


class _Refused(msgspec.Struct, frozen=True, array_like=True):
    code: int
    message: str
    hint: str | None


_KINDS: Final = {2: UsageError, 3: RefusedError, 4: UnreachableError}


@contextlib.asynccontextmanager
async def operated(
    folder: Path,
    requests: "msgspec.msgpack.Decoder[Asked]",
    answer: Callable[[Asked], Awaitable[msgspec.Struct]],
    unusable: Callable[[SocketUnusable], None],
    *,
    request_limit: int = REQUEST_LIMIT,
) -> AsyncIterator[None]:
    """Within, operators may ask the service of a folder.

    A service does its work without: where the path is too long for a socket, that is told, and
    nobody is answered.

    Args:
        folder: The service's own.
        requests: Reads what is asked.
        answer: Gives the answer; BellwireError crosses to who asked.
        unusable: Told why there is no socket.
        request_limit: Longest request in bytes.
    """

    async def work(body: bytes) -> bytes:
        request = requests.decode(body)
        try:
            return msgspec.msgpack.encode((None, await answer(request)))
        except BellwireError as error:
            refused = _Refused(error.exit_code, str(error), error.hint)
            return msgspec.msgpack.encode((refused, None))

    server = LocalServer(folder / SOCKET, work, request_limit=request_limit)
    try:
        await server.start()
    except SocketUnusable as error:
        unusable(error)
        yield
        return
    try:
        yield
    finally:
        await server.close()


async def ask_operated(
    folder: Path,
    request: msgspec.Struct,
    kind: type[Kind],
    *,
    within_s: float = ANSWER_WITHIN_S,
) -> Kind:
    """Ask the service of a folder.

    Args:
        folder: The service's own.
        request: One that it knows.
        kind: Of the answer.
        within_s: How long it may take, seconds.

    Raises:
        NotAnswered: none runs there.
        AnswerMalformed: what answers is none.
        UsageError, RefusedError, UnreachableError, BellwireError: what it says.
    """
    body = await ask(
        folder / SOCKET,
        msgspec.msgpack.encode(request),
        answer_limit=ANSWER_LIMIT,
        timeout_s=within_s,
    )
    try:
        refused, found = _answers.decode(body)
        if refused is None:
            return msgspec.msgpack.decode(found, type=kind)
    except UNDECODABLE as error:
        raise AnswerMalformed(f"what answers in {folder} is no such service") from error
    raise _KINDS.get(refused.code, BellwireError)(refused.message, hint=refused.hint)


_answers: "msgspec.msgpack.Decoder[tuple[_Refused | None, Any]]" = msgspec.msgpack.Decoder(
    tuple[_Refused | None, msgspec.Raw]
)
