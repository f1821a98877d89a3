"""Guards that act in other ways, as processes: what `bellwire guard` is compared with.

`python -m bellwire.bench.guard.rivals WAY URL CERTIFICATE KEY AUTHORITY PORT`, where WAY is

- `program`: as `bellwire guard`, but each change starts the program `nft`;
- `polling`: asks for the status every three seconds, and starts `nft` when it has changed, as
  scripts of routers do.

They say what `bellwire guard --print` says, until standard input ends.
"""

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import msgspec

from bellwire.base.lifetime import until_stopped
from bellwire.etsi014.credentials import Credentials
from bellwire.guard.decision import Decision, Rules
from bellwire.guard.enforcer import NftEnforcer
from bellwire.guard.errors import FirewallFailed
from bellwire.guard.listener import Listener
from bellwire.guard.messages import Told, read_told
from bellwire.guard.nft import Nft
from bellwire.guard.scope import Scope
from bellwire.guard.service import Guard
from bellwire.guard.state import State, Words
from bellwire.node import logs

POLL_S = 3.0
_LEASE_S = 60.0
"""Longer than between two questions; scripts have none."""


class ProgramNft(Nft):
    """As its parent, but what changes something is done by the program `nft`."""

    def run(self, commands: str) -> None:
        """Run commands as one transaction.

        Raises:
            FirewallFailed: they were not taken.
        """
        done = subprocess.run(
            ["nft", "-f", "-"],  # noqa: S607 - wherever the system has it
            input=commands,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise FirewallFailed(f"nft did not take it: {done.stderr[:500]}")


class Polling:
    """Asks for the status every three seconds.

    Args:
        url: Of the node's door.
        tls: Who we are, and whom we believe.
    """

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self._url = url
        self._tls = tls

    async def words(self) -> AsyncGenerator[Told, None]:
        """What it is told."""
        async with httpx.AsyncClient(verify=self._tls, trust_env=False) as client:
            while True:
                yield read_told((await client.get(f"{self._url}/status")).content)
                await asyncio.sleep(POLL_S)


async def guard(way: str, url: str, tls: ssl.SSLContext, port: int) -> None:
    """Guard until standard input ends."""
    words: Words = Listener(url, tls) if way == "program" else Polling(url, tls)
    guarding = Guard(
        NftEnforcer(ProgramNft(), Scope((port,))),
        Decision(Rules(lease_s=_LEASE_S, good=1)),
        words,
        lease_s=_LEASE_S,
        override=lambda: None,
        clock=time.time,
        told=_print,
    )
    logs.setup("error", "json")
    guarding.begin()
    _say({"ready": True})
    task = asyncio.create_task(guarding.run())
    try:
        await until_stopped(with_parent=True)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        guarding.end(remove=True)


def _print(state: State) -> None:
    _say({"packets": state.packets, "told_at": state.told_at, "heard_at": state.heard_at})


def _say(content: dict[str, object]) -> None:
    sys.stdout.write(msgspec.json.encode(content).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _way, _url, _certificate, _key, _authority, _port = sys.argv[1:]
    _credentials = Credentials(Path(_certificate), Path(_key), Path(_authority))
    asyncio.run(guard(_way, _url, _credentials.context(), int(_port)))
