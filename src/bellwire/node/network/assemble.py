"""Put a site's network process together from its settings, and run it until it is told to stop."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.clock import system_clock
from bellwire.base.errors import BellwireError
from bellwire.base.lifetime import until_stopped
from bellwire.base.memory import keep_freed_memory
from bellwire.crypto.signatures import SigningKey, fingerprint
from bellwire.keys.allowance import Allowance
from bellwire.keys.allowance import Rules as Quotas
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.kme import Limits
from bellwire.network.bus import Bus
from bellwire.network.deposits import Rules
from bellwire.network.tcp_bus import Address, TcpBus
from bellwire.node.audit import AuditLog, open_audit
from bellwire.node.door import GRACE_S, KmeIdentity, open_identity, renew
from bellwire.node.errors import ConfigError
from bellwire.node.identity import load_identity
from bellwire.node.network.directory import FileDirectory
from bellwire.node.network.map import NetworkMap, read_map
from bellwire.node.network.place import SOCKET, network_folder, open_kept
from bellwire.node.network.service import SiteService
from bellwire.node.network.socket import site_server
from bellwire.node.settings import Settings
from bellwire.web.server import KmeServer
from bellwire.web.settings import DoorLimits

KEYS_SOCKET = "keys.sock"


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What the settings and the topology say of one site, found to fit together.

    Attributes:
        site: Its name.
        map: The topology.
        listen: Where it listens for other sites; None where a NATS server is used.
        kme: Where it serves its SAEs; None for nowhere.
        sockets: Delivery sockets of its links' nodes, by the other site's name.
    """

    site: str
    map: NetworkMap
    listen: Address | None
    kme: Address | None
    sockets: dict[str, Path]


def plan(settings: Settings) -> NetworkPlan:
    """Check that settings and topology fit together.

    Raises:
        ConfigError: they do not; all problems are named at once.
    """
    network = settings.network
    if network.topology is None or not network.site:
        missing = "network.topology" if network.topology is None else "network.site"
        raise ConfigError((f"{missing}: expected a value, got none",))
    found = read_map(network.topology)
    if network.site not in found.sites:
        raise ConfigError(
            (f"network.site: expected a site of {network.topology}, got {network.site}",)
        )
    problems = []
    neighbours = found.neighbours(network.site)
    problems += [
        f"network.nodes: expected the folder of the node of the link to {peer}, got none"
        for peer in sorted(set(neighbours) - set(network.nodes))
    ]
    problems += [
        f"network.nodes: expected sites that {network.site} has a link to, got {peer}"
        for peer in sorted(set(network.nodes) - set(neighbours))
    ]
    if network.bus == "tcp":
        problems += [
            f"sites.{name}.address: expected HOST:PORT with network.bus tcp, got none"
            for name, entry in found.sites.items()
            if not entry.address
        ]
    if problems:
        raise ConfigError(tuple(problems))
    own = found.sites[network.site].address
    return NetworkPlan(
        network.site,
        found,
        parse(network.listen or own, "network.listen") if network.bus == "tcp" else None,
        None if network.kme == "off" else parse(network.kme, "network.kme"),
        {peer: folder / KEYS_SOCKET for peer, folder in network.nodes.items()},
    )


def parse(text: str, name: str) -> Address:
    """HOST:PORT, as settings have it; an IPv6 host stands in brackets.

    Raises:
        ConfigError: the port is none.
    """
    host, _, port = text.rpartition(":")
    is_number = port.isascii() and port.isdecimal() and len(port) <= 5
    if not host or not is_number or int(port) > 65535:
        raise ConfigError((f"{name}: expected HOST:PORT, got {text!r:.300}",))
    return host.removeprefix("[").removesuffix("]"), int(port)


def check_identity(settings: Settings, plan: NetworkPlan) -> SigningKey:
    """This site's identity, which must be the one that the topology pins.

    Raises:
        UsageError: there is none.
        ConfigError: the topology pins another.
    """
    folder = network_folder(settings.state.dir, plan.site)
    identity = load_identity(folder, "Make it with: bellwire network identity")
    ours = fingerprint(identity.public_bytes).hex()
    if plan.map.sites[plan.site].identity.lower() != ours:
        raise ConfigError(
            (f"sites.{plan.site}.identity: expected this site's identity {ours}, got another",)
        )
    return identity


@dataclass(frozen=True, slots=True)
class OpenSite:
    """A site whose sockets listen, and which does nothing yet.

    Attributes:
        service: To be run.
        about: What it listens on, for who started it.
        kme: Its certificates, to be renewed; None if it serves nobody.
        audit: Its audit log; None if there is to be none, or it serves nobody.
    """

    service: SiteService
    about: dict[str, object]
    kme: KmeIdentity | None
    audit: AuditLog | None = None

    def note(self, event: str) -> None:
        """Write something into the audit log, if there is one."""
        if self.audit is not None:
            self.audit.note(event)


