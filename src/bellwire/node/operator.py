"""What an operator on the same machine may ask a node: run a block, say how blocks went.

A Unix socket that only the node's owner may open (`base.local`); messages are MessagePack arrays.
Reports are public: no request has key bits in its answer.
"""

from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.detections import Protocol
from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError
from bellwire.base.limits import MAX_PULSES
from bellwire.base.local import AnswerMalformed, LocalServer, ask
from bellwire.etsi014.record import MAX_MARK, SessionNow
from bellwire.keys.history import MAX_HISTORY, History
from bellwire.keys.status_log import StatusRecord
from bellwire.ledger.outbox.outbox import MAX_PROBLEM
from bellwire.node.accounts import Accounts
from bellwire.node.overheard import Message

if TYPE_CHECKING:  # an operator that asks need not load what a node is made of
    from bellwire.node.service import NodeService

REQUEST_LIMIT = 1 << 10
ANSWER_LIMIT = 8 << 20
BLOCK_TIMEOUT_S = 120.0
MAX_RECORDS = 5000
ANSWER_WITHIN_S = 10.0


class Distil(msgspec.Struct, frozen=True, array_like=True, tag="distil"):
    """Run one block."""

    protocol: Protocol
    pulses: Annotated[int, Meta(ge=1, le=MAX_PULSES)]


class GetReports(msgspec.Struct, frozen=True, array_like=True, tag="reports"):
    """Reports after the one of that running number."""

    after: Annotated[int, Meta(ge=0, le=1 << 62)]


class GetAccounts(msgspec.Struct, frozen=True, array_like=True, tag="accounts"):
    """How much key there is, and what tags cost."""


class Balance(msgspec.Struct, frozen=True, array_like=True, tag="balance"):
    """Fields of `service.Accounts`, in its order."""

    stock_bits: int
    reserve_sets: int
    consumed_bits: int
    refilled_bits: int
    first_contact: Annotated[str, Meta(max_length=64)] | None
    ledger_waiting: Annotated[int, Meta(ge=0)] | None
    ledger_oldest_at: float | None
    ledger_problem: Annotated[str, Meta(max_length=MAX_PROBLEM)]


class GetHistory(msgspec.Struct, frozen=True, array_like=True, tag="history"):
    """What a backup takes from the node's store."""


class Past(msgspec.Struct, frozen=True, array_like=True, tag="past"):
    """The history of the node's store."""

    history: History


class GetRecords(msgspec.Struct, frozen=True, array_like=True, tag="records"):
    """The last records of the link's status, at most so many."""

    most: Annotated[int, Meta(ge=1, le=MAX_RECORDS)]


class Records(msgspec.Struct, frozen=True, array_like=True, tag="recorded"):
    """Records of the link's status, ascending."""

    records: list[StatusRecord]


class GetOverheard(msgspec.Struct, frozen=True, array_like=True, tag="overheard"):
    """What crossed the public channel of sessions, or of one, after that running number."""

    after: Annotated[int, Meta(ge=0, le=1 << 62)]
    session: Annotated[str, Meta(max_length=36)] = ""


class Heard(msgspec.Struct, frozen=True, array_like=True, tag="heard"):
    """Messages of sessions, oldest first."""

    messages: list[Message]


class GetUnfolding(msgspec.Struct, frozen=True, array_like=True, tag="unfolding"):
    """What is known of a session under way, once that is newer than a number; a second at most."""

    mark: Annotated[str, Meta(min_length=1, max_length=MAX_MARK)]
    after: Annotated[int, Meta(ge=0, le=1 << 62)]


class Unfolded(msgspec.Struct, frozen=True, array_like=True, tag="unfolded"):
    """What is known, and its number; None: nothing new."""

    number: int
    session: SessionNow | None


class Reload(msgspec.Struct, frozen=True, array_like=True, tag="reload"):
    """Read the settings and certificates again."""


class TakenOver(msgspec.Struct, frozen=True, array_like=True, tag="taken"):
    """Names of settings that changed: those that count now, and those that need a restart."""

    taken: tuple[str, ...]
    waiting: tuple[str, ...]


class Reports(msgspec.Struct, frozen=True, array_like=True, tag="reported"):
    """Reports as plain values: (running number, seconds since the epoch, report)."""

    reports: list[tuple[int, float, dict[str, Any]]]


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """Why it could not be done, and the exit code that says it."""

    code: int
    message: str


Request = (
    Distil
    | GetReports
    | GetAccounts
    | GetHistory
    | GetRecords
    | GetOverheard
    | GetUnfolding
    | Reload
)
Answer = Reports | Balance | Past | Records | Heard | Unfolded | TakenOver | Failed
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def operator_server(path: Path, node: "NodeService") -> LocalServer:
    """A server at `path` that lets operators ask `node`."""

    async def answer(body: bytes) -> bytes:
        return msgspec.msgpack.encode(await _answer(node, _requests.decode(body)))

    return LocalServer(path, answer, request_limit=REQUEST_LIMIT)


async def _answer(node: "NodeService", request: Request) -> Answer:
    try:
        match request:
            case Distil(protocol, pulses):
                node.note("block asked for", protocol=protocol.value, pulses=pulses)
                report = await node.distil(protocol, pulses)
                return Reports([(0, 0.0, report.to_dict())])
            case GetReports(after):
                return Reports([(n, t, r.to_dict()) for n, t, r in node.reports(after)])
            case GetAccounts():
                return Balance(*astuple(await node.accounts()))
            case GetRecords() | GetHistory():
                return await _kept(node, request)
            case Reload() | GetOverheard() | GetUnfolding():
                return _reload(node) if isinstance(request, Reload) else await _told(node, request)
    except BellwireError as error:
        return Failed(error.exit_code, str(error))


