"""A messenger ends with the first of its tasks that fails, and its tasks end with it."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
from tests.chat.messenger.pairs import alice_and_bob
from tests.chat.messenger.servers import Link
from tests.chat.relay.running import relay_at, run
from tests.chat.store.people import open_person

from bellwire.chat.errors import StoreUnusable
from bellwire.chat.messenger.tasks import Tasks
from bellwire.chat.store.person import Person


async def _fail() -> None:
    raise StoreUnusable("the store cannot be used: database or disk is full")


async def _wait(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("one that waited")


def test_whoever_uses_them_is_interrupted_and_gets_the_error() -> None:
    async def story() -> None:
        ended: list[str] = []

        async def body() -> None:
            async with Tasks() as tasks:
                tasks.spawn(_wait(ended))
                await asyncio.sleep(0)
                tasks.spawn(_fail())
                await _wait(ended)

        with pytest.raises(StoreUnusable, match="full"):
            await body()
        assert ended == 2 * ["one that waited"]

    run(story())


def test_what_the_body_raises_is_its_own_and_ends_all() -> None:
    async def story() -> None:
        ended: list[str] = []
        with contextlib.suppress(KeyError):
            async with Tasks() as tasks:
                tasks.spawn(_wait(ended))
                await asyncio.sleep(0)
                raise KeyError
        assert tasks.spawn(_fail()) is None  # nothing begins any more
        assert ended == ["one that waited"]

    run(story())


def test_one_who_is_cancelled_ends_all_and_stays_cancelled() -> None:
    async def story() -> None:
        ended: list[str] = []

        async def body() -> None:
            async with Tasks() as tasks:
                tasks.spawn(_wait(ended))
                await asyncio.Event().wait()

        task = asyncio.create_task(body())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["one that waited"]

    run(story())


def test_a_messenger_whose_store_is_full_says_so_and_ends(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            relay_at(tmp_path / "relay") as url,
            alice_and_bob(tmp_path, url, Link()) as (alice, bob),
        ):
            await alice.peer()
            _let_it_be_full(bob.person._database._connection)
            while True:  # she talks on; what comes cannot be kept at his side
                await alice.messenger.send(await alice.peer(), "one more " * 200)
                await asyncio.sleep(0.01)

    with pytest.raises(StoreUnusable, match="full"):
        run(story())


def _let_it_be_full(connection: sqlite3.Connection) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()


def test_a_store_whose_commit_failed_says_why_whatever_it_is_asked(tmp_path: Path) -> None:
    def break_a_rule(person: Person) -> None:
        with person.working() as work:
            work.cursor.execute("PRAGMA defer_foreign_keys = ON")
            work.cursor.execute("CREATE TABLE one (x PRIMARY KEY)")
            work.cursor.execute("CREATE TABLE other (y REFERENCES one)")
            work.cursor.execute("INSERT INTO other VALUES (1)")

    with open_person(tmp_path) as person:
        with pytest.raises(StoreUnusable, match="FOREIGN KEY"):
            break_a_rule(person)
        with pytest.raises(StoreUnusable, match="FOREIGN KEY"):
            person.kept("anything")
