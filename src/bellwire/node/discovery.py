"""Nodes find each other on the local network: multicast DNS (RFC 6762) and DNS-SD (RFC 6763).

A node that listens for its peer says so under `_bellwire._tcp`: the fingerprint of its identity, an
address, a port; nothing else, not even the machine's name. All of that is anybody's to say. What is
found is where to try, and no more: who is there is decided by the link's key, or at first contact
by the identity that was pinned. So whoever lies about an address can cost time, and nothing else.
"""

import asyncio
import ipaddress
import re
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil
import structlog
from zeroconf import IPVersion, NonUniqueNameException, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from bellwire.base.errors import UsageError

SERVICE = "_bellwire._tcp.local."
VERSION = b"1"
ASK_FOR_MS = 3000
ASK_TIMES = 5
MAX_FOUND = 64
"""Announcements that are remembered; the oldest gives way."""

MAX_ADDRESSES = 8
"""Of one announcement."""

_IDENTITY = re.compile(rb"[0-9a-f]{64}")
log = structlog.get_logger()

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Announced:
    """What somebody says of a node.

    Attributes:
        identity: Fingerprint, 64 hexadecimal digits.
        addresses: Where it is said to listen for its peer.
    """

    identity: str
    addresses: tuple[Address, ...]


class Found:
    """What was announced so far, the newest last."""

    def __init__(self) -> None:
        self._by_name: OrderedDict[str, Announced] = OrderedDict()

    def addresses(self, identity: str) -> list[Address]:
        """Where nodes that say they are `identity` are said to be, without repetition."""
        places = [
            address
            for each in self._by_name.values()
            if each.identity == identity
            for address in each.addresses
        ]
        return list(dict.fromkeys(places))

    def all(self) -> list[Announced]:
        """Everything, in order of identities."""
        return sorted(set(self._by_name.values()), key=lambda each: (each.identity, each.addresses))

    def put(self, name: str, announced: Announced) -> None:
        """Something was announced under a name."""
        self._by_name[name] = announced
        self._by_name.move_to_end(name)
        while len(self._by_name) > MAX_FOUND:
            self._by_name.popitem(last=False)

    def drop(self, name: str) -> None:
        """It is not announced any more."""
        self._by_name.pop(name, None)


@asynccontextmanager
async def announced(identity: str, host: str, port: int) -> AsyncIterator[None]:
    """Say that the node of an identity listens, while the body runs.

    Args:
        identity: Fingerprint, 64 hexadecimal digits.
        host: Where it listens.
        port: Where it listens.

    Raises:
        UsageError: nobody else could reach that, or this machine has no network.
    """
    addresses = reachable(host)
    # A name of its own: others that state our identity would hide us behind the same one.
    name = secrets.token_hex(16)
    info = AsyncServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=port,
        properties={b"v": VERSION, b"id": identity.encode()},
        server=f"{name}.local.",
        parsed_addresses=addresses,
    )
    network = _network()
    try:
        await (await network.async_register_service(info, allow_name_change=True))
        log.info("announced on the local network", addresses=addresses, port=port)
        yield
        await (await network.async_unregister_service(info))
    except NonUniqueNameException:
        raise UsageError("somebody on the local network answers to every name of ours") from None
    finally:
        await network.async_close()


@asynccontextmanager
async def looked_for() -> AsyncIterator[Found]:
    """Listen to what nodes announce, while the body runs.

    Raises:
        UsageError: this machine has no network.
    """
    found, asking = Found(), set[asyncio.Task[None]]()
    network = _network()

    def changed(
        zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            found.drop(name)
        elif len(asking) < MAX_FOUND:
            task = asyncio.ensure_future(_ask(zeroconf, name, found))
            asking.add(task)
            task.add_done_callback(asking.discard)

    browser = AsyncServiceBrowser(network.zeroconf, SERVICE, handlers=[changed])
    try:
        yield found
    finally:
        await browser.async_cancel()
        for task in list(asking):
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await network.async_close()


def reachable(host: str) -> list[str]:
    """Addresses under which others reach who listens on `host`.

    Raises:
        UsageError: there are none.
    """
    try:
        wanted = ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(
            f"expected an address in addresses.classical_host with discovery.enabled, got {host!r}"
        ) from None
    if not wanted.is_unspecified:
        addresses = [] if wanted.is_loopback else [str(wanted)]
    else:
        addresses = [
            each.address
            for interface in psutil.net_if_addrs().values()
            for each in interface
            if _is_of(each.address, wanted.version)
        ]
    if not addresses:
        raise UsageError(
            f"expected an address that others reach, with discovery.enabled, got {host}",
            hint="Set addresses.classical_host to this machine's address, or to 0.0.0.0 for all.",
        )
    return addresses


def _is_of(address: str, version: int) -> bool:
    """Whether an interface's address is one that others reach: link-local ones need more."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # of hardware, or with a scope
        return False
    return parsed.version == version and not (parsed.is_loopback or parsed.is_link_local)


def _network() -> AsyncZeroconf:
    try:
        return AsyncZeroconf()
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"expected a network with multicast, for discovery, got: {error}",
            hint="Switch discovery.enabled off, and name the peer's address.",
        ) from error


async def _ask(zeroconf: Zeroconf, name: str, found: Found) -> None:
    info = AsyncServiceInfo(SERVICE, name)
    for _ in range(ASK_TIMES):
        if await info.async_request(zeroconf, ASK_FOR_MS):
            read = _read(info)
            if read is not None:
                found.put(name, read)
            return


def _read(info: AsyncServiceInfo) -> Announced | None:
    """What an announcement says; None if it is none of ours."""
    told = info.properties
    identity = told.get(b"id") or b""
    places = info.parsed_scoped_addresses(IPVersion.All)[:MAX_ADDRESSES]
    if told.get(b"v") != VERSION or not _IDENTITY.fullmatch(identity):
        return None
    if not info.port or not places:
        return None
    return Announced(identity.decode(), tuple((place, info.port) for place in places))