async def _told(node: "NodeService", request: GetOverheard | GetUnfolding) -> Heard | Unfolded:
    """What is known of sessions, or what of them crossed the channel."""
    if isinstance(request, GetUnfolding):
        return Unfolded(*await node.sessions.unfolding.after(request.mark, request.after))
    if node.sessions.overheard is None:
        raise RefusedError(
            "nothing is overheard outside the lab",
            hint="Start the node with --lab, or all services with: bellwire up --lab",
        )
    return Heard(node.sessions.overheard.after(request.after, request.session))


def _reload(node: "NodeService") -> TakenOver:
    if node.reload is None:
        raise UsageError("this node was put together without settings to read again")
    done = node.reload()
    return TakenOver(done.taken, done.waiting)


async def _kept(node: "NodeService", request: GetRecords | GetHistory) -> Records | Past:
    """What the store has of the past."""
    if isinstance(request, GetHistory):
        return Past(await node.history())
    return Records(list(await node.status_records(0.0, request.most)))


class OperatorClient:
    """Asks the node whose operator socket is at `path`.

    Every call raises AnswerMalformed where something else than such a node answers, and, as the
    node says, UsageError, RefusedError, UnreachableError or BellwireError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def distil(self, protocol: Protocol, pulses: int) -> dict[str, Any]:
        """Run one block; its report.

        Raises:
            UsageError, UnreachableError, BellwireError: what the node says.
        """
        reports = await self._reports(Distil(protocol, pulses), BLOCK_TIMEOUT_S)
        if len(reports) != 1:
            raise AnswerMalformed(f"expected the block's report from the node at {self._path}")
        return reports[0][2]

    async def reports(self, after: int = 0) -> list[tuple[int, float, dict[str, Any]]]:
        """(running number, seconds since the epoch, report) of blocks and probes after `after`."""
        return await self._reports(GetReports(after), ANSWER_WITHIN_S)

    async def accounts(self) -> Accounts:
        """How much key the node has, and what its tags cost since its start."""
        answer = await self._ask(GetAccounts(), ANSWER_WITHIN_S)
        if not isinstance(answer, Balance):
            raise AnswerMalformed(f"expected a balance of the node at {self._path}")
        return Accounts(*msgspec.structs.astuple(answer))

    async def records(self, most: int) -> list[StatusRecord]:
        """The last records of the link's status, at most so many, ascending."""
        answer = await self._ask(GetRecords(most), ANSWER_WITHIN_S)
        if not isinstance(answer, Records):
            raise AnswerMalformed(f"expected records of the node at {self._path}")
        return answer.records

    async def history(self) -> History:
        """What a backup takes from the node's store."""
        answer = await self._ask(GetHistory(), ANSWER_WITHIN_S, MAX_HISTORY)
        if not isinstance(answer, Past):
            raise AnswerMalformed(f"expected a history of the node at {self._path}")
        return answer.history

    async def overheard(self, after: int = 0, session: str = "") -> list[Message]:
        """What crossed the public channel of sessions after a message, oldest first.

        Args:
            after: Running number of the message.
            session: Id of the only session to tell of; empty: of all.

        Raises:
            RefusedError: the node is not in the lab.
        """
        answer = await self._ask(GetOverheard(after, session), ANSWER_WITHIN_S)
        if not isinstance(answer, Heard):
            raise AnswerMalformed(f"expected messages overheard by the node at {self._path}")
        return answer.messages

    async def unfolding(self, mark: str, after: int = 0) -> tuple[int, SessionNow | None]:
        """What is known of a session under way that was asked for with a mark, once it is new.

        Args:
            mark: See above.
            after: Number of what is known already.

        Returns:
            Its number, and what is known; None if nothing was new within a second.
        """
        answer = await self._ask(GetUnfolding(mark, after), ANSWER_WITHIN_S)
        if not isinstance(answer, Unfolded):
            raise AnswerMalformed(f"expected a session of the node at {self._path}")
        return answer.number, answer.session

    async def reload(self) -> TakenOver:
        """Have the node read its settings and certificates again.

        Raises:
            UsageError, BellwireError: what the node says; it goes on as before.
        """
        answer = await self._ask(Reload(), ANSWER_WITHIN_S)
        if not isinstance(answer, TakenOver):
            raise AnswerMalformed(f"expected what the node at {self._path} took over")
        return answer

    async def _reports(
        self, request: Request, timeout_s: float
    ) -> list[tuple[int, float, dict[str, Any]]]:
        answer = await self._ask(request, timeout_s)
        if not isinstance(answer, Reports):
            raise AnswerMalformed(f"expected reports of the node at {self._path}")
        return answer.reports

    async def _ask(
        self, request: Request, timeout_s: float, answer_limit: int = ANSWER_LIMIT
    ) -> Reports | Balance | Past | Records | Heard | Unfolded | TakenOver:
        body = await ask(
            self._path,
            msgspec.msgpack.encode(request),
            answer_limit=answer_limit,
            timeout_s=timeout_s,
        )
        try:
            answer = _answers.decode(body)
        except UNDECODABLE as error:
            raise AnswerMalformed(f"expected an answer of a node at {self._path}") from error
        if isinstance(answer, Failed):
            kinds = {2: UsageError, 3: RefusedError, 4: UnreachableError}
            raise kinds.get(answer.code, BellwireError)(answer.message)
        return answer
