"""Two clients, two sites with real nodes, one relay that is killed: each message by its session."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tests.chat.relay.running import Process
from tests.node.test_door import doors
from tests.node.test_fresh import ALONG, warm
from tests.patience import PATIENCE_S

from bellwire.chat.messenger.home import Home, make
from bellwire.etsi014.profile import Profile, write_profile

SRC = Path(__file__).resolve().parents[2] / "src"
SITES = {"alice": "bob", "bob": "alice"}


class Client:
    """`bellwire chat --plain --json`, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[dict[str, Any]] = []
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.said.append(json.loads(line))
            self._more.set()

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first document that is wanted, of those that came or will come."""
        seen = 0
        while True:
            self._more.clear()
            for each in self.said[seen:]:
                if wanted(each):
                    return each
            seen = len(self.said)
            await self._more.wait()

    def say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")

    def texts(self) -> list[str]:
        return [each["text"] for each in self.said if each["event"] == "message"]

    async def hears(self, text: str) -> dict[str, Any]:
        return await self.until(lambda each: each["event"] == "message" and each["text"] == text)

    async def is_told(self, kind: str) -> dict[str, Any]:
        """A note with an alert of this kind."""
        found = await self.until(lambda each: each.get("alert", {}).get("kind") == kind)
        session: dict[str, Any] = found["alert"]["session"]
        return session

    async def answer(self, text: str, field: str) -> dict[str, Any]:
        """What a command answers, with this field in it."""
        before = len(self.said)
        self.say(text)
        return await self.until(
            lambda each: field in each and any(each is other for other in self.said[before:])
        )

    async def leaves(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = await self._process.wait()
        await self._reading
        return code


def environment(state: Path) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if "BELLWIRE_" not in key}
    return {**ours, "BELLWIRE_STATE__DIR": str(state), "PYTHONPATH": str(SRC)}


async def command(state: Path, *words: str) -> dict[str, Any]:
    """The document of a command that ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bellwire", *words, "--json",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, env=environment(state),
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    document: dict[str, Any] = json.loads(out)
    return document


@contextlib.asynccontextmanager
async def client(state: Path, who: str, *words: str) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bellwire", "chat", "--plain", "--json", "--as", who, *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment(state),
    )  # fmt: skip
    talking = Client(process)
    try:
        yield talking
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await talking._reading


class Tapped:
    """A relay behind a wire that keeps all bytes, as whoever holds the wire does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heard = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                self.heard += data
                writer.write(data)
        with contextlib.suppress(OSError):
            writer.close()


def test_two_clients_talk_by_sessions_lose_nothing_with_the_relay_and_hear_of_eve(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes, contextlib.AsyncExitStack() as stack:
            state = tmp_path / "state"
            relay = await asyncio.to_thread(Process, tmp_path / "relay")
            relays = [relay]
            stack.callback(lambda: [each.stop() for each in relays])
            tapped = Tapped(relay.port)
            wire = await asyncio.start_server(tapped.take, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{wire.sockets[0].getsockname()[1]}"
            for who, peer in SITES.items():
                host, port = kmes.addresses["a" if who == "alice" else "b"]
                profile = Profile(f"https://{host}:{port}", who, kmes.credentials[who], peer)
                write_profile(state, who, profile)
                await asyncio.to_thread(make, state, who, Home(who.title(), who, url, "file"))
            made = await command(state, "chat", "link", "--as", "alice")
            (tmp_path / "link").write_text(made["link"])
            async with (
                wire,
                client(state, "alice") as alice,
                client(state, "bob", "--add", str(tmp_path / "link")) as bob,
            ):
                bob.say("first words of bob")
                heard = await alice.hears("first words of bob")
                (record,) = heard["sessions"]
                assert (record["verdict"], record["master"]) == ("accept", "bob")
                assert record["s"] > 2.5

                relays.pop().kill()
                for number in range(3):
                    bob.say(f"bob {number}")
                    alice.say(f"alice {number}")
                relays.append(await asyncio.to_thread(Process, tmp_path / "relay", relay.port))
                await alice.hears("bob 2")
                await bob.hears("alice 2")
                shown = await bob.answer("/session", "sessions")
                assert [each["verdict"] for each in shown["sessions"]] == ["accept"]

                kmes.pair.link.eve = ALONG
                alice.say("not for eve")
                for one in (alice, bob):
                    aborted = await one.is_told("eve")
                    assert aborted["s"] < 2
                assert "not for eve" not in bob.texts()
                shown = await alice.answer("/session", "sessions")
                assert [each["verdict"] for each in shown["sessions"]] == ["abort"]
                kmes.pair.link.eve = None
                await bob.hears("not for eve")

                assert [await alice.leaves(), await bob.leaves()] == [0, 0]
                assert alice.texts() == ["first words of bob", "bob 0", "bob 1", "bob 2"]
                assert bob.texts() == ["alice 0", "alice 1", "alice 2", "not for eve"]
            crossed = bytes(tapped.heard)
            assert len(crossed) > 100_000
            for secret in (b"first words", b"alice 1", b"bob 2", b"not for eve"):
                assert secret not in crossed

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    warm()
    asyncio.run(bounded())
