"""Networks of sites in one event loop: real stores and delivery sockets of links that have key,
real TCP or NATS between sites, real doors and clients of ETSI 014."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.keys.links import Now, link_keys, meet, outcome
from tests.keys.stores import add_ready, pair
from tests.patience import PATIENCE_S
from tests.ports import free_port

from bellwire.crypto.signatures import fingerprint
from bellwire.etsi014.client import AsyncClient
from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.exchange import Extras, Key
from bellwire.keys.delivery_server import DeliveryServer
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.model import KeySourceKind
from bellwire.keys.service import FlowCheck, KeyService
from bellwire.keys.status import LinkStatus
from bellwire.network import deposits
from bellwire.node.identity import load_or_create_identity
from bellwire.node.network.assemble import OpenSite, open_site
from bellwire.node.network.place import network_folder
from bellwire.node.settings import Settings
from bellwire.pki.authority import Authority, authority_folder

Pairs = Collection[tuple[str, str]]

LINE = [("a", "r"), ("r", "c")]
DIAMOND = [("a", "x"), ("x", "c"), ("a", "y"), ("y", "c")]
BITS = 1_000_000


def saes_of(site: str) -> list[str]:
    return [f"{site}-1", f"{site}-2"]


@dataclass
class Link:
    """A link with key, its status in the hand of the test."""

    status: LinkStatus
    keys: tuple[LinkKeys, LinkKeys]
    now: Now

    def turn_red(self) -> None:
        self._decide(0.3)

    def recover(self) -> None:
        for _ in range(10):
            self._decide(0.02)

    def _decide(self, qber: float) -> None:
        self.now.time += 0.1
        self.status.decide(outcome(qber, self.now.time))


@dataclass
class Sites:
    """A network, and clients of its doors."""

    folder: Path
    links: dict[tuple[str, str], Link]
    settings: dict[str, Settings]
    open: dict[str, OpenSite] = field(default_factory=dict)
    clients: dict[str, AsyncClient] = field(default_factory=dict)
    _stacks: dict[str, contextlib.AsyncExitStack] = field(default_factory=dict)

    async def start(self, site: str) -> None:
        stack = self._stacks[site] = contextlib.AsyncExitStack()
        found = self.open[site] = await stack.enter_async_context(open_site(self.settings[site]))
        task = asyncio.create_task(found.service.run())
        stack.push_async_callback(ended, task)
        if "kme" in found.about:
            for sae in saes_of(site):
                credentials = self.credentials(site, sae)
                client = AsyncClient(str(found.about["kme"]), credentials)
                self.clients[sae] = await stack.enter_async_context(client)

    async def stop(self, site: str) -> None:
        await self._stacks.pop(site).aclose()
        del self.open[site]

    async def restart(self, site: str) -> None:
        await self.stop(site)
        await self.start(site)

    def credentials(self, site: str, sae: str) -> Credentials:
        state = self.settings[site].state.dir
        folder = state / sae
        if not folder.exists():
            issued = Authority(authority_folder(state, site), site).issue(sae)
            folder.mkdir(mode=0o700)
            files = {
                "crt": issued.certificate,
                "key": issued.key.reveal(),
                "ca": issued.authorities,
            }
            for kind, data in files.items():
                (folder / kind).touch(mode=0o600)
                (folder / kind).write_bytes(data)
        return Credentials(folder / "crt", folder / "key", folder / "ca")

    async def get(
        self, master: str, slaves: list[str], number: int = 1, bits: int = 256
    ) -> list[Key]:
        extras = Extras(slaves[1:])
        return await self.clients[master].get_keys(slaves[0], number, bits, extras)

    async def fetch(self, slave: str, master: str, keys: list[Key]) -> list[Key]:
        return await self.clients[slave].get_keys_with_ids(master, [key.key_id for key in keys])

    async def settled(self) -> None:
        """Every running site hears of every link between running ones."""
        running = set(self.open)
        known = sum(1 for link in self.links if running.issuperset(link))
        await until(
            lambda: all(len(usable(each, running)) == 2 * known for each in self.open.values())
        )


def usable(site: OpenSite, running: set[str]) -> list[Any]:
    links = site.service.node.topology().links()
    return [
        link for link in links if running.issuperset({link.origin, link.target}) and link.stock_bits
    ]


async def ended(task: "asyncio.Task[None]") -> None:
    assert not task.done(), task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def link(folder: Path, one: str, other: str) -> AsyncIterator[Link]:
    """A link with key at both ends, each behind a delivery socket as a node's."""
    place, now = folder / f"{one}{other}", Now()
    place.mkdir(mode=0o700)
    status = LinkStatus(now=100.0)
    status.decide(outcome(0.02, now()))
    flow = FlowCheck(status, now)
    stores = pair(place)
    for store in stores:
        add_ready(store, 1, BITS)
    try:
        async with (
            link_keys(stores[0], one, now, check_flow=flow) as ours,
            link_keys(stores[1], other, now, check_flow=flow) as theirs,
            meet(ours, theirs),
        ):
            services = [KeyService(keys, flow, KeySourceKind.SIMULATED) for keys in (ours, theirs)]
            async with (
                DeliveryServer(socket_folder(folder, one, other) / "keys.sock", services[0]),
                DeliveryServer(socket_folder(folder, other, one) / "keys.sock", services[1]),
            ):
                yield Link(status, (ours, theirs), now)
    finally:
        for store in stores:
            store.close()


