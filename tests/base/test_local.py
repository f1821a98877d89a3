"""A local socket outlives bad callers, is one process's at a time, and leaves nothing behind."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from bellwire.base import local
from bellwire.base.frames import read_frame, write_frame
from bellwire.base.local import (
    AnswerMalformed,
    LocalServer,
    NotAnswered,
    SocketUnusable,
    ask,
)

LIMIT = 1024


async def mirror(body: bytes) -> bytes:
    """The request turned round; `no`, `utf` and `deep` are no requests."""
    if body == b"no":
        raise msgspec.DecodeError("no request")
    if body == b"utf":
        msgspec.msgpack.decode(b"\xa2\xff\xfe")
    if body == b"deep":
        raise RecursionError
    return body[::-1]


async def asked(path: Path, body: bytes = b"abc", timeout_s: float = 10.0) -> bytes:
    return await ask(path, body, answer_limit=LIMIT, timeout_s=timeout_s)


def served(
    path: Path,
    test: Callable[[LocalServer], Awaitable[None]],
    answer: Callable[[bytes], Awaitable[bytes]] = mirror,
    *,
    withdraw: bool = False,
) -> None:
    """Run `test` while `answer` is served at `path`, and see that nothing is left."""

    async def run() -> None:
        async with LocalServer(path, answer, request_limit=8, withdraw=withdraw) as server:
            await test(server)

    asyncio.run(run())
    assert not path.exists()


def test_every_request_has_its_answer_on_one_connection_or_many(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def test(_: LocalServer) -> None:
        assert path.stat().st_mode & 0o777 == 0o600
        reader, writer = await asyncio.open_unix_connection(path)
        for body in (b"12", b"", b"abcdefgh"):
            await write_frame(writer, body)
            assert await read_frame(reader, LIMIT) == body[::-1]
            assert await asked(path, body) == body[::-1]
        writer.close()
        await writer.wait_closed()

    served(path, test)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">I", 2) + b"no",
        struct.pack(">I", 3) + b"utf",
        struct.pack(">I", 4) + b"deep",
        struct.pack(">I", 9),
        struct.pack(">I", 2**32 - 1),
        struct.pack(">I", 5) + b"half",
        b"\0\0",
        b"",
    ],
)
@pytest.mark.parametrize("withdraw", [False, True])
def test_a_caller_that_sends_no_request_is_cut_off_and_the_service_lives(
    tmp_path: Path, sent: bytes, withdraw: bool
) -> None:
    path = tmp_path / "s"

    async def test(_: LocalServer) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert await asked(path) == b"cba"

    served(path, test, withdraw=withdraw)


def test_a_surplus_caller_is_cut_off_until_another_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"

    async def test(_: LocalServer) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        await write_frame(writer, b"1")
        await read_frame(reader, LIMIT)
        with pytest.raises(NotAnswered):
            await asked(path)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert await asked(path) == b"cba"

    monkeypatch.setattr(local, "MAX_CALLERS", 1)
    served(path, test)


def test_an_idle_caller_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"

    async def test(_: LocalServer) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    monkeypatch.setattr(local, "IDLE_S", 0.01)
    served(path, test)


def test_a_caller_that_never_reads_does_not_hold_the_service_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    answering = asyncio.Event()

    async def huge(_: bytes) -> bytes:
        answering.set()
        return bytes(1 << 22)

    async def run() -> None:
        server = LocalServer(path, huge, request_limit=8)
        await server.start()
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(path))
            caller.sendall(struct.pack(">I", 1) + b"x")
            await answering.wait()
            await server.close()
        await server.close()

    monkeypatch.setattr(local, "END_WITHIN_S", 0.01)
    asyncio.run(run())
    assert not path.exists()


class Slow:
    """An answer that waits to be let go, and notes how it ended."""

    def __init__(self) -> None:
        self.begun, self.go, self.over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.cancelled = False

    async def __call__(self, body: bytes) -> bytes:
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.over.set()
        return body


@pytest.mark.parametrize("parting", [b"", b"x"])
def test_with_withdrawal_a_caller_that_leaves_or_speaks_takes_its_request_back(
    tmp_path: Path, parting: bytes
) -> None:
    slow = Slow()

    async def test(_: LocalServer) -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        await write_frame(writer, b"ab")
        await slow.begun.wait()
        if parting:
            writer.write(parting)
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await slow.over.wait()
        assert slow.cancelled

    served(tmp_path / "s", test, slow, withdraw=True)


def test_with_withdrawal_a_patient_caller_gets_its_answer(tmp_path: Path) -> None:
    slow = Slow()

    async def test(_: LocalServer) -> None:
        asking = asyncio.create_task(asked(tmp_path / "s"))
        await slow.begun.wait()
        slow.go.set()
        assert await asking == b"abc"

    served(tmp_path / "s", test, slow, withdraw=True)


def test_without_withdrawal_what_was_begun_is_finished(tmp_path: Path) -> None:
    slow = Slow()

    async def test(_: LocalServer) -> None:
        asking = asyncio.create_task(asked(tmp_path / "s"))
        await slow.begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        slow.go.set()
        await slow.over.wait()
        assert not slow.cancelled

    served(tmp_path / "s", test, slow)


def test_closing_cancels_what_is_being_answered_and_tells_the_caller(tmp_path: Path) -> None:
    slow = Slow()

    async def test(server: LocalServer) -> None:
        asking = asyncio.create_task(asked(tmp_path / "s"))
        await slow.begun.wait()
        await server.close()
        assert slow.cancelled
        with pytest.raises(NotAnswered):
            await asking

    served(tmp_path / "s", test, slow)


def test_a_left_over_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def test(_: LocalServer) -> None:
        second = LocalServer(path, mirror, request_limit=8)
        with pytest.raises(SocketUnusable, match="listens there") as caught:
            await second.start()
        assert caught.value.exit_code == 2
        await second.close()
        assert await asked(path) == b"cba"

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    served(path, test)


def test_what_is_no_socket_of_ours_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = LocalServer(path, mirror, request_limit=8)
    path.write_bytes(b"another's")
    with pytest.raises(SocketUnusable, match="not a socket"):
        asyncio.run(server.start())
    assert path.read_bytes() == b"another's"
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(path))
        with pytest.raises(SocketUnusable, match="expected to use"):
            asyncio.run(server.start())
        assert path.is_socket()


def test_a_file_that_took_the_sockets_place_outlives_the_service(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def run() -> None:
        async with LocalServer(path, mirror, request_limit=8):
            path.unlink()
            path.write_bytes(b"another's")

    asyncio.run(run())
    assert path.read_bytes() == b"another's"


def test_a_path_too_long_for_a_socket_is_named_with_a_hint(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / ("x" * 120), mirror, request_limit=8)
    with pytest.raises(SocketUnusable, match="expected to listen") as caught:
        asyncio.run(server.start())
    assert "shorter" in (caught.value.hint or "")


def test_where_nobody_answers_in_time_the_error_says_so(tmp_path: Path) -> None:
    slow = Slow()
    with pytest.raises(NotAnswered) as caught:
        asyncio.run(asked(tmp_path / "nobody"))
    assert caught.value.exit_code == 4

    async def test(_: LocalServer) -> None:
        with pytest.raises(NotAnswered) as late:
            await asked(tmp_path / "s", timeout_s=0.01)
        assert isinstance(late.value.__cause__, TimeoutError)

    served(tmp_path / "s", test, slow)


def test_an_answer_beyond_its_limit_is_malformed(tmp_path: Path) -> None:
    async def long(_: bytes) -> bytes:
        return bytes(LIMIT + 1)

    async def test(_: LocalServer) -> None:
        with pytest.raises(AnswerMalformed, match="too long"):
            await asked(tmp_path / "s")

    served(tmp_path / "s", test, long)


def test_a_connection_lost_while_it_closes_counts_as_closed(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def test(_: LocalServer) -> None:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(path))
            caller.sendall(struct.pack(">I", 1) + b"x")
        assert await asked(path) == b"cba"

    served(path, test)
