"""Entries come to the log once, whatever ends between the fact and the log's word for it."""

import asyncio
import json
import random
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.keys.faults import Armed, Crash, Faults
from tests.ledger.outbox.stores import Store, fact
from tests.patience import PATIENCE_S
from tests.web.test_log import TOKENS, Running, running

from bellwire.base.secret import Secret
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.outbox.carrier import Carrier, check_url, log_tls
from bellwire.ledger.outbox.delivery import PAUSES_S, Delivery
from bellwire.ledger.outbox.errors import LogUnreached, LogUnusable, WriterRefused
from bellwire.ledger.outbox.outbox import Outbox, put, read_state

TOKEN = Secret(TOKENS["site-a"].encode())


def told(log: Running) -> list[int]:
    """Numbers of the facts that the log has, in its order."""
    entries = log.service.store.entries(0, 10_000)
    return [int(json.loads(each)["reason"].removeprefix("fact ")) for each in entries]


def carrier_to(log: Running, token: Secret = TOKEN) -> Carrier:
    return Carrier(str(log.client.base_url), token, log_tls(None))


async def deliver(outbox: Outbox, carrier: Carrier) -> Delivery:
    """Bring all that waits."""
    delivery = Delivery(outbox, carrier)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await delivery.step()
            if not delivery.state.waiting:
                return delivery


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_fact_is_there_with_its_entry_or_neither_is(tmp_path: Path, after: bool) -> None:
    for at in range(1, 12):
        path = tmp_path / f"{at}.db"
        store = Store(path)
        store.happen(1)
        Armed.faults = Faults(at, Crash(), after=after)
        try:
            store.happen(2, 3)
        except Crash:
            pass
        finally:
            hit, Armed.faults = Armed.faults.hit, None
        store.close()
        store = Store(path)
        waiting = Outbox(store.transaction, "site-a").first()
        found = [json.loads(each)["reason"] for each in waiting.entries]
        assert found == [f"fact {number}" for number in store.facts()]
        assert [json.loads(each)["sequence"] for each in waiting.entries] == store.facts()
        store.close()
        if not hit:
            assert len(found) == 3
            return
    pytest.fail("the transaction has more statements than were tried")


class Unsure:
    """A carrier whose word, or whose owner, is lost when the log has the entries."""

    def __init__(self, carrier: Carrier, chance: random.Random) -> None:
        self.carrier = carrier
        self.chance = chance

    async def bring(self, entries: list[bytes]) -> list[int]:
        fate = self.chance.choice(("well", "before", "after", "killed before", "killed after"))
        if fate == "before":
            raise LogUnreached("gone before")
        if fate == "killed before":
            raise Crash
        numbers = await self.carrier.bring(entries)
        if fate == "after":
            raise LogUnreached("gone after")
        if fate == "killed after":
            raise Crash
        return numbers


def test_each_entry_is_in_the_log_once_whenever_its_writer_was_killed(tmp_path: Path) -> None:
    chance, seen = random.Random(5), {"killed": 0, "failed": 0}

    async def story(log: Running, carrier: Carrier) -> None:
        store, number = Store(tmp_path / "writer.db"), 0
        delivery = Delivery(Outbox(store.transaction, "site-a"), Unsure(carrier, chance))
        for _ in range(80):
            for _ in range(chance.choice((0, 1, 3))):
                number += 1
                store.happen(number)
            try:
                pause_s = await delivery.step()
            except Crash:
                seen["killed"] += 1
                store.close()
                store = Store(tmp_path / "writer.db")
                delivery = Delivery(Outbox(store.transaction, "site-a"), Unsure(carrier, chance))
            else:
                seen["failed"] += pause_s in PAUSES_S
        await deliver(Outbox(store.transaction, "site-a"), carrier)
        assert told(log) == list(range(1, number + 1)) == store.facts()
        with store.transaction() as cursor:
            assert read_state(cursor).epochs == 1
        store.close()

    async def run() -> None:
        async with (
            running(tmp_path) as log,
            carrier_to(log) as carrier,
            asyncio.timeout(PATIENCE_S),
        ):
            await story(log, carrier)

    asyncio.run(run())
    assert min(seen.values()) > 10


def test_entries_wait_for_a_log_that_is_away_and_go_in_their_order(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store(tmp_path / "writer.db")
        outbox = Outbox(store.transaction, "site-a")
        async with Carrier("http://127.0.0.1:9", TOKEN, log_tls(None)) as nobody:
            away = Delivery(outbox, nobody)
            store.happen(*range(1, 301))
            pauses = [await away.step() for _ in range(7)]
        assert pauses == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]]
        assert away.state.waiting == 300
        assert away.state.oldest_at is not None
        assert "does not answer" in away.state.problem
        async with (
            running(tmp_path) as log,
            carrier_to(log) as carrier,
            asyncio.timeout(PATIENCE_S),
        ):
            delivery = await deliver(outbox, carrier)
            assert told(log) == list(range(1, 301))
            assert (delivery.delivered, delivery.state.problem) == (300, "")
            assert delivery.state.oldest_at is None
        store.close()

    asyncio.run(run())


