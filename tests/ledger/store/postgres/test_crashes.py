"""A log's store on a PostgreSQL server: nothing that was said to be there is lost, nothing doubled.

A statement may be refused, the connection cut or the process end before or after it; the same at
the commit, where the server may have it and not have said so; and the server may be killed whole.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from tests.keys.faults import Crash
from tests.keys.postgres.server import Server
from tests.ledger.store.logs import EPOCH, batch
from tests.ledger.store.test_crashes import Story

from bellwire.database import postgres
from bellwire.database.place import ServerPlace
from bellwire.ledger.errors import LedgerError
from bellwire.ledger.store.errors import LogStoreError
from bellwire.ledger.store.store import LogStore

SEEDS = range(3)
AT_COMMIT = -1


class Struck(psycopg.Connection[Any]):
    """A connection that a fault strikes at a statement, or at a commit."""

    fault: ClassVar[str] = ""
    left: ClassVar[int] = 0

    @classmethod
    def arm(cls, fault: str, at: int) -> None:
        """Let it strike the nth statement or commit, or the next commit."""
        cls.fault, cls.left = fault, at

    def commit(self) -> None:
        self.around(super().commit, commit=True)

    def around(self, run: Callable[[], Any], *, commit: bool = False) -> Any:
        if not Struck.fault:
            return run()
        if Struck.left != AT_COMMIT:
            Struck.left -= 1
        if Struck.left and not (commit and Struck.left == AT_COMMIT):
            return run()
        fault, Struck.fault = Struck.fault, ""
        done = run() if fault.endswith("after") else None
        match fault.split()[0]:
            case "refused":
                with psycopg.Cursor(self) as cursor:
                    cursor.execute(b"SELECT 1 / 0")
            case "cut":
                self.close()
                if fault.endswith("after"):
                    raise psycopg.OperationalError("server closed the connection unexpectedly")
                run()
            case "died":
                raise Crash
        return done


class StruckCursor(psycopg.Cursor[Any]):
    def execute(self, *args: Any, **named: Any) -> Any:
        run = super().execute
        return self._of().around(lambda: run(*args, **named))

    def executemany(self, *args: Any, **named: Any) -> Any:
        run = super().executemany
        return self._of().around(lambda: run(*args, **named))

    def _of(self) -> Struck:
        assert isinstance(self.connection, Struck)
        return self.connection


def connect(url: str, **options: Any) -> Struck:
    return Struck.connect(url, cursor_factory=StruckCursor, **options)


@pytest.fixture
def struck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(postgres, "RETRY_EVERY_S", 0.0)


class ServerStory(Story):
    """Writers of a log on a server; a few times all its processes are killed."""

    def __init__(self, server: Server, schema: str, seed: int, kills: int) -> None:
        self.server = server
        self.schema = schema
        self.kills = kills
        super().__init__(Path(), seed)

    def open(self) -> LogStore:
        return LogStore(ServerPlace(self.server.url, self.schema))

    def arm(self) -> None:
        fault = self.chance.choice(
            ("", "", "", "refused", "cut", "cut after", "cut after", "died", "died after")
        )
        Struck.arm(fault, self.chance.randint(1, 10))

    def disarm(self) -> None:
        Struck.arm("", 0)

    def power_cut(self) -> None:
        self.disarm()
        self.seen["power cut"] += 1
        if self.kills and self.chance.random() < 0.5:
            self.kills -= 1
            self.server.kill()
            self.server.start()
        self.store.close()
        self.store = self.open()
        self.check()


def tell(server: Server, name: str, seeds: range, kills: int = 0) -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in seeds:
        story = ServerStory(server, f"{name}{seed}", seed, kills if seed == seeds[0] else 0)
        try:
            for _ in range(25):
                story.step()
            story.power_cut()
        finally:
            story.disarm()
            story.store.close()
        seen += story.seen
    return seen


@pytest.mark.usefixtures("struck")
def test_whatever_fails_nothing_is_lost_and_nothing_is_there_twice(server: Server) -> None:
    seen = tell(server, "crash", SEEDS, kills=1)
    for name, least in {"new": 15, "again": 15, "failed": 15, "power cut": 10}.items():
        assert seen[name] >= least, seen


@pytest.mark.usefixtures("struck")
@pytest.mark.parametrize("fault", ["cut", "cut after"])
def test_a_commit_that_failed_and_was_perhaps_done_is_not_done_twice(
    server: Server, place: ServerPlace, fault: str
) -> None:
    store = LogStore(place)
    store.append([batch(1, 3)])
    Struck.arm(fault, AT_COMMIT)
    with pytest.raises(LogStoreError):
        store.append([batch(4, 4)])
    (numbers,) = store.append([batch(4, 4)])
    assert isinstance(numbers, range if fault == "cut" else tuple)  # new, or there already
    assert [*numbers] == [3, 4, 5, 6]
    assert store.head.size == 7
    store.close()


@pytest.mark.usefixtures("struck")
def test_a_log_that_lost_its_connection_does_not_go_on_behind_another_that_took_over(
    server: Server, place: ServerPlace
) -> None:
    store = LogStore(place)
    store.append([batch(1, 3)])
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keys'")
    other = LogStore(place)
    other.append([batch(1, 2, "site-b")])
    with pytest.raises(LedgerError):
        store.append([batch(4, 1)])
    with pytest.raises(LogStoreError, match="only log"):
        store.append([batch(4, 1)])
    other.close()
    assert store.append([batch(4, 1)]) == [range(5, 6)]
    assert store.next_of("site-b", EPOCH) == 3
    store.close()


def test_a_server_that_would_lose_commits_is_refused(server: Server, place: ServerPlace) -> None:
    server.sql("ALTER ROLE keys SET synchronous_commit = off")
    try:
        with pytest.raises(LogStoreError, match="expected synchronous_commit on"):
            LogStore(place)
    finally:
        server.sql("ALTER ROLE keys RESET synchronous_commit")


def test_another_programs_schema_is_refused_and_left_alone(
    server: Server, place: ServerPlace, sql: Callable[[str], None]
) -> None:
    server.sql(f"CREATE SCHEMA {place.schema} AUTHORIZATION keys", database="keys")
    sql("CREATE TABLE another (number INT)")
    with pytest.raises(LogStoreError, match="expected a log's store of version 1"):
        LogStore(place)