@contextlib.asynccontextmanager
async def open_site(settings: Settings) -> AsyncIterator[OpenSite]:
    """A site put together from its settings, until the end of the block.

    Raises:
        BellwireError: it cannot start.
    """
    planned = plan(settings)
    identity = check_identity(settings, planned)
    kme = None
    if planned.kme is not None:
        kme = await asyncio.to_thread(open_identity, _named(settings, planned), planned.site)
    assert settings.network.topology is not None
    registry = None if kme is None else kme.registry
    directory = FileDirectory(settings.network.topology, planned.site, registry)
    async with contextlib.AsyncExitStack() as stack:
        kept = await asyncio.to_thread(open_kept, settings, planned.site)
        stack.callback(kept.store.close)
        about: dict[str, object] = {"ready": True, "service": "network", "site": planned.site}
        bus, about["bus"] = await _open_bus(settings, planned, identity, stack)
        service = SiteService(
            planned.site,
            identity=identity,
            directory=directory,
            nodes={peer: DeliveryClient(path) for peer, path in planned.sockets.items()},
            bus=bus,
            kept=kept,
            rules=_rules(settings),
            limits=_limits(settings),
            allowance=_allowance(settings),
            patience_s=settings.network.patience_s,
            time_to_live_s=settings.kme.time_to_live_s,
            clock=system_clock,
        )
        stack.push_async_callback(service.close)
        folder = network_folder(settings.state.dir, planned.site)
        await stack.enter_async_context(site_server(folder / SOCKET, service))
        about["operator"] = str(folder / SOCKET)
        await service.look()
        audit = None
        if kme is not None and planned.kme is not None:
            audit = open_audit(settings, planned.site)
            if audit is not None:
                stack.callback(audit.close)
            door = _door(settings, kme, service, audit)
            about["kme"] = await _start(door, settings, planned.kme, stack)
        yield OpenSite(service, about, kme, audit)


async def run_network(
    settings: Settings, ready: Callable[[dict[str, object]], None], *, with_parent: bool = False
) -> None:
    """Run one site's network process until it is told to stop.

    Args:
        settings: From `settings.load`.
        ready: Called once with what it listens on.
        with_parent: End when standard input does.

    Raises:
        BellwireError: it cannot start, or a part of it failed.
    """
    keep_freed_memory()
    async with open_site(settings) as site:
        stop = asyncio.create_task(until_stopped(with_parent=with_parent))
        await asyncio.sleep(0)  # Signals are minded before anybody is told that we run.
        tasks = [stop, asyncio.create_task(site.service.run())]
        if site.kme is not None:
            tasks.append(asyncio.create_task(renew(site.kme, site.note)))
        ready(site.about)
        await _until(tasks)


async def _until(tasks: "list[asyncio.Task[None]]") -> None:
    """Run until the first task, which waits for the end, is done.

    Raises:
        BellwireError: another one ended.
    """
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks[1:]:
            if task.done():
                task.result()
                raise BellwireError("a task of the network process ended by itself")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _open_bus(
    settings: Settings,
    planned: NetworkPlan,
    identity: SigningKey,
    stack: contextlib.AsyncExitStack,
) -> tuple[Bus, str]:
    """The way to other sites, and its name for people."""
    network = settings.network
    if planned.listen is not None:
        addresses = {
            name: parse(entry.address, f"sites.{name}.address")
            for name, entry in planned.map.sites.items()
        }
        bus = TcpBus(planned.site, identity, planned.map.roster(), addresses)
        stack.push_async_callback(bus.close)
        host, port = await bus.start(*planned.listen)
        return bus, f"{host}:{port}"
    from bellwire.network.nats_bus import NatsBus  # noqa: PLC0415 - an extra

    nats = await NatsBus.connect([network.bus], tls=_tls(settings))
    stack.push_async_callback(nats.close)
    return nats, network.bus


def _tls(settings: Settings) -> ssl.SSLContext | None:
    network = settings.network
    if not network.bus.startswith("tls://"):
        return None
    try:
        context = ssl.create_default_context(cafile=network.bus_authority)
        if network.bus_certificate is not None:
            context.load_cert_chain(network.bus_certificate, network.bus_key)
    except (OSError, ValueError) as error:
        raise ConfigError(
            (f"network.bus_certificate: expected certificates and a key in PEM, got: {error}",)
        ) from error
    return context


def _named(settings: Settings, planned: NetworkPlan) -> Settings:
    """The settings with the name of the KME that other sites know, and where it listens."""
    assert planned.kme is not None
    name = {"name": planned.map.kme_of(planned.site)}
    return settings.model_copy(
        update={
            "kme": settings.kme.model_copy(update=name),
            "addresses": settings.addresses.model_copy(update={"kme_host": planned.kme[0]}),
        }
    )


def _rules(settings: Settings) -> Rules:
    network = settings.network
    return Rules(
        block_bytes=network.block_bytes, routes=network.routes, min_routes=network.min_routes
    )


def _limits(settings: Settings) -> Limits:
    kme = settings.kme
    return Limits(key_bits=kme.key_bits, max_keys_per_request=min(kme.max_keys_per_request, 128))


def _allowance(settings: Settings) -> Allowance:
    kme = settings.kme
    return Allowance(Quotas(bits_per_day=kme.bits_per_day, quotas=kme.quotas), system_clock)


def _door(
    settings: Settings, identity: KmeIdentity, service: SiteService, audit: AuditLog | None
) -> KmeServer:
    """The door of the site's KME; it is not started yet."""
    kme = settings.kme

    def troubles() -> list[str]:
        fault = identity.registry.fault
        return [*service.troubles(), *([] if fault is None else [str(fault)])]

    return KmeServer(
        service.kme,
        identity.registry,
        identity.tls.server,
        limits=DoorLimits(requests_per_s=kme.requests_per_s, burst=kme.requests_per_s),
        operators=frozenset(kme.operators),
        troubles=troubles,
        readings=service.readings,
        audit=audit,
        skip=kme.skip,
    )


async def _start(
    door: KmeServer, settings: Settings, address: Address, stack: contextlib.AsyncExitStack
) -> str:
    """Open a door; its URL."""
    stack.push_async_callback(door.stop, GRACE_S)
    host, port = await door.start(*address)
    if settings.addresses.metrics_port:
        await door.start_loopback(settings.addresses.metrics_port)
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
