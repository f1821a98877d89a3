"""A relay in this process, or in one of its own that can be killed."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.chat.identity import Identity
from bellwire.chat.relay import server
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.company import News
from bellwire.chat.relay.databases import Place
from bellwire.chat.relay.server import Relay, RelayLimits
from bellwire.chat.relay.store import RelayStore, StoreLimits

if TYPE_CHECKING:
    import pytest  # tools use this module where it is not installed

HOUR = 3600


def account(number: int) -> Identity:
    return Identity(Secret(bytes([number]) * 64))


OWNER, OTHER = account(11), account(12)


def right(number: int) -> bytes:
    return bytes([number]) * 32


def mailbox(number: int) -> bytes:
    return bytes([number]) * 16


def payload(number: int, size: int = 512) -> bytes:
    return number.to_bytes(8, "big") + bytes(size - 8)


def number_of(data: bytes) -> int:
    return int.from_bytes(data[:8], "big")


def token(number: int) -> bytes:
    return number.to_bytes(16, "big")


def places(folder: Path) -> tuple[Place, Place]:
    """Where a relay and its accounts are; tests of another database put something else here."""
    return folder, folder


@contextlib.asynccontextmanager
async def relay_at(
    folder: Path,
    limits: RelayLimits | None = None,
    store_limits: StoreLimits | None = None,
    now: float = 1e9,
) -> AsyncIterator[str]:
    """Its address."""
    async with relay_on(RelayStore(places(folder)[0], store_limits), limits, now) as (url, _):
        yield url


@contextlib.asynccontextmanager
async def relay_on(
    store: RelayStore,
    limits: RelayLimits | None = None,
    now: float = 1e9,
    news: News | None = None,
) -> AsyncIterator[tuple[str, Relay]]:
    """Its address, and itself; the store is closed in the end."""
    relay = Relay(store, limits, now=lambda: now, news=news)
    try:
        host, port = await relay.start("127.0.0.1", 0)
        yield f"ws://{host}:{port}", relay
    finally:
        await relay.stop()
        store.close()


async def owner_at(url: str, who: Identity = OWNER, boxes: int = 1) -> RelayClient:
    """Logged in, with mailboxes 1 to `boxes`."""
    line = await RelayClient.connect(url)
    await line.login(who)
    for number in range(1, boxes + 1):
        await line.open_mailbox(mailbox(number), right(number))
    return line


@contextlib.asynccontextmanager
async def two_at_a_slow_store(
    folder: Path, patch: "pytest.MonkeyPatch"
) -> AsyncIterator[tuple[RelayClient, RelayClient]]:
    """An owner who listens and has all that is older, and a sender; the store is not asked."""
    async with (
        relay_at(folder) as url,
        await owner_at(url) as owner,
        await RelayClient.connect(url) as sender,
    ):
        await owner.listen()
        await sender.drop(right(1), token(0), HOUR, payload(0))
        owner.safe((await owner.next()).number)
        patch.setattr(server, "LINGER_S", 2 * PATIENCE_S)
        yield owner, sender


def ever_stored(folder: Path) -> int:
    """How many payloads ever came to rest there."""
    store = RelayStore(folder)
    with store._database.transaction() as cursor:
        (numbers,) = cursor.execute("SELECT numbers FROM relay").fetchone()
    store.close()
    return int(numbers)


class Process:
    """`bellwire relay`, whose folder outlives it."""

    def __init__(self, state: Path, port: int = 0, *more: str) -> None:
        program = Path(sys.executable).with_name("bellwire")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BELLWIRE_")}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the relay has ended
        self.child = subprocess.Popen(
            [
                program,
                "relay",
                "--listen",
                f"127.0.0.1:{port}",
                "--state",
                state,
                "--with-parent",
                *more,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
        )
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        self.ready = json.loads(line)
        self.url: str = self.ready["url"]
        self.port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """As `kill -9` does."""
        self.child.kill()
        self._gather()

    def stop(self) -> int:
        """Let it end by itself."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        return self._gather()

    def _gather(self) -> int:
        code = self.child.wait(PATIENCE_S)
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                stream.close()
        with self._log:
            self._log.seek(0)
            self.said = self._log.read()
        return code


def run(coroutine: Coroutine[None, None, None], patience_s: float = PATIENCE_S) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(patience_s):
            await coroutine

    asyncio.run(bounded())
