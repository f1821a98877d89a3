"""Sites as processes of their own: equal keys, a relay that lies, and one that is killed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.keys.conftest import folder
from tests.node.network.sites import DIAMOND, Sites, link, prepare, run, saes_of

from bellwire.etsi014.client import AsyncClient
from bellwire.etsi014.errors import KmeRejected, KmeUnavailable
from bellwire.etsi014.exchange import Key
from bellwire.node.settings import Settings

__all__ = ["folder"]

ROGUE = Path(__file__).parent / "rogue.py"


class Process:
    """A site's process, which ends with the test."""

    def __init__(self, config: Path, program: list[str]) -> None:
        self._line = [sys.executable, *program, "network", "run", "--with-parent", "--config"]
        self._line.append(str(config))
        self._process: subprocess.Popen[Any] | None = None

    async def start(self) -> dict[str, Any]:
        """Its ready line."""
        pipe = subprocess.PIPE
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BELLWIRE_")}
        self._process = started = await asyncio.to_thread(
            partial(subprocess.Popen, self._line, stdin=pipe, stdout=pipe, env=environment)
        )
        assert started.stdout is not None
        ready: dict[str, Any] = json.loads(await asyncio.to_thread(started.stdout.readline))
        return ready

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._ended()

    async def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return await self._ended()

    async def _ended(self) -> int:
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, 60)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return code


def written(settings: Settings, **more: object) -> Path:
    """The settings of a site as a file."""
    network = settings.network
    lines = [f'[state]\ndir = "{settings.state.dir}"', "[network]", f'site = "{network.site}"']
    lines += [f'topology = "{network.topology}"', 'kme = "127.0.0.1:0"']
    lines += [f"{name} = {value}" for name, value in more.items()]
    lines += ["[network.nodes]", *(f'{n} = "{place}"' for n, place in network.nodes.items())]
    path = settings.state.dir / "bellwire.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@asynccontextmanager
async def processes(
    folder: Path, programs: Mapping[str, list[str]]
) -> AsyncIterator[tuple[Sites, dict[str, Process]]]:
    settings = prepare(folder, DIAMOND)
    async with AsyncExitStack() as stack:
        links = {pair: await stack.enter_async_context(link(folder, *pair)) for pair in DIAMOND}
        net, started = Sites(folder, links, settings), {}
        for name, each in settings.items():
            for sae in saes_of(name):
                net.credentials(name, sae)
            config = written(each, routes=1, patience_s=10.0)
            started[name] = Process(config, programs.get(name, ["-m", "bellwire"]))
        told = await asyncio.gather(*(process.start() for process in started.values()))
        for process in started.values():
            stack.push_async_callback(process.stop)
        for name, ready in zip(started, told, strict=True):
            for sae in saes_of(name):
                client = AsyncClient(ready["kme"], net.credentials(name, sae))
                net.clients[sae] = await stack.enter_async_context(client)
        yield net, started


async def soon(net: Sites, master: str, slave: str) -> list[Key]:
    """A key, as soon as the sites know each other."""
    while True:
        try:
            return await net.get(master, [slave])
        except KmeUnavailable:
            await asyncio.sleep(0.1)


def test_sites_as_processes_give_equal_keys_past_a_liar_and_a_kill(folder: Path) -> None:
    async def story() -> None:
        async with processes(folder, {"x": [str(ROGUE)]}) as (net, started):
            first = await soon(net, "a-1", "c-1")
            later = await net.get("a-1", ["c-1"], 2)
            assert await net.fetch("c-1", "a-1", first) == first
            await started["c"].kill()
            ready = await started["c"].start()
            async with AsyncClient(ready["kme"], net.credentials("c", "c-1")) as again:
                names = [key.key_id for key in later]
                assert await again.get_keys_with_ids("a-1", names) == later
                for gone in (names, [first[0].key_id]):
                    with pytest.raises(KmeRejected, match="not found on KME"):
                        await again.get_keys_with_ids("a-1", gone)
                back = await soon(net, "a-1", "c-1")
                assert await again.get_keys_with_ids("a-1", [back[0].key_id]) == back
            codes = await asyncio.gather(*(process.stop() for process in started.values()))
            assert codes == [0, 0, 0, 0]

    run(story)
