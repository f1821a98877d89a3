"""The conformance suite once more, before two real nodes: doors, stores, peering and light."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from tests.node.nodes import key_at_both, open_store, two_nodes
from tests.simulators.kme import Authority
from tests.web.doors import SAES, Clients, Loop, Pair, Site
from tests.web.test_conformance import *  # noqa: F403 - its tests and fixtures are ours, too

from bellwire.base.detections import Side
from bellwire.bench.keys.stock import fill
from bellwire.node.door import open_door, open_identity
from bellwire.node.settings import Settings
from bellwire.pki.authority import Authority as SiteAuthority
from bellwire.pki.authority import authority_folder

KEYS = 8_000
SITES = {"a": Side.ALICE, "b": Side.BOB}


class Bundle(Authority):
    """An operator's authority for SAEs, and a file of whoever signs for the KMEs."""

    def __init__(self, folder: Path, signers: bytes) -> None:
        super().__init__(folder, "operators")
        self.own = self.file
        self.file = folder / "signers.pem"
        self.file.write_bytes(signers)


def signers(state: Path) -> bytes:
    """The certificates of both sites' authorities."""
    found = b""
    for site in SITES:
        authority = SiteAuthority(authority_folder(state, site), site)
        authority.create()
        found += authority.issue("anybody").authorities
    return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two nodes with stock, whose SAEs have certificates of the operator's own authority."""
    folder = tmp_path_factory.mktemp("nodes")
    state = folder / "state"
    state.mkdir(mode=0o700)
    clients = Clients(Bundle(folder, signers(state)))
    for side in SITES.values():
        with contextlib.closing(open_store(folder / side, side)) as store:
            fill(store, KEYS, 1)
    with Loop(uvloop.new_event_loop) as loop:
        stack = contextlib.AsyncExitStack()
        try:
            yield loop.wait(serving(folder, state, clients, loop, stack))
        finally:
            loop.wait(stack.aclose())


async def serving(
    folder: Path, state: Path, clients: Clients, loop: Loop, stack: contextlib.AsyncExitStack
) -> Pair:
    nodes = await stack.enter_async_context(two_nodes(folder))
    sites = []
    for site, node in zip(SITES, (nodes.alice, nodes.bob), strict=True):
        own = [name for name, kme in SAES.items() if kme == f"kme-{site}"]
        bundle = cast(Bundle, clients.authority)
        kme = {"authority": bundle.own, "authority_saes": own, "requests_per_s": 1_000_000}
        settings = Settings.model_validate({"state": {"dir": state}, "kme": kme})
        identity = open_identity(settings, site)
        node.link_keys._serves = identity.registry.serves
        node.link_keys._kme = identity.name
        node._peering._saes = identity.registry.saes
        door = open_door(settings, node, identity, 0.0)
        stack.push_async_callback(door.stop, 1.0)
        address = await door.start("127.0.0.1", 0)
        sites.append(Site(clients, loop, door, cast(Any, None), address, address))
    await key_at_both(nodes)
    while len(nodes.alice.link_keys.peer.saes) < 3 or len(nodes.bob.link_keys.peer.saes) < 2:
        await asyncio.sleep(0.01)
    return Pair(sites[0], sites[1], cast(Any, None), clients, loop, {})
