"""What an operator asks a node over its socket."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from tests.node.nodes import two_nodes
from tests.patience import PATIENCE_S

from bellwire.base.detections import Protocol
from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError
from bellwire.base.local import AnswerMalformed, LocalServer, NotAnswered
from bellwire.node import operator
from bellwire.node.operator import Balance, Distil, OperatorClient, Reports, operator_server
from bellwire.node.service import NodeService


def asked(folder: Path, ask: Callable[[OperatorClient], Awaitable[Any]], node: Any) -> Any:
    """What `ask` gets of a server in front of `node`."""

    async def work() -> Any:
        path = folder / "o.sock"
        async with asyncio.timeout(PATIENCE_S), operator_server(path, cast("NodeService", node)):
            return await ask(OperatorClient(path))

    return asyncio.run(work())


def test_a_block_its_report_and_the_accounts_of_both_nodes(tmp_path: Path) -> None:
    async def work() -> None:
        async with asyncio.timeout(PATIENCE_S), two_nodes(tmp_path) as pair:
            ends = {"a": pair.alice, "b": pair.bob}
            servers = [operator_server(tmp_path / name, node) for name, node in ends.items()]
            async with servers[0], servers[1]:
                alice, bob = (OperatorClient(tmp_path / name) for name in ends)
                report = None
                while report is None:
                    try:
                        report = await alice.distil(Protocol.BB84, 60_000)
                    except UnreachableError:
                        await asyncio.sleep(0.01)
                assert report["accepted"]
                ((at, _, told),) = await alice.reports()
                assert told == report
                assert await alice.reports(after=at) == []
                accounts = await alice.accounts()
                assert accounts.stock_bits > 0
                assert accounts.consumed_bits == report["authentication_bits"]
                with pytest.raises(UsageError, match="opened by Alice's node"):
                    await bob.distil(Protocol.BB84, 60_000)

    asyncio.run(work())


@pytest.mark.parametrize("kind", [BellwireError, UsageError, RefusedError, UnreachableError])
def test_what_the_node_cannot_do_arrives_with_its_exit_code(
    tmp_path: Path, kind: type[BellwireError]
) -> None:
    async def accounts() -> None:
        raise kind("no")

    with pytest.raises(kind, match="no") as caught:
        asked(tmp_path, lambda client: client.accounts(), SimpleNamespace(accounts=accounts))
    assert type(caught.value) is kind


@pytest.mark.parametrize("body", [b"", b"\xc1", msgspec.msgpack.encode(["failed", "x", 1])])
def test_an_answer_of_something_else_is_malformed(tmp_path: Path, body: bytes) -> None:
    async def work() -> None:
        async def answer(request: bytes) -> bytes:
            return body

        path = tmp_path / "o.sock"
        async with LocalServer(path, answer, request_limit=operator.REQUEST_LIMIT):
            with pytest.raises(AnswerMalformed, match="expected an answer of a node"):
                await OperatorClient(path).accounts()

    asyncio.run(work())


def test_an_answer_to_another_question_is_malformed(tmp_path: Path) -> None:
    async def work(answer_with: object, ask: Callable[[OperatorClient], Awaitable[Any]]) -> None:
        async def answer(request: bytes) -> bytes:
            return msgspec.msgpack.encode(answer_with)

        path = tmp_path / "o.sock"
        async with LocalServer(path, answer, request_limit=operator.REQUEST_LIMIT):
            with pytest.raises(AnswerMalformed):
                await ask(OperatorClient(path))

    asyncio.run(work(Reports([]), lambda client: client.accounts()))
    asyncio.run(work(Balance(1, 2, 3, 4, None, None, None, ""), lambda client: client.reports()))
    asyncio.run(work(Reports([]), lambda client: client.distil(Protocol.E91, 1)))


def test_a_block_beyond_every_bound_does_not_reach_the_node(tmp_path: Path) -> None:
    with pytest.raises(NotAnswered):
        asked(tmp_path, lambda client: client.distil(Protocol.E91, 1 << 62), SimpleNamespace())


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        asyncio.run(OperatorClient(tmp_path / "none").accounts())


def test_requests_are_small() -> None:
    assert len(msgspec.msgpack.encode(Distil(Protocol.E91, 1))) < operator.REQUEST_LIMIT