def test_a_writer_that_the_log_does_not_know_hears_so_and_loses_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store(tmp_path / "writer.db")
        store.happen(1, 2)
        async with running(tmp_path) as log, asyncio.timeout(PATIENCE_S):
            for token, name in ((b"c" * 64, "site-a"), (TOKENS["site-b"].encode(), "site-a")):
                outbox = Outbox(store.transaction, name)
                async with carrier_to(log, Secret(token)) as carrier:
                    delivery = Delivery(outbox, carrier)
                    assert await delivery.step() == PAUSES_S[0]
                assert "refuses this writer" in delivery.state.problem
                assert delivery.state.waiting == 2
                assert token.decode() not in delivery.state.problem
            async with carrier_to(log) as carrier:
                await deliver(Outbox(store.transaction, "site-a"), carrier)
            assert told(log) == [1, 2]
        store.close()

    asyncio.run(run())


def test_a_store_that_was_put_back_goes_on_in_a_new_epoch_without_doubles(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "writer.db"
        store = Store(path)
        store.happen(1, 2)
        store.close()
        shutil.copy(path, tmp_path / "earlier.db")
        async with (
            running(tmp_path) as log,
            carrier_to(log) as carrier,
            asyncio.timeout(PATIENCE_S),
        ):
            store = Store(path)
            store.happen(3)
            await deliver(Outbox(store.transaction, "site-a"), carrier)
            store.close()
            shutil.copy(tmp_path / "earlier.db", path)
            store = Store(path)  # 1 and 2 wait again; they are in the log
            store.happen(4, 5)
            delivery = await deliver(Outbox(store.transaction, "site-a"), carrier)
            assert told(log) == [1, 2, 3, 4, 5]
            assert delivery.state.epochs == 2
            store.close()

    asyncio.run(run())


def test_a_log_that_begins_anew_gets_what_comes_in_a_new_epoch(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store(tmp_path / "writer.db")
        outbox = Outbox(store.transaction, "site-a")
        for number, place in ((1, "one"), (2, "other")):
            store.happen(number)
            (tmp_path / place).mkdir(mode=0o700)
            async with running(tmp_path / place) as log, carrier_to(log) as carrier:
                await deliver(outbox, carrier)
                assert told(log) == [number]
        assert outbox.state().epochs == 2
        store.close()

    asyncio.run(run())


def test_an_entry_that_the_log_takes_for_none_stops_those_behind_it_and_none_before(
    tmp_path: Path,
) -> None:
    class Strict:
        def __init__(self) -> None:
            self.taken: list[str] = []

        async def bring(self, entries: list[bytes]) -> range:
            reasons = [json.loads(each)["reason"] for each in entries]
            if "fact 5" in reasons:
                raise EntryMalformed("expected another kind")
            self.taken += reasons
            return range(len(entries))

    async def run() -> None:
        store, log = Store(tmp_path / "writer.db"), Strict()
        store.happen(*range(1, 10))
        delivery = Delivery(Outbox(store.transaction, "site-a"), log)
        for _ in range(12):
            await delivery.step()
        assert log.taken == [f"fact {number}" for number in range(1, 5)]
        assert delivery.state.waiting == 5
        assert "expected another kind" in delivery.state.problem
        store.close()

    asyncio.run(run())


def test_a_store_that_cannot_be_read_does_not_end_the_delivery(tmp_path: Path) -> None:
    class Broken(Outbox):
        def state(self) -> object:  # type: ignore[override]
            raise LogUnusable("the disk is full")

    async def run() -> None:
        store = Store(tmp_path / "writer.db")
        async with Carrier("http://127.0.0.1:9", TOKEN, log_tls(None)) as nobody:
            delivery = Delivery(Broken(store.transaction, "site-a"), nobody)
            assert await delivery.step() == PAUSES_S[0]
            assert delivery.state.problem == "the disk is full"
        store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", LogUnreached, "expected 1 numbers"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000, LogUnreached, "too much"),
        (b"HTTP/1.1 409 No\r\ncontent-length: 0\r\n\r\n", LogUnreached, "without saying why"),
        (b"HTTP/1.1 302 No\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", LogUnreached, "302"),
        (b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n", WriterRefused, "403"),
        (b"HTTP/1.1 503 No\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", LogUnreached, "503"),
        (b"nonsense\r\n\r\n", LogUnreached, "does not answer"),
    ],
)
def test_what_is_no_log_is_told_by_its_answer(
    answer: bytes, kind: type[Exception], said: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"fact 1")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Carrier(f"http://127.0.0.1:{port}", TOKEN, log_tls(None)) as carrier:
            with pytest.raises(kind, match=said) as caught:
                await carrier.bring([b"fact 1"])
        if isinstance(caught.value, LogUnreached):
            assert caught.value.wait_s == (7.0 if said == "503" else 0.0)

    asyncio.run(run())


@pytest.mark.parametrize(
    "url", ["http://log.example", "ftp://localhost", "https://", "https://me@log", "https://l/?q=1"]
)
def test_a_token_crosses_no_network_in_the_clear(url: str, tmp_path: Path) -> None:
    with pytest.raises(LogUnusable):
        check_url(url)
    assert check_url("http://[::1]:8480/") == "http://[::1]:8480"
    with pytest.raises(LogUnusable):
        log_tls(tmp_path / "none.pem")


def test_what_is_put_is_as_long_as_what_is_brought_can_become(tmp_path: Path) -> None:
    store = Store(tmp_path / "writer.db")
    store.happen(1)
    (stored,) = store.connection.execute("SELECT entry FROM outbox").fetchone()
    (brought,) = Outbox(store.transaction, "w" * 64).first().entries
    assert len(brought) <= len(stored)
    with pytest.raises(EntryMalformed), store.transaction() as cursor:
        put(cursor, [replace(fact(2), reason="two\nlines")])
    assert Outbox(store.transaction, "site-a").state().waiting == 1
    store.close()
