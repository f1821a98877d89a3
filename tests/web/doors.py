"""Two doors over real TLS in a loop of their own, and clients with certificates for them."""

import asyncio
import contextlib
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvloop
from cryptography import x509
from tests.patience import PATIENCE_S
from tests.simulators.kme import Authority
from tests.web.model import ModelKme, World

from bellwire.keys.status import StatusView
from bellwire.keys.status_log import StatusRecord
from bellwire.pki.names import common_names
from bellwire.pki.tls import server_context
from bellwire.web.figures import Reading
from bellwire.web.identity import Identities
from bellwire.web.push import Document
from bellwire.web.server import KmeServer
from bellwire.web.settings import DoorLimits

ALICE, BOB, CAROL, DAVE = "sae-alice", "sae-bob", "sae-carol", "sae-dave"
STRANGER = "sae-of-nobody"
ODD = "Straße/7 ?x=%41"
SAES = {ALICE: "kme-a", DAVE: "kme-a", BOB: "kme-b", CAROL: "kme-b", ODD: "kme-b"}

WAITS_S = PATIENCE_S + 30.0
"""What is waited for has an end of its own, which tells more."""

T = TypeVar("T")


class Loop:
    """An event loop in a thread, until the end of the block."""

    def __init__(self, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._runner = asyncio.Runner(loop_factory=factory)
        self.loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Loop":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self._runner.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAITS_S)

    def call(self, what: Callable[[], T]) -> T:
        async def work() -> T:
            return what()

        return self.wait(work())


class Names:
    """Certificates are whom they say."""

    version = 0

    def identify(self, der: bytes) -> str | None:
        names = common_names(x509.load_der_x509_certificate(der))
        return names[0] if len(names) == 1 else None


@dataclass
class Clients:
    """Certificates by name, and what trusts the servers."""

    authority: Authority
    issued: dict[str, tuple[Path, Path]] = field(default_factory=dict)

    def server(self, name: str) -> ssl.SSLContext:
        certificate, key = self.authority.issue(name)
        identity = certificate.with_suffix(".identity")
        identity.touch(mode=0o600)
        identity.write_bytes(certificate.read_bytes() + key.read_bytes())
        return server_context(identity, self.authority.file.read_bytes())

    def context(self, name: str | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority.file)
        if name is not None:
            if name not in self.issued:
                self.issued[name] = self.authority.issue(name)
            context.load_cert_chain(*self.issued[name])
        return context


@dataclass
class Site:
    """One KME behind its door."""

    clients: Clients
    loop: Loop
    server: KmeServer
    kme: ModelKme
    address: tuple[str, int]
    loopback: tuple[str, int]

    def client(self, name: str | None) -> httpx.Client:
        host, port = self.address
        return httpx.Client(
            base_url=f"https://{host}:{port}",
            verify=self.clients.context(name),
            trust_env=False,
            timeout=PATIENCE_S,
        )

    def keys(self, name: str) -> httpx.Client:
        found = self.client(name)
        found.base_url = found.base_url.join("/api/v1/keys/")
        return found

    @contextlib.contextmanager
    def wire(self, name: str, context: ssl.SSLContext | None = None) -> Iterator["Wire"]:
        with (
            socket.create_connection(self.address, timeout=PATIENCE_S) as plain,
            (context or self.clients.context(name)).wrap_socket(
                plain, server_hostname=self.address[0]
            ) as tls,
        ):
            yield Wire(tls)


class Wire:
    """A TLS connection and the answers that come on it."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self.tls = tls
        self._left = b""

    def send(self, data: bytes) -> "Wire":
        with contextlib.suppress(OSError):  # the server may have had enough of it
            self.tls.sendall(data)
        return self

    def answer(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._left:
            self._more()
        lines, _, self._left = self._left.partition(b"\r\n\r\n")
        first, *rest = lines.decode().split("\r\n")
        fields = {k.lower(): v for k, _, v in (each.partition(": ") for each in rest)}
        length = 0 if head else int(fields.get("content-length", 0))
        while len(self._left) < length:
            self._more()
        body, self._left = self._left[:length], self._left[length:]
        return int(first.split()[1]), fields, body

    def until(self, mark: bytes) -> bytes:
        while mark not in self._left:
            self._more()
        found, _, self._left = self._left.partition(mark)
        return found

    def ended(self) -> bool:
        """Wait for the end; whether nothing more came before it."""
        try:
            return not self._left and not self.tls.recv(1 << 16)
        except (ConnectionError, ssl.SSLError):
            return True

    def _more(self) -> None:
        data = self.tls.recv(1 << 16)
        if not data:
            raise EOFError(self._left)
        self._left += data


@dataclass
class Pair:
    """Both sites; the one that `ALICE` hangs on first."""

    a: Site
    b: Site
    world: World
    clients: Clients
    loop: Loop
    views: dict[str, StatusView]


@contextlib.contextmanager
def doors(
    folder: Path,
    *,
    limits: DoorLimits | None = None,
    identities: Identities | None = None,
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
    world: World | None = None,
    skip: Mapping[str, tuple[str, ...]] | None = None,
    relay: Callable[[], Document] | None = None,
) -> Iterator[Pair]:
    """Two doors before the model, until the end of the block."""
    folder.mkdir(exist_ok=True, parents=True)
    clients = Clients(Authority(folder, f"site-{uuid.uuid4().hex[:6]}"))
    shared = world or World(dict(SAES))
    views: dict[str, StatusView] = {}
    with Loop(factory) as loop:

        async def histories(since: float, most: int) -> dict[str, list[StatusRecord]]:
            found = [
                StatusRecord(each.since, each.status, each.stale, each.qber, each.reason)
                for each in views.values()
            ]
            return {"a-b": [each for each in found if each.at >= since][-most:]}

        async def open_door(name: str) -> Site:
            kme = ModelKme(name, shared)
            tls = clients.server(name)
            server = KmeServer(
                kme,
                identities or Names(),
                tls,
                limits=limits,
                operators=frozenset({"operator"}),
                views=lambda: dict(views),
                histories=histories,
                troubles=lambda: [] if shared.stock else ["no keys are left"],
                skip=skip or {},
                relay=relay,
                readings=lambda: [Reading("stored_keys", "Keys.", shared.stock, {"peer": "b"})],
            )
            address = await server.start("127.0.0.1", 0)
            return Site(clients, loop, server, kme, address, await server.start_loopback(0))

        a, b = loop.wait(open_door("kme-a")), loop.wait(open_door("kme-b"))
        try:
            yield Pair(a, b, shared, clients, loop, views)
        finally:
            for each in (a, b):
                loop.wait(each.server.stop(0.2))


def request(
    path: str, verb: str = "GET", body: bytes = b"", *fields: str, host: str = "kme"
) -> bytes:
    """A request of HTTP/1.1, byte for byte."""
    lines = [f"{verb} {path} HTTP/1.1", f"Host: {host}", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
