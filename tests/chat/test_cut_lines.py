"""Lines that are cut behind each frame: who waits on one is told, and all comes once, in order.

What must hold, wherever a line ends: whoever dropped hears what became of it, or that the line has
ended; what was delivered is said to be safe, or delivered again on the next line, and takes none of
its room; a courier that is told to end does.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.chat.relay.running import account, mailbox, owner_at, relay_on, right, run
from tests.chat.relay.wire import frame_of
from tests.chat.store.people import NOW, Two
from tests.patience import PATIENCE_S

from bellwire.chat import courier as courier_module
from bellwire.chat.content import ContentKind
from bellwire.chat.courier import Book, Courier, LineState, Route, Told, Unshown
from bellwire.chat.errors import Replayed
from bellwire.chat.relay.frames import Op
from bellwire.chat.relay.listening import WINDOW
from bellwire.chat.relay.server import Relay
from bellwire.chat.relay.store import RelayStore
from bellwire.chat.store.receiving import Received

TOGETHER = 2
"""Messages that each side says at once."""


class Cutter:
    """Carries lines to a relay frame by frame, and does something behind one of them.

    Attributes:
        seen: What each frame was, in the order in which they passed.
        at: Behind how many of them something is done.
        act: What: is given the line.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._lines: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self.seen: list[int] = []
        self.at = 0
        self.act: Callable[[asyncio.Task[None]], None] = self.cut

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """The address that takes lines."""
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()
        lines = list(self._lines)
        for each in lines:
            self.cut(each)
        await asyncio.gather(*lines, return_exceptions=True)
        await server.wait_closed()

    def cut(self, line: asyncio.Task[None]) -> None:
        """End one line; what has passed arrives."""
        for each in self._lines.get(line, []):
            each.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines[line] = ends = [writer]
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        ends.append(back)
        both = [
            asyncio.create_task(self._carry(line, reader, back)),
            asyncio.create_task(self._carry(line, there, writer)),
        ]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        del self._lines[line]
        for each in ends:
            each.close()
        await asyncio.gather(*both, return_exceptions=True)

    async def _carry(
        self,
        line: asyncio.Task[None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError, EOFError):
            writer.write(await reader.readuntil(b"\r\n\r\n"))
            while True:
                data, op = await frame_of(reader)
                writer.write(data)
                self.seen.append(op)
                if len(self.seen) == self.at:
                    self.act(line)


class Side:
    """One of two people, whose courier is hired and dismissed.

    Attributes:
        shown: What came from the other, from the beginning.
        changed: Set whenever the courier says something.
        ready: Set once it listens and sends.
    """

    def __init__(self, two: Two, name: str, url: str) -> None:
        self._two, self.name, self._url = two, name, url
        self._ours, theirs = (1, 2) if name == "alice" else (2, 1)
        self._routes = {
            two.ids[two.other(name)]: Route(mailbox(self._ours), right(self._ours), right(theirs))
        }
        self.shown = ["begin"]
        self.changed, self.ready = asyncio.Event(), asyncio.Event()
        self._up: set[bool] = set()
        self._work: list[asyncio.Task[None]] = []
        self._courier: Courier

    def _tell(self, told: Told) -> None:
        self.changed.set()
        match told:
            case Unshown(reason):
                assert isinstance(reason, Replayed)
            case LineState(sends, True, None):
                self._up.add(sends)
                if len(self._up) == 2:
                    self.ready.set()
            case LineState(sends):
                self._up.discard(sends)
                self.ready.clear()
            case Received(content=content, is_new=True) if content is not None:
                if content.kind is ContentKind.TEXT:
                    self.shown.append(content.text.decode())

    def hire(self) -> None:
        """Have a courier."""
        self._courier = Courier(
            self._two.people[self.name],
            account(20 + self._ours),
            self._url,
            lambda: Book(self._routes),
            self._tell,
            now=lambda: NOW,
        )
        self._work.append(asyncio.create_task(self._courier.run()))

    def replace(self) -> None:
        """Have another one."""
        self._work[-1].cancel()
        self._up.clear()
        self.ready.clear()
        self.hire()

    async def dismiss(self) -> None:
        """Have none, and see that each has ended."""
        self._work[-1].cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        assert all(each.cancelled() for each in self._work)

    def say(self, texts: list[str]) -> None:
        """All at once."""
        for each in texts:
            self._two.say(self.name, each)
        self._courier.wake()


@pytest.mark.parametrize("what", ["a line", "both couriers"])
def test_wherever_lines_are_cut_all_comes_once_in_order_and_nobody_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    for name in ("RETRY_S", "MAX_RETRY_S", "REFUSED_RETRY_S"):
        monkeypatch.setattr(courier_module, name, 0.001)
    monkeypatch.setattr(courier_module, "SAY_SAFE_S", PATIENCE_S)
    two = Two(tmp_path / "people")
    two.say("alice", "begin")
    two.settle()

    async def story() -> None:
        async with relay_on(RelayStore(tmp_path / "relay"), now=NOW) as (address, relay):
            for number in (1, 2):
                async with await owner_at(address, account(20 + number), boxes=0) as line:
                    await line.open_mailbox(mailbox(number), right(number))
            cutter = Cutter(int(address.rpartition(":")[2]))
            async with cutter.open() as url:
                sides = [Side(two, name, url) for name in ("alice", "bob")]

                def replace(_: asyncio.Task[None]) -> None:
                    for each in sides:
                        each.replace()

                cutter.act = cutter.cut if what == "a line" else replace
                for each in sides:
                    each.hire()
                said: list[str] = []
                ever: set[int] = set()
                whole = False
                while not whole:
                    for each in sides:
                        await each.ready.wait()
                    at = len(said) // TOGETHER + 1
                    cutter.seen.clear()
                    cutter.at = at
                    said += [f"{at} {number}" for number in range(TOGETHER)]
                    for each in sides:
                        each.say(said[-TOGETHER:])
                    for each in sides:
                        while each.shown[-1] != said[-1] or two.people[each.name].outbox():
                            each.changed.clear()
                            await each.changed.wait()
                    ever.update(cutter.seen)
                    whole = len(cutter.seen) < at
                    await settled(relay)
                assert {Op.DROP_BUNDLE, Op.DELIVER_BUNDLE, Op.SAFE_UP_TO} <= ever
                for each in sides:
                    await each.dismiss()
                    assert each.shown[1:] == said

    run(story())
    two.close()


async def settled(relay: Relay) -> None:
    """Return once nothing is under way at a relay."""
    while True:
        under_way = [
            each.listening.room for each in relay.listeners.values() if each.listening is not None
        ]
        if not relay._waiting and not relay._waiting_bytes and set(under_way) <= {WINDOW}:
            return
        await asyncio.sleep(0.001)