def socket_folder(folder: Path, site: str, peer: str) -> Path:
    return folder / f"{site}-to-{peer}"


def prepare(
    folder: Path, pairs: Pairs, store_url: str = "", **network: object
) -> dict[str, Settings]:
    """Identities, certificates, topology file and settings of all sites."""
    names = sorted({name for each in pairs for name in each})
    ports = {name: free_port() for name in names}
    lines = []
    for name in names:
        state = folder / name
        identity = load_or_create_identity(network_folder(state, name))
        Authority(authority_folder(state, name), name).create()
        pinned = fingerprint(identity.public_bytes).hex()
        lines += [
            f"[sites.{name}]",
            f'identity = "{pinned}"',
            f'address = "127.0.0.1:{ports[name]}"',
            f"saes = {saes_of(name)}".replace("'", '"'),
        ]
    for one, other in pairs:
        lines += ["[[links]]", f'between = ["{one}", "{other}"]']
    (folder / "topology.toml").write_text("\n".join(lines) + "\n")
    return {
        name: Settings.model_validate(
            {
                "state": {"dir": folder / name},
                "store": {"url": store_url},
                "network": {
                    "site": name,
                    "topology": folder / "topology.toml",
                    "kme": "127.0.0.1:0",
                    "nodes": {
                        peer: socket_folder(folder, name, peer)
                        for each in pairs
                        if name in each
                        for peer in set(each) - {name}
                    },
                    **network,
                },
            }
        )
        for name in names
    }


@contextlib.asynccontextmanager
async def sites(
    folder: Path, pairs: Pairs, store_url: str = "", **network: object
) -> AsyncIterator[Sites]:
    """A network at work, each site knowing all of it, on however slow a disk."""
    settings = prepare(folder, pairs, store_url, **network)
    async with contextlib.AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(deposits, "WITHIN_S", PATIENCE_S / 10)
        links = {
            (one, other): await stack.enter_async_context(link(folder, one, other))
            for one, other in pairs
        }
        found = Sites(folder, links, settings)
        for name, each in settings.items():
            for sae in saes_of(name):
                found.credentials(name, sae)
            assert each.network.site == name
        for name in settings:
            await found.start(name)
            stack.push_async_callback(stop_if_open, found, name)
        await found.settled()
        yield found


async def stop_if_open(found: Sites, name: str) -> None:
    if name in found.open:
        await found.stop(name)


def run(story: Callable[[], Awaitable[None]], within_s: float = PATIENCE_S) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await story()

    asyncio.run(bounded())
