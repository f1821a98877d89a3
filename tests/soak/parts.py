"""The parts of a soak: the services of `bellwire up`, and who uses them all the while.

All on this namespace's usual ports: SAEs over HTTPS, a device that sends numbered lines, and two
people who talk. Each part counts what it began and what came of it.
"""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import psutil

from bellwire.services.overview import overview

KME = {"a": "https://127.0.0.1:8441", "b": "https://127.0.0.1:8442"}
CLOUD = "127.0.0.1:8470"
RELAY = ("127.0.0.1", 8765)
LOG = "http://127.0.0.1:8480"
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
STARTS_WITHIN_S = 240.0
DRAINS_WITHIN_S = 180.0
ENDS_WITHIN_S = 120.0
LINE_EVERY_S = 0.1
WORD_EVERY_S = 0.5
SRC = Path(__file__).resolve().parents[2] / "src"
ASKED = Path(__file__).resolve().parent / "asked"
SAYS_WITHIN_S = 5.0


class Unsound(Exception):
    """Something that must come did not come."""


def environment(state: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Of a program: settings that give blocks often, and its own."""
    ours = {key: value for key, value in os.environ.items() if "BELLWIRE_" not in key}
    return {
        **ours,
        **settings,
        "BELLWIRE_STATE__DIR": str(state),
        "BELLWIRE_LOG__LEVEL": "warning",
        "BELLWIRE_DISTILL__TARGET_STOCK_BITS": "200000",
        "PYTHONPATH": f"{SRC}{os.pathsep}{ASKED}",
        "PYTHONFAULTHANDLER": "1",
    }


async def begin(
    state: Path, *words: str, log: Path | None = None, settings: Mapping[str, str] = NO_SETTINGS
) -> asyncio.subprocess.Process:
    """A bellwire of its own."""
    with contextlib.ExitStack() as stack:
        err: Any = asyncio.subprocess.DEVNULL
        if log is not None:
            err = stack.enter_context(log.open("ab"))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bellwire", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=err,
            env=environment(state, settings),
            limit=1 << 22,
        )


async def command(
    state: Path, *words: str, settings: Mapping[str, str] = NO_SETTINGS
) -> tuple[int, Any]:
    """Exit code and document of a command that ends, and prints one."""
    process = await begin(state, *words, settings=settings)
    out, _ = await process.communicate()
    return process.returncode or 0, json.loads(out or b"null")


async def ends(process: asyncio.subprocess.Process, within_s: float) -> bool:
    """Whether a process ends; one that does not has to, and says in its log where it was."""
    try:
        async with asyncio.timeout(within_s):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):  # it ends at last
            process.send_signal(signal.SIGUSR2)  # its tasks
            await asyncio.sleep(SAYS_WITHIN_S)
            process.send_signal(signal.SIGABRT)  # its threads
        await process.wait()
        return False
    return True


class Machine:
    """All services, minded by `bellwire up --lab`; `up` itself may be killed.

    Args:
        folder: Of the soak.
        settings: Variables with settings for them.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] = NO_SETTINGS) -> None:
        self.folder = folder
        self.state = folder / "s"
        self.settings = settings
        self._up: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start `up`, and wait until all are ready."""
        self._up = await begin(
            *(self.state, "up", "--lab", "--json"),
            log=self.folder / "up.log",
            settings=self.settings,
        )
        assert self._up.stdout is not None
        async with asyncio.timeout(STARTS_WITHIN_S):
            line = await self._up.stdout.readline()
        if not json.loads(line or b"{}").get("ready"):
            raise Unsound(f"the services did not start: {line.decode()[:500]}")

    async def kill(self) -> None:
        """Kill `up` as by `kill -9`; its services end with it."""
        children = self.processes()
        if self._up is not None:
            with contextlib.suppress(ProcessLookupError):
                self._up.kill()
            await self._up.wait()
        async with asyncio.timeout(60):
            while any(each.is_running() and each.status() != "zombie" for each in children):
                for each in children:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.resume()  # one that is frozen could not end
                await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self._up is not None and self._up.returncode is None:
            self._up.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await self._up.wait()
                return
            self._up.kill()

    def processes(self) -> list[psutil.Process]:
        """Of the services."""
        if self._up is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._up.pid).children(recursive=True)
        return []

    async def services(self) -> dict[str, dict[str, Any]]:
        """As `bellwire status` shows them, by name."""
        found = await overview(self.state)
        return {each["name"]: each for each in found["services"]}

    async def well(self) -> bool:
        """Whether all services are ready and both nodes let keys flow."""
        with contextlib.suppress(Exception):  # a soak asks at the worst of moments
            found = await overview(self.state)
            ready = all(each["state"] == "running" for each in found["services"])
            return ready and all(node.get("keys_may_flow") for node in found["nodes"])
        return False

    @property
    def memory_mb(self) -> float:
        """Resident memory of all services."""
        total = 0
        for each in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += each.memory_info().rss
        return total / 1e6


class Door:
    """A site's KME, as its SAE asks it (`tools.kill_kmes.Asked`)."""

    def __init__(self, state: Path, site: str) -> None:
        folder, name = state / "saes" / f"app-{site}", f"app-{site}"
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        self._client = httpx.AsyncClient(verify=context, trust_env=False, timeout=15.0)
        self._base = f"{KME[site]}/api/v1/keys"
        self.lives = 0
        self.up = asyncio.Event()
        self.up.set()

    async def ask(self, path: str, body: dict[str, object]) -> tuple[int, bytes] | None:
        """The answer to a request; None where there was none."""
        try:
            answer = await self._client.post(f"{self._base}/{path}", json=body)
        except httpx.HTTPError:
            return None
        return answer.status_code, answer.content

    async def close(self) -> None:
        """End its connections."""
        await self._client.aclose()


