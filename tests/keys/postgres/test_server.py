"""A store on a PostgreSQL server: what is refused, what is said, and what a lost answer leaves."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.keys.postgres.conftest import place_of
from tests.keys.postgres.server import PASSWORD, Server
from tests.keys.stores import KEK, add_ready, leave, new_store, pair, pool_of, take
from tests.patience import PATIENCE_S

from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.database.place import ServerPlace
from bellwire.keys.database.interface import SCHEMA_VERSION
from bellwire.keys.database.opening import has_store
from bellwire.keys.database.postgres import PostgresDatabase
from bellwire.keys.errors import KeyGone, StoreBusy, StoreError, StoreRefused, StoreUnusable
from bellwire.keys.store import KeyStore

BITS = 4096
Open = Callable[..., PostgresDatabase]


def test_one_node_has_a_store_at_a_time_and_others_may_share_its_pool(
    server: Server, folder: Path, open_it: Open
) -> None:
    place = place_of(server, folder, Side.ALICE)
    with pytest.raises(StoreRefused, match="schema version"):
        open_it(place, shared=True)
    assert not has_store(place)
    store = new_store(folder)
    assert has_store(place)
    with pytest.raises(StoreBusy, match="another"):
        open_it(place)
    open_it(place, shared=True).close()
    store.close()
    open_it(place).close()


def test_a_file_has_one_process() -> None:
    with pytest.raises(StoreRefused, match="PostgreSQL"):
        KeyStore.open(Path("/nowhere/keys.db"), KEK, Side.ALICE, shared=True)


def test_a_server_whose_commits_are_not_durable_is_refused(server: Server, folder: Path) -> None:
    server.sql("ALTER ROLE keys SET synchronous_commit = off")
    try:
        with pytest.raises(StoreRefused, match="synchronous_commit on"):
            new_store(folder)
    finally:
        server.sql("ALTER ROLE keys RESET synchronous_commit")


def test_durability_stays_as_it_was_found_whatever_becomes_of_the_servers_settings(
    server: Server, folder: Path
) -> None:
    store = new_store(folder)
    server.sql("ALTER SYSTEM SET synchronous_commit = off")
    server.sql("SELECT pg_reload_conf()")
    try:
        with store._database.transaction() as cursor:
            (value,) = cursor.execute("SELECT current_setting('synchronous_commit')").fetchone()
        assert value == "on"
    finally:
        server.sql("ALTER SYSTEM RESET synchronous_commit")
        server.sql("SELECT pg_reload_conf()")


def test_anothers_tables_and_versions_are_refused_and_left_as_they_are(
    server: Server, folder: Path
) -> None:
    place = place_of(server, folder, Side.ALICE)
    server.sql(f"CREATE SCHEMA {place.schema}", user="keys", database="keys")
    server.sql(f"CREATE TABLE {place.schema}.theirs (x int)", user="keys", database="keys")
    with pytest.raises(StoreRefused, match="another's tables"):
        new_store(folder)
    server.sql(f"DROP TABLE {place.schema}.theirs", user="keys", database="keys")
    store = new_store(folder)
    store.close()
    version = f"UPDATE {place.schema}.alembic_version SET version_num = '0099'"
    server.sql(version, user="keys", database="keys")
    with pytest.raises(StoreRefused, match=rf"version {SCHEMA_VERSION} .*got '0099'"):
        new_store(folder)


def test_a_password_has_no_place_in_a_url_and_is_never_said(server: Server) -> None:
    word = "hunter2hunter2"
    for url in (
        f"postgresql://keys:{word}@127.0.0.1:{server.port}/keys",
        f"postgresql://keys:{word}@127.0.0.1,127.0.0.2/keys",
        f"postgresql://keys@127.0.0.1/keys?password={word}",
        f"postgresql://keys@127.0.0.1/keys?PASSWORD={word}",
        f"postgresql://keys@127.0.0.1/keys?sslpassword={word}",
        f"postgresql://keys:{word}@[::1/keys",
        f"mysql://keys:{word}@127.0.0.1/keys",
        f"postgresql:keys:{word}",
        f"postgresql://keys:{word}@127.0.0.1/keys\n",
        "postgresql://" + 3000 * "a",
    ):
        with pytest.raises(UsageError, match="expected a URL") as caught:
            ServerPlace(url, "a")
        assert word not in str(caught.value)
        assert word not in str(caught.value.hint)


@pytest.mark.parametrize(
    "rest", ["127.0.0.1:1/keys", "127.0.0.1:port/keys", "127.0.0.1/keys?nothing=1"]
)
def test_a_server_that_is_not_there_is_a_clear_usage_error(rest: str, open_it: Open) -> None:
    with pytest.raises(StoreUnusable, match="expected"):
        open_it(ServerPlace(f"postgresql://keys@{rest}", "a"))


def password_file(folder: Path) -> Path:
    file = folder / "pgpass"
    file.touch(mode=0o600)
    file.write_text(f"127.0.0.1:*:keys:keys:{PASSWORD}\n")
    return file


def test_a_password_comes_from_a_file(server: Server, folder: Path, open_it: Open) -> None:
    url = f"postgresql://keys@127.0.0.1:{server.port}/keys"
    schema = place_of(server, folder, Side.BOB).schema
    open_it(ServerPlace(f"{url}?passfile={password_file(folder)}", schema)).close()
    with pytest.raises(StoreUnusable, match="expected a password") as caught:
        open_it(ServerPlace(url, schema))
    assert "PGPASSFILE" in str(caught.value.hint)


@pytest.mark.parametrize("schema", ["", "A", "a;b", 'a"', "1a", "a" * 64])
def test_a_schema_is_a_plain_name(schema: str) -> None:
    with pytest.raises(UsageError, match="schema"):
        ServerPlace("postgresql:///keys", schema)


class Proxy:
    """Between a client and the server; once armed, the answer to one COMMIT is lost.

    Attributes:
        arrives: Whether the server gets that COMMIT.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.armed = threading.Event()
        self.arrives = True
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets = [self._listener]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            lost = threading.Event()
            for work in (self._up, self._down):
                thread = threading.Thread(target=work, args=(client, server, lost))
                self._threads.append(thread)
                thread.start()

    def _up(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if b"COMMIT" in data and self.armed.is_set():
                    self.armed.clear()
                    lost.set()
                    if not self.arrives:
                        break
                server.sendall(data)
        if not lost.is_set() or not self.arrives:
            _end(server)

    def _down(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if lost.is_set():
                    break  # the answer to the COMMIT
                client.sendall(data)
        _end(client)
        _end(server)

    def close(self) -> None:
        for sock in self._sockets:
            _end(sock)
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        for sock in self._sockets:
            sock.close()


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("arrives", [True, False])
def test_a_commit_whose_answer_is_lost_hands_nothing_out_twice(
    server: Server, folder: Path, proxy: Proxy, open_it: Open, arrives: bool
) -> None:
    stores = pair(folder)
    for store in stores:
        add_ready(store, 1, BITS)
    alice = pool_of(stores[0])
    taken = take(alice)
    stores[1].close()
    url = f"postgresql://keys@127.0.0.1:{proxy.port}/keys?passfile={password_file(folder)}"
    place = ServerPlace(url, place_of(server, folder, Side.BOB).schema)
    store = KeyStore.open(place, KEK, Side.BOB)
    bob = pool_of(store)
    proxy.arrives = arrives
    proxy.armed.set()
    with pytest.raises(StoreError):
        leave(bob, taken.ids)
    if arrives:
        with pytest.raises(KeyGone):
            leave(bob, taken.ids)
    else:
        assert leave(bob, taken.ids) == taken
    lost = take(bob)
    proxy.armed.set()
    with pytest.raises(StoreError):
        take(bob)
    after = take(bob)
    assert leave(alice, after.ids) == after
    assert leave(alice, lost.ids) == lost
    # 24 units a side, four of each key: one more has gone if the commit arrived.
    assert bob.free_bits == 64 * (12 if arrives else 16)
    store.close()


@pytest.mark.parametrize("arrives", [True, False])
def test_a_grant_whose_commit_was_not_answered_is_asked_for_at_the_disk(
    server: Server, folder: Path, proxy: Proxy, open_it: Open, arrives: bool
) -> None:
    new_store(folder).close()
    url = f"postgresql://keys@127.0.0.1:{proxy.port}/keys?passfile={password_file(folder)}"
    place = ServerPlace(url, place_of(server, folder, Side.ALICE).schema)
    store = KeyStore.open(place, KEK, Side.ALICE)
    grants = store.grants()
    grants.load()
    proxy.arrives = arrives

    def lose(change: Callable[[], object]) -> None:
        grants.load()
        proxy.armed.set()
        with pytest.raises(StoreError):
            change()

    lose(lambda: grants.propose("a1", ("b1",)))
    lose(lambda: grants.propose("a1", ("b2",)))
    numbers = [grants.propose("a1", (slave,)).number for slave in ("b1", "b2")]
    assert sorted(numbers) == [1, 2]
    lose(lambda: grants.accept(7, "b1", ("a1",)))
    assert not arrives or not grants.accept(7, "b2", ("a1",))
    assert grants.accept(7, "b1", ("a1",))
    lose(lambda: grants.agree(1))
    lose(lambda: grants.decline(2, 9))
    assert grants.agree(1) is not None
    anew = grants.propose("a2", ("b1",)).number
    assert anew not in numbers
    told = {own: grants.last(own=own) for own in (True, False)}
    grants.load()
    assert told == {own: grants.last(own=own) for own in (True, False)}
    assert grants.find("a1", ("b1",)) == grants.numbered(own=True, number=1)
    assert (grants.numbered(own=True, number=2) is None) is arrives
    store.close()


def test_the_node_keeps_its_place_when_the_connection_is_made_anew(
    server: Server, folder: Path, open_it: Open
) -> None:
    store = new_store(folder)
    place = place_of(server, folder, Side.ALICE)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keys'"
    server.sql(ended)
    with pytest.raises(StoreError):
        store.last_block()
    assert store.last_block() == 0
    with pytest.raises(StoreBusy):
        open_it(place)
