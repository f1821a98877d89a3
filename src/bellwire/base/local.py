"""Requests and answers between processes of one user on one machine, over a Unix socket.

The socket has mode 0600 in a folder of mode 0700: who may open it is trusted with what it serves,
and nobody else is asked for anything. A caller that sends what is no request is cut off; the
service lives. Bodies are `base.frames`.
"""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import BellwireError, UnreachableError, UsageError
from bellwire.base.frames import ConnectionEnded, FrameTooLarge, read_frame, write_frame
from bellwire.base.private import own_folder

MAX_SOCKET_PATH = 107
"""Bytes that Linux takes as the path of a Unix socket."""

MAX_CALLERS = 64
"""Callers at once; the next one is cut off."""

IDLE_S = 60.0
"""Seconds without a whole request after which a caller is cut off."""

END_WITHIN_S = 1.0
"""Seconds for what was written to reach a caller that goes; it cannot hold us longer."""


class SocketUnusable(UsageError):
    """The socket cannot be made at this path."""


class NotAnswered(UnreachableError):
    """Nobody listens at the path, or the answer did not come in time."""


class AnswerMalformed(BellwireError):
    """Whoever listens there does not speak this protocol."""


class LocalServer:
    """Answers callers at `path` between `start` and `close`.

    Args:
        path: The socket; its folder is made if it is missing.
        answer: Gives the answer to a request, or raises one of UNDECODABLE for what is none.
        request_limit: Longest request in bytes.
        withdraw: Whether a caller that leaves takes its unanswered request back: the answer being
            made is cancelled. Without it, what was begun is finished.
    """

    def __init__(
        self,
        path: Path,
        answer: Callable[[bytes], Awaitable[bytes]],
        *,
        request_limit: int,
        withdraw: bool = False,
    ) -> None:
        self._path = path
        self._answer = answer
        self._request_limit = request_limit
        self._withdraw = withdraw
        self._server: asyncio.Server | None = None
        self._inode: int | None = None
        self._callers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            SocketUnusable: another process listens there, a file is there, or the path is too long.
            PathUnusable, PathExposed: the folder cannot be made, or is open to others.
        """
        own_folder(self._path.parent)
        _clear_left_over(self._path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(self._path))
            # Nobody can connect before the server listens, so the mode is right in time.
            self._path.chmod(0o600)
            self._inode = self._path.stat().st_ino
            self._server = await asyncio.start_unix_server(self._serve, sock=listening)
        except OSError as error:
            listening.close()
            raise SocketUnusable(
                f"expected to listen at {self._path}, got: {error}",
                hint="A socket's path holds at most about 100 bytes; a shorter state folder helps.",
            ) from error

    async def close(self) -> None:
        """Stop listening, cut off who is connected, remove the socket; again is harmless."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        callers = list(self._callers)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await server.wait_closed()
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if len(self._callers) < MAX_CALLERS:
                self._callers.add(task)
                await self._converse(reader, writer)
        except (ConnectionEnded, FrameTooLarge, TimeoutError, *UNDECODABLE):
            pass  # The caller left, or does not speak this protocol: its connection ends here.
        except asyncio.CancelledError:
            pass  # By `close`; asyncio's streams report a handler that ends cancelled.
        finally:
            self._callers.discard(task)
            await _end(writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_S):
                request = await read_frame(reader, self._request_limit)
            if self._withdraw:
                answer = await _unless_left(self._answer(request), reader)
            else:
                answer = await self._answer(request)
            async with asyncio.timeout(IDLE_S):
                await write_frame(writer, answer)


async def _unless_left(work: Awaitable[bytes], reader: asyncio.StreamReader) -> bytes:
    """The work's result; ConnectionEnded, the work cancelled, if the caller leaves first.

    A caller that speaks before it has its answer breaks the protocol and counts as one that left.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ConnectionEnded("the caller left before its answer was made")
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def ask(path: Path, request: bytes, *, answer_limit: int, timeout_s: float) -> bytes:
    """Ask whoever listens at `path`, on a connection of its own.

    Raises:
        NotAnswered: nobody answers in time.
        AnswerMalformed: the answer is longer than `answer_limit`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                await write_frame(writer, request)
                return await read_frame(reader, answer_limit)
            finally:
                await _end(writer)
    except (OSError, ConnectionEnded) as error:  # TimeoutError is an OSError.
        raise NotAnswered(f"expected a service at {path}, got no answer") from error
    except FrameTooLarge as error:
        raise AnswerMalformed(f"the answer from {path} is too long") from error


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and return when its socket is closed."""
    writer.close()
    try:
        async with asyncio.timeout(END_WITHIN_S):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except OSError:
        pass  # Lost before it was closed, which is closed, too.


def _clear_left_over(path: Path) -> None:
    """Remove the socket that a killed process left; SocketUnusable if a live one has it."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketUnusable(f"expected no file at {path}, got one that is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise SocketUnusable(
                f"expected to use {path}, got: {os.strerror(error.errno or 0)}"
            ) from error
    raise SocketUnusable(
        f"expected nobody at {path}, got a service that listens there",
        hint="Stop the other one, or choose another state folder.",
    )