class Device:
    """`bellwire device run`, which is given a numbered line every so often.

    Args:
        machine: Whose node A gives it keys.
        name: Its own.
        cloud: Folder of the cloud that admits it.
        address: Where that is reached.
    """

    def __init__(self, machine: Machine, name: str, cloud: Path, address: str) -> None:
        self._machine, self._cloud, self._address = machine, cloud, address
        self._home = machine.folder / name
        self.name = name
        self.sent = 0

    async def run(self, seconds: float) -> Counter[str]:
        """Send for so long, and until the cloud has all; what went wrong."""
        cloud, keys = self._cloud, self._machine.state / "node-a" / "keys.sock"
        code, told = await command(
            self._home,
            *("device", "enroll", "--json", "--name", self.name),
            *("--cloud-key", str(cloud / "cloud.pub"), "--allow", str(cloud / "allowed")),
        )
        if code:
            raise Unsound(f"the device could not enrol: {told}")
        process = await begin(
            self._home,
            *("device", "run", "--data", "-", "--to", self._address, "--json"),
            *("--keys", str(keys), "--qkd", "prefer"),
            log=self._machine.folder / f"{self.name}.log",
        )
        assert process.stdin is not None
        until = time.monotonic() + seconds
        while time.monotonic() < until and process.returncode is None:
            process.stdin.write(f"{self.sent}\n".encode())
            self.sent += 1
            await asyncio.sleep(LINE_EVERY_S)
        ended = process.returncode is not None
        process.stdin.close()
        hangs = not await ends(process, DRAINS_WITHIN_S)
        found = self._arrived(cloud / "devices")
        wanted = [str(number) for number in range(self.sent)]
        return Counter(
            {
                "readings lost": len(set(wanted) - set(found)),
                "readings doubled": len(found) - len(set(found)),
                "readings out of order": int(found != sorted(found, key=int)),
                "devices that ended": int(ended),
                "devices that did not end": int(hangs),
            }
        )

    @staticmethod
    def _arrived(devices: Path) -> list[str]:
        files = sorted(devices.glob("*/*.readings"))
        return [line for each in files for line in each.read_text().split()]


class Person:
    """`bellwire chat --plain`, which says something every so often."""

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine = machine
        self.name = name
        self.said: list[str] = []
        self.heard: list[str] = []
        self.ended = False
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Begin to listen."""
        log = self._machine.folder / f"{self.name}.log"
        words = ("chat", "--plain", "--json", "--as", self.name, "--stay")
        self._process = await begin(self._machine.state, *words, log=log)

    async def listen(self) -> None:
        """Hear until the program ends."""
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            if told.get("event") == "message":
                self.heard.append(told["text"])
        self.ended = True

    def say(self) -> None:
        """One more."""
        assert self._process is not None
        assert self._process.stdin is not None
        if not self.ended:
            text = f"{self.name} {len(self.said)}"
            self._process.stdin.write(f"{text}\n".encode())
            self.said.append(text)

    async def leave(self) -> bool:
        """End the program; whether it does."""
        if self._process is None or self._process.returncode is not None:
            return True
        self._process.terminate()
        return await ends(self._process, ENDS_WITHIN_S)


class Chat:
    """Alice at site a and Bob at site b."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.people = [Person(machine, name) for name in ("alice", "bob")]

    @property
    def messages(self) -> int:
        """How many were said."""
        return sum(len(person.said) for person in self.people)

    async def run(self, seconds: float) -> Counter[str]:
        """Talk for so long, and until all has come; what went wrong."""
        state = self._machine.state
        code, made = await command(state, "chat", "new", "alice", "--site", "a", "--json")
        link = self._machine.folder / "alice.contact"
        link.write_text(made.get("link", "") if code == 0 else "")
        words = ("chat", "new", "bob", "--site", "b", "--json", "--add", str(link))
        other, told = await command(state, *words)
        if code or other:
            raise Unsound(f"the people could not meet: {made if code else told}")
        alice, bob = self.people
        for person in self.people:
            await person.start()
        listening = [asyncio.create_task(person.listen()) for person in self.people]
        bob.say()  # his first words tell her client how he is reached
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(WORD_EVERY_S)
            bob.say()
            if alice.heard:
                alice.say()
        drained = time.monotonic() + DRAINS_WITHIN_S
        while time.monotonic() < drained and not self._all_came():
            await asyncio.sleep(0.2)
        ended = sum(person.ended for person in self.people)
        left = [await person.leave() for person in self.people]
        await asyncio.gather(*listening)
        clients = {
            "people whose client ended": ended,
            "clients that did not end": left.count(False),
        }
        return self._judged() + Counter(clients)

    def _pairs(self) -> list[tuple[list[str], list[str]]]:
        alice, bob = self.people
        return [(alice.said, bob.heard), (bob.said, alice.heard)]

    def _all_came(self) -> bool:
        return all(len(heard) >= len(said) for said, heard in self._pairs())

    def _judged(self) -> Counter[str]:
        wrong: Counter[str] = Counter()
        for said, heard in self._pairs():
            wrong["messages lost"] += len(set(said) - set(heard))
            wrong["messages doubled"] += len(heard) - len(set(heard))
            order = [text for text in said if text in set(heard)]
            wrong["messages out of order"] += int(list(dict.fromkeys(heard)) != order)
        return wrong
