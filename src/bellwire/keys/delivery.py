"""The delivery socket: how a consumer on this machine gets keys from its node.

A Unix socket of mode 0600 in a folder of mode 0700: who may open it may have keys, and nobody else
is asked for anything. A consumer that sends anything but a request is cut off; the service lives.
Format: `spec/key-delivery-socket.md`.
"""

import asyncio
import contextlib
import os
import socket
import stat
from pathlib import Path
from types import TracebackType

import msgspec

from bellwire.base.errors import BellwireError, UsageError
from bellwire.base.frames import ConnectionEnded, FrameTooLarge, read_frame, write_frame
from bellwire.base.secret import Secret
from bellwire.keys.errors import (
    DeliveryFailed,
    KeyGone,
    KeyNotReady,
    LinkRed,
    NodeUnreachable,
    NotEnoughKey,
    SocketUnusable,
    StoreError,
)
from bellwire.keys.messages import (
    ANSWER_LIMIT,
    REQUEST_LIMIT,
    Answer,
    Draw,
    Fetch,
    GetStatus,
    Key,
    Refusal,
    Refused,
    Request,
    Status,
    decode_answer,
    decode_request,
    encode,
)
from bellwire.keys.model import DeliveredKey, KeyId, check_key_bits
from bellwire.keys.private import own_folder
from bellwire.keys.service import KeyService
from bellwire.keys.status import StatusView

MAX_CONNECTIONS = 64
"""Consumers at once; the next one is cut off."""

IDLE_S = 60.0
"""Seconds without a whole request after which a consumer is cut off."""

ANSWER_WITHIN_S = 10.0
"""Seconds that a consumer waits by default: far above a disk's sync."""


class DeliveryServer:
    """Answers consumers of keys at `path` between `start` and `close`."""

    def __init__(self, path: Path, keys: KeyService) -> None:
        self._path = path
        self._keys = keys
        self._server: asyncio.Server | None = None
        self._inode: int | None = None
        self._consumers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            SocketUnusable: another node listens there, a file is there, or the path cannot be used.
            StoreUnusable, StoreRefused: the folder cannot be made, or is open to others.
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
        consumers = list(self._consumers)
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
        await server.wait_closed()
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def __aenter__(self) -> "DeliveryServer":
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
            if len(self._consumers) < MAX_CONNECTIONS:
                self._consumers.add(task)
                await self._converse(reader, writer)
        except (ConnectionEnded, FrameTooLarge, TimeoutError, msgspec.DecodeError):
            pass  # The consumer left, or does not speak this protocol: its connection ends here.
        finally:
            self._consumers.discard(task)
            await _end(writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_S):
                request = decode_request(await read_frame(reader, REQUEST_LIMIT))
            answer = encode(await self._answer(request))
            async with asyncio.timeout(IDLE_S):
                await write_frame(writer, answer)

    async def _answer(self, request: Request) -> Answer:
        try:
            match request:
                case Draw(bits):
                    return _to_key(await self._keys.draw(bits))
                case Fetch(key_id):
                    return _to_key(await self._keys.fetch(KeyId.from_bytes(key_id)))
                case GetStatus():
                    return Status(self._keys.status())
        except BellwireError as error:
            return _to_refused(error)


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
            if delivered.key_id.bits == bits:
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
        answer = await self._ask(Fetch(key_id.to_bytes()))
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

    async def _ask(self, request: Request) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                reader, writer = await asyncio.open_unix_connection(self._path)
                try:
                    await write_frame(writer, encode(request))
                    return decode_answer(await read_frame(reader, ANSWER_LIMIT))
                finally:
                    await _end(writer)
        except (OSError, ConnectionEnded) as error:  # TimeoutError is an OSError.
            raise NodeUnreachable(
                f"expected a node at {self._path}, got no answer",
                hint="Is the node running, with this state folder?",
            ) from error
        except (FrameTooLarge, msgspec.DecodeError) as error:
            raise _unexpected() from error


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait until its socket is closed, too."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _clear_left_over(path: Path) -> None:
    """Remove the socket that a killed node left; raise SocketUnusable if a live one has it."""
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
        f"expected nobody at {path}, got a node that listens there",
        hint="Stop the other node, or choose another state folder.",
    )


def _to_key(delivered: DeliveredKey) -> Key:
    return Key(delivered.key_id.to_bytes(), delivered.key.reveal(), delivered.source)


def _from_key(answer: Key) -> DeliveredKey:
    try:
        key_id = KeyId.from_bytes(answer.key_id)
    except UsageError as error:
        raise _unexpected() from error
    if len(answer.key) * 8 != key_id.bits:
        raise _unexpected()
    return DeliveredKey(key_id, Secret(answer.key), answer.source)


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


def _refusal(answer: Refused) -> BellwireError:
    if answer.kind is Refusal.LINK_RED:
        return LinkRed(answer.message)
    if answer.kind is Refusal.BAD_REQUEST:
        return UsageError(answer.message)
    return DeliveryFailed(f"the node failed: {answer.message}")


def _unexpected() -> DeliveryFailed:
    return DeliveryFailed("expected an answer to the request, got something else")
