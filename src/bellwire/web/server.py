"""The door of a KME: ETSI GS QKD 014 over mutual TLS, and beside it what operators need.

It runs in the event loop of whoever starts it, uvloop's or asyncio's. Connections are accepted
here, not by the loop's own server, because a handshake that is not finished counts as well.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from bellwire.base.backlog import BACKLOG
from bellwire.base.memory import keep_freed_memory
from bellwire.base.threads import take_short_turns
from bellwire.keys.kme import KeyServer
from bellwire.keys.status import StatusView
from bellwire.keys.status_log import StatusRecord
from bellwire.web.audit import Audit
from bellwire.web.connection import Connection
from bellwire.web.connections import Connections
from bellwire.web.door import Door, date_field
from bellwire.web.errors import DoorUnusable
from bellwire.web.figures import Figures, Reading, Readings, exposition
from bellwire.web.identity import Identities
from bellwire.web.pages import KmePages, Sources, Troubles
from bellwire.web.push import Changes, Document, Histories, Views
from bellwire.web.rates import Rates
from bellwire.web.settings import DoorLimits
from bellwire.web.skip import Skip

Address = tuple[str, int]

_SWEEP_S = 0.25
_NO_FILES_S = 0.05
_TLS_CLOSE_S = 1.0
LOOPBACK = "127.0.0.1"


def _no_views() -> Mapping[str, StatusView]:
    return {}


async def _no_histories(_: float, __: int) -> Mapping[str, Sequence[StatusRecord]]:
    return {}


def _no_readings() -> Iterable[Reading]:
    return ()


def _no_troubles() -> list[str]:
    return []


class KmeServer:
    """A door of one KME; every method is called in the event loop's thread.

    Args:
        server: The KME behind it.
        identities: Who certificates are.
        tls: Of a server that serves nobody without a certificate, as `pki.tls` makes it.
        limits: What one client may cost.
        operators: Names of certificates that may see metrics.
        views: Status of each link, for `/status` and its listeners.
        troubles: Why the KME is not ready, for `/readyz`.
        readings: What else `/metrics` shows.
        histories: What `/status/history` shows.
        audit: Keeps a record of requests.
        skip: SAEs that may ask by SKIP as well, and for each the SAEs at the other ends.
        relay: Where a relay is that this site follows, for `/status`; None if it follows none.

    Attributes:
        changes: `changes.tell()` makes a change of a link's status known to listeners.
        figures: What was counted.
    """

    def __init__(
        self,
        server: KeyServer,
        identities: Identities,
        tls: ssl.SSLContext,
        *,
        limits: DoorLimits | None = None,
        operators: frozenset[str] = frozenset(),
        views: Views = _no_views,
        troubles: Troubles = _no_troubles,
        readings: Readings = _no_readings,
        histories: Histories = _no_histories,
        audit: Audit | None = None,
        skip: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        relay: Callable[[], Document] | None = None,
    ) -> None:
        self.changes = Changes()
        self.figures = Figures()
        self._limits = limits or DoorLimits()
        self._tls = tls
        tls.set_alpn_protocols(["http/1.1"])
        self._readings = readings
        self._troubles = troubles
        sources = Sources(self._metrics, self._all_troubles, views, histories, self.changes, relay)
        self._pages = KmePages(sources, operators, server.limits)
        self._door = Door(
            server,
            identities,
            self._limits,
            self._pages,
            self.figures,
            Connections(self._limits.connections, self._limits.connections_per_caller),
            Rates(self._limits.requests_per_s, self._limits.burst),
            audit,
            Skip(server, skip) if skip else None,
        )
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._handshakes: dict[asyncio.Task[None], None] = {}

    async def start(self, host: str, port: int) -> Address:
        """Serve keys over TLS; port 0 takes a free one.

        Returns:
            Where.

        Raises:
            DoorUnusable: the address cannot be listened on.
        """
        return await self._listen(host, port, self._tls)

    async def start_loopback(self, port: int) -> Address:
        """Serve health and metrics, and nothing else, to this machine without TLS.

        Raises:
            DoorUnusable: the port cannot be listened on.
        """
        return await self._listen(LOOPBACK, port, None)

    def permit(self, requests_per_s: float, operators: frozenset[str]) -> None:
        """Other bounds and operators from now on; connections stay.

        Args:
            requests_per_s: Of one SAE, in the mean, and at once.
            operators: Names of certificates that may see metrics.
        """
        self._door.rates.change(requests_per_s, requests_per_s)
        self._pages.operators = operators

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, answer what was asked, close; after `grace_s` break off."""
        self._door.closing = True
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()
        for handshake in list(self._handshakes):
            handshake.cancel()
        connections = self._door.connections
        for connection in self._ours():
            connection.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await connections.empty()
        for connection in self._ours():
            connection.abort()
        await asyncio.gather(*self._handshakes, return_exceptions=True)
        await connections.empty()
        await self._pages.stop()

    async def _listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> Address:
        keep_freed_memory()
        take_short_turns()
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            # One socket: a host with several addresses is named by one of them.
            listener = socket.create_server(found[0][4][:2], family=found[0][0], backlog=BACKLOG)
        except OSError as error:
            raise DoorUnusable(
                f"cannot listen on {host} port {port}: {error.strerror or error}"
            ) from error
        listener.setblocking(False)
        self._sockets.append(listener)
        if not self._tasks:
            self._tasks.append(loop.create_task(self._sweep()))
        self._tasks.append(loop.create_task(self._accept(listener, tls)))
        name = listener.getsockname()
        return str(name[0]), int(name[1])

    async def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(listener)
            except OSError:  # no more files, or the client is gone already
                await asyncio.sleep(_NO_FILES_S)
                continue
            if len(self._handshakes) >= self._limits.handshakes:
                next(iter(self._handshakes)).cancel()
            task = loop.create_task(self._shake(client, address, tls))
            self._handshakes[task] = None
            task.add_done_callback(self._shaken)

    async def _shake(
        self, client: socket.socket, address: Address, tls: ssl.SSLContext | None
    ) -> None:
        timeouts: dict[str, float] = {}
        if tls is not None:
            timeouts["ssl_handshake_timeout"] = self._limits.handshake_s
            timeouts["ssl_shutdown_timeout"] = _TLS_CLOSE_S
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(self._door), client, ssl=tls, **timeouts
            )
        except (OSError, asyncio.CancelledError) as error:
            # An unknown chain, no certificate, no TLS, too slow, or one too many.
            self.figures.handshakes_failed += 1
            if self._door.audit is not None:
                self._door.audit.turned_away(address, _why(error))

    def _shaken(self, task: asyncio.Task[None]) -> None:
        self._handshakes.pop(task, None)

    async def _sweep(self) -> None:
        """Look after what is due, some times a second."""
        loop = asyncio.get_running_loop()
        while True:
            self._door.dated = date_field()
            self._pages.state.default_headers = [(b"date", self._door.dated[6:-2])]
            now = loop.time()
            for each in self._ours():
                if now >= each.deadline:
                    each.expire()
                else:
                    each.check()
            await asyncio.sleep(_SWEEP_S)

    def _ours(self) -> list[Connection]:
        return [each for each in self._door.connections if isinstance(each, Connection)]

    def _metrics(self) -> bytes:
        return exposition(self.figures, lambda: len(self._door.connections), self._readings)

    def _all_troubles(self) -> list[str]:
        closing = ["the KME is stopping"] if self._door.closing else []
        return [*closing, *self._troubles()]


def _why(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "no handshake of TLS"
    if isinstance(error, asyncio.CancelledError):
        return "too many handshakes at once, or the KME is stopping"
    return "the connection ended, or its handshake took too long"
