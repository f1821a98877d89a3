"""What the services of a soak lean on: servers of others, and programs that `up` does not start.

PostgreSQL has the relay's store, a NATS server carries the node's words to a guard of the relay's
port, and a Mosquitto carries readings to a second cloud. Each is killed and started again as the
soak likes. What this machine has no program for is left out, and told.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.iot.broker import Mosquitto, mosquitto
from tests.keys.postgres.server import PROGRAMS, Server, running
from tests.network.conftest import NatsServer, served
from tests.soak.parts import STARTS_WITHIN_S, Machine, Unsound, begin, command

SITE = "a"
RESTARTS_AFTER_S = 1.0
LIMIT_S = 60.0


class Servers:
    """Servers of others.

    Attributes:
        settings: What they mean for the programs of the soak.
        left_out: Name → why there is none.
        broker: Address for devices and their cloud; None without one.
    """

    def __init__(self, folder: Path, without: frozenset[str]) -> None:
        self.settings: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.broker: str | None = None
        self._folder, self._without = folder, without
        self._stack = ExitStack()
        self._restarts: dict[str, Callable[[], None]] = {}

    @property
    def names(self) -> list[str]:
        """Of those that run."""
        return sorted(self._restarts)

    def start(self) -> None:
        """Start what there is."""
        if self._wanted("postgresql", there=(PROGRAMS / "pg_ctl").exists()):
            server = self._stack.enter_context(running())
            self.settings["BELLWIRE_RELAY__STORE"] = server.url
            self._restarts["postgresql"] = lambda: _crash(server)
        if self._wanted("nats", there=shutil.which("nats-server") is not None):
            folder = self._folder / "nats"
            folder.mkdir()
            nats = self._stack.enter_context(served(folder))
            self.settings["BELLWIRE_PUSH__NATS"] = nats.address
            if "BELLWIRE_RELAY__STORE" in self.settings:
                self.settings["BELLWIRE_RELAY__NATS"] = nats.address
            self._restarts["nats"] = lambda: _again(nats)
        if self._wanted("mosquitto", there=shutil.which("mosquitto", path="/usr/sbin:/usr/bin")):
            broker = self._stack.enter_context(mosquitto(self._folder))
            self.broker = f"mqtt://127.0.0.1:{broker.port}/soak"
            self._restarts["mosquitto"] = lambda: _anew(broker)

    async def restart(self, name: str) -> None:
        """Kill one, and start it again."""
        await asyncio.to_thread(self._restarts[name])

    def stop(self) -> None:
        """End them all."""
        self._stack.close()

    def _wanted(self, name: str, *, there: object) -> bool:
        if name in self._without:
            self.left_out[name] = "not asked for"
        elif not there:
            self.left_out[name] = "not installed here"
        return name not in self.left_out


def _crash(server: Server) -> None:
    server.kill()
    server.start()


def _again(server: NatsServer) -> None:
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    server.start()
    assert server.answers(), "the NATS server does not come back"


def _anew(broker: Mosquitto) -> None:
    broker.stop()
    broker.start()


class Minded:
    """A program of ours that is started again whenever it ends, as systemd would.

    Args:
        machine: Its log lies there, and its settings are those.
        name: Of the log.
        state: Its state folder.
        words: Its command line.
    """

    def __init__(self, machine: Machine, name: str, state: Path, *words: str) -> None:
        self.name = name
        self.starts = 0
        self._machine, self._state = machine, state
        self._words = (*words, "--with-parent")
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Of its process, if there is one."""
        if self._process is None or self._process.returncode is not None:
            return None
        return self._process.pid

    async def start(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            Unsound: it does not become so.
        """
        self._task = asyncio.create_task(self._mind())
        try:
            async with asyncio.timeout(STARTS_WITHIN_S):
                await self._ready.wait()
        except TimeoutError:
            raise Unsound(f"{self.name} does not become ready") from None

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(LIMIT_S):
                    await self._process.communicate()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def _mind(self) -> None:
        log = self._machine.folder / f"{self.name}.log"
        while True:
            process = await begin(
                self._state, *self._words, log=log, settings=self._machine.settings
            )
            self._process = process
            self.starts += 1
            assert process.stdout is not None
            async for line in process.stdout:
                with contextlib.suppress(ValueError):
                    if json.loads(line).get("ready"):
                        self._ready.set()
            await process.wait()
            await asyncio.sleep(RESTARTS_AFTER_S)


async def guard_of(machine: Machine) -> Minded:
    """A guard of the relay's port, which hears node A over NATS.

    Raises:
        Unsound: the node has no identity.
    """
    code, told = await command(
        machine.state, "node", "--site", SITE, "--identity", settings=machine.settings
    )
    if code:
        raise Unsound(f"node {SITE} has no identity: {told}")
    words = ("guard", "--site", SITE, "--node-identity", told["identity"], "--on-exit", "stop")
    nats = ("--nats", machine.settings["BELLWIRE_PUSH__NATS"])
    return Minded(machine, "guard", machine.state, *words, *nats)


def can_guard() -> bool:
    """Whether this namespace takes rules of nftables."""
    if shutil.which("nft") is None:
        return False
    words: list[list[Any]] = [["nft", verb, "table", "inet", "soak"] for verb in ("add", "delete")]
    return all(
        not subprocess.run(each, capture_output=True, check=False).returncode for each in words
    )


def plant(machine: Machine, broker: str) -> Minded:
    """A second cloud at site b, which devices reach through a broker."""
    state = machine.folder / "plant"
    keys = machine.state / "node-b" / "keys.sock"
    words = ("cloud", "--keys", str(keys), "--mqtt", broker, "--listen", "127.0.0.1:0")
    return Minded(machine, "plant", state, *words)
