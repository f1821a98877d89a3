"""Who gets past the handshake, and who is somebody after it: certificates of a site's authority."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from tests.patience import PATIENCE_S
from tests.simulators.kme import Authority as Foreign
from tests.web.doors import ALICE, BOB, SAES, Loop, Wire, request
from tests.web.model import ModelKme, World

from bellwire.pki.authority import Authority
from bellwire.pki.registry import Registry
from bellwire.pki.tls import server_context
from bellwire.web.connections import Connections
from bellwire.web.server import KmeServer

STATUS = request(f"/api/v1/keys/{BOB}/status")


class Guarded:
    """A door whose certificates are those of a real authority, with a registry that revokes."""

    def __init__(self, folder: Path, loop: Loop) -> None:
        self.authority = Authority(folder, "site-a")
        self.authority.create()
        identity = self.authority.kme("kme-a", ["127.0.0.1"])
        self.registry = Registry(self.authority.folder)
        self.trusted = self.authority.trusted()
        self.loop = loop
        self.folder = folder
        self.tls = server_context(identity, self.trusted)
        loop.wait(self._open())

    async def _open(self) -> None:
        kme = ModelKme("kme-a", World(dict(SAES)))
        self.server = KmeServer(kme, self.registry, self.tls)
        self.address = await self.server.start("127.0.0.1", 0)

    def context(self, identity: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.trusted.decode())
        context.load_cert_chain(identity)
        return context

    def connect(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Wire:
        plain = socket.create_connection(self.address, timeout=PATIENCE_S)
        return Wire(context.wrap_socket(plain, server_hostname="127.0.0.1", session=session))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    with Loop(uvloop.new_event_loop) as loop:
        found = Guarded(tmp_path / "pki", loop)
        try:
            yield found
        finally:
            loop.wait(found.server.stop(0.2))


def of(guarded: Guarded, name: str = ALICE) -> ssl.SSLContext:
    issue = guarded.authority.issue(name)
    guarded.loop.call(guarded.registry.refresh)
    file = guarded.folder / f"{name}.pem"
    file.touch(mode=0o600)
    file.write_bytes(issue.certificate + issue.key.reveal())
    return guarded.context(file)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_are_spoken(guarded: Guarded, version: ssl.TLSVersion) -> None:
    context = of(guarded)
    context.minimum_version = context.maximum_version = version
    with guarded.connect(context).tls as tls:
        assert Wire(tls).send(STATUS).answer()[0] == 200
        assert tls.version() == version.name.replace("_", ".")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_resumes_and_a_revoked_certificate_is_nobody_in_it(
    guarded: Guarded, version: ssl.TLSVersion
) -> None:
    context = of(guarded)
    context.maximum_version = version
    with guarded.connect(context).tls as tls:
        assert Wire(tls).send(STATUS).answer()[0] == 200
        session = tls.session
    with guarded.connect(context, session).tls as tls:
        assert tls.session_reused
        assert Wire(tls).send(STATUS).answer()[0] == 200
    guarded.authority.revoke(name=ALICE)
    guarded.loop.call(guarded.registry.refresh)
    with guarded.connect(context, session).tls as tls:
        assert tls.session_reused
        assert Wire(tls).send(STATUS).answer()[0] == 401


def test_a_certificate_revoked_while_its_connection_lasts_is_nobody_at_the_next_request(
    guarded: Guarded,
) -> None:
    alice, other = of(guarded), of(guarded, "sae-dave")
    with guarded.connect(alice).tls as tls, guarded.connect(other).tls as others:
        wire = Wire(tls)
        assert wire.send(STATUS).answer()[0] == 200
        guarded.authority.revoke(name=ALICE)
        guarded.loop.call(guarded.registry.refresh)
        for _ in range(2):
            assert wire.send(STATUS).answer()[0] == 401
        assert Wire(others).send(STATUS).answer()[0] == 200


def test_a_certificate_of_the_authority_that_is_no_saes_is_nobody(guarded: Guarded) -> None:
    context = guarded.context(guarded.authority.kme("kme-a", ["127.0.0.1"]))
    with guarded.connect(context).tls as tls:
        assert Wire(tls).send(STATUS).answer()[0] == 401


@pytest.mark.parametrize("whose", ["foreign", "expired", "none"])
def test_what_the_authority_does_not_vouch_for_fails_in_the_handshake(
    guarded: Guarded, tmp_path: Path, whose: str
) -> None:
    folder = tmp_path / "foreign"
    folder.mkdir()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=guarded.trusted.decode())
    if whose != "none":
        context.load_cert_chain(
            *Foreign(folder, "foreign").issue(ALICE, days=-0.5 if whose == "expired" else 1.0)
        )
    failed = (ssl.SSLError, ConnectionError, EOFError)
    with pytest.raises(failed), guarded.connect(context).tls as tls:
        Wire(tls).send(STATUS).answer()
    with guarded.connect(of(guarded)).tls as tls:
        assert Wire(tls).send(STATUS).answer()[0] == 200


def test_old_tls_and_none_at_all_fail(guarded: Guarded) -> None:
    with socket.create_connection(guarded.address, timeout=PATIENCE_S) as plain:
        plain.sendall(STATUS)
        assert b"HTTP" not in plain.recv(1000)


class Member:
    def __init__(self, *, idle: bool = True) -> None:
        self.idle = idle
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_beyond_all_connections_the_oldest_idle_of_who_has_most_gives_way() -> None:
    connections = Connections(most=4, most_of_one=3)
    many = [Member(idle=False), Member(), Member()]
    assert all(connections.join("many", each) for each in many)
    assert connections.join("one", Member())
    assert connections.join("new", Member())
    assert [each.closed for each in many] == [False, True, False]
    assert len(connections) == 4


def test_where_nobody_is_idle_there_is_no_place() -> None:
    connections = Connections(most=2, most_of_one=2)
    busy = [Member(idle=False), Member(idle=False)]
    assert all(connections.join("a", each) for each in busy)
    assert not connections.join("a", Member())
    assert not connections.join("b", Member())
    connections.leave("a", busy[0])
    connections.leave("a", busy[0])
    assert connections.join("b", Member())
