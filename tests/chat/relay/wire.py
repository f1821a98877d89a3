"""A wire to a relay that cuts lines, and repeats, withholds and swaps what the relay delivers."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable

from bellwire.chat.relay.frames import Op

WITHHELD_S = 0.02
"""How long a frame waits for another to overtake it, and a line lives of which one was lost."""

_DELIVERED = {bytes([Op.DELIVER]), bytes([Op.DELIVER_BUNDLE])}


class Wire:
    """Use as an asynchronous context manager.

    Args:
        port: Says where the relay listens now.
        drawn: Of what happens to which frame.
        rate: Share of delivered payloads that something happens to.

    Attributes:
        happened: What, and how often.
    """

    def __init__(self, port: Callable[[], int], drawn: random.Random, rate: float) -> None:
        self._port = port
        self._drawn = drawn
        self._rate = rate
        self.happened: Counter[str] = Counter()
        self._lines: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.cut()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def cut(self) -> None:
        """End all lines, wherever they are in what they carry."""
        lines = list(self._lines)
        for each in lines:
            each.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        ends = [writer]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port())
            ends.append(back)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, back))
                both.create_task(self._deliver(there, writer))
        except* (OSError, EOFError, _Ended):
            pass  # the relay is away, one side has ended the line, or we have
        except* asyncio.CancelledError:
            pass  # asyncio's streams would report a cancelled handler
        finally:
            for each in ends:
                each.transport.abort()
            for each in ends:
                with contextlib.suppress(OSError):
                    await each.wait_closed()
            self._lines.discard(task)

    async def _deliver(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readuntil(b"\r\n\r\n"))
        loop = asyncio.get_running_loop()
        held = b""
        until: float | None = None
        frame: asyncio.Task[bytes] | None = None
        try:
            while True:
                frame = frame or asyncio.create_task(_frame(reader))
                wait_s = None if until is None else until - loop.time()
                if not (await asyncio.wait({frame}, timeout=wait_s))[0]:
                    if not held:
                        raise _Ended  # of a frame that was lost: the relay has to send it again
                    writer.write(held)
                    held, until = b"", None
                    continue
                data, frame = frame.result(), None
                what = self._fate(data, busy=until is not None)
                self.happened[what] += bool(what)
                if what == "swapped":
                    held, until = data, loop.time() + WITHHELD_S
                    continue
                if what == "lost":
                    until = loop.time() + WITHHELD_S
                    continue
                writer.write(data * (2 if what == "repeated" else 1) + held)
                if held:
                    held, until = b"", None
        finally:
            if frame is not None:
                frame.cancel()
                await asyncio.gather(frame, return_exceptions=True)

    def _fate(self, data: bytes, *, busy: bool) -> str:
        at = {126: 4, 127: 10}.get(data[1] & 127, 2)
        if busy or data[at : at + 1] not in _DELIVERED or self._drawn.random() >= self._rate:
            return ""
        return self._drawn.choice(("swapped", "lost", "repeated"))


class _Ended(Exception):
    """We end the line."""


async def _frame(reader: asyncio.StreamReader) -> bytes:
    return (await frame_of(reader))[0]


async def frame_of(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """One frame of either side, as it crossed the line, and the first byte of what is in it.

    What a client sends is masked (RFC 6455, 5.2 and 5.3).
    """
    head = await reader.readexactly(2)
    more = {126: 2, 127: 8}.get(head[1] & 127, 0)
    head += await reader.readexactly(more)
    length = int.from_bytes(head[2:], "big") if more else head[1] & 127
    mask = await reader.readexactly(4) if head[1] & 128 else bytes(4)
    body = await reader.readexactly(length)
    first = body[0] ^ mask[0] if body else 0
    return head + (mask if head[1] & 128 else b"") + body, first


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    raise _Ended
