"""Several relays over one store: what one of them takes, another delivers, in order and once."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import nats
import pytest
from tests.chat.relay.running import (
    OWNER,
    mailbox,
    number_of,
    owner_at,
    relay_on,
    right,
    run,
)
from tests.chat.relay.test_server import drop, take
from tests.network.conftest import NatsServer

from bellwire.base.secret import Secret
from bellwire.channel.places import Level
from bellwire.chat.errors import MoveRefused, RelayRefused
from bellwire.chat.identity import Identity
from bellwire.chat.relay import company
from bellwire.chat.relay import nats as words
from bellwire.chat.relay.claims import STALE_S
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.company import News
from bellwire.chat.relay.frames import Reason
from bellwire.chat.relay.jobs import Claim, Claimed, Expire, Look
from bellwire.chat.relay.ladder import Ladder
from bellwire.chat.relay.moving import Mover
from bellwire.chat.relay.nats import MAX_ACCOUNTS, NatsNews, Sealed
from bellwire.chat.relay.server import Relay
from bellwire.chat.relay.standing import Spot
from bellwire.chat.relay.store import RelayStore
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.database.place import ServerPlace

Places = tuple[ServerPlace, ServerPlace]
SEED = Secret(bytes(64))
ACCOUNTS = [bytes([number]) * 32 for number in range(3)]


class Lossy(News):
    """Words of which each is lost, though all seems well."""

    is_heard = True

    def tell(self, relay: bytes, accounts: Collection[bytes]) -> None:
        pass

    async def run(self, heard: Callable[[bytes], None], changed: Callable[[], None]) -> None:
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def two(
    places: Places, make: Callable[[RelayStore], News | None] = lambda _: None
) -> AsyncIterator[tuple[str, str]]:
    """Their addresses."""
    stores = [RelayStore(places[0]) for _ in range(2)]
    async with contextlib.AsyncExitStack() as undo:
        found = [
            await undo.enter_async_context(relay_on(each, None, 1e9, make(each))) for each in stores
        ]
        for _, relay in found:
            assert relay.company is not None
            if isinstance(relay.company.news, NatsNews):
                while not relay.company.news.is_heard:
                    await asyncio.sleep(0.01)
        yield found[0][0], found[1][0]


def over(server: NatsServer) -> Callable[[RelayStore], News]:
    return lambda store: NatsNews(server.address, {}, SEED, store.relay_id, store.instance)


@pytest.fixture
def slow_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes, comes by words."""
    monkeypatch.setattr(company, "LOOK_EVERY_S", 600.0)
    monkeypatch.setattr(company, "LOOK_SELDOM_S", 600.0)


@pytest.mark.usefixtures("slow_looks")
def test_a_word_over_nats_wakes_the_relay_at_which_the_owner_listens(
    places: Places, nats_server: NatsServer
) -> None:
    async def story() -> None:
        async with two(places, over(nats_server)) as (one, other), await owner_at(one) as owner:
            await owner.listen()
            async with await RelayClient.connect(other) as sender:
                for number in range(20):
                    await drop(sender, number)
                    assert await take(owner, 1) == [number]

    run(story())


@pytest.mark.parametrize("news", [lambda _: None, lambda _: Lossy()], ids=["none", "all lost"])
def test_without_a_word_a_relay_looks_by_itself(
    places: Places, news: Callable[[RelayStore], News | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(company, "LOOK_SELDOM_S", 0.05)

    async def story() -> None:
        async with two(places, news) as (one, other), await owner_at(one) as owner:
            await owner.listen()
            async with await RelayClient.connect(other) as sender:
                for number in range(3):
                    await drop(sender, number)
                    assert await take(owner, 1) == [number]
                async with await owner_at(other) as newer:
                    await newer.listen()
                    with pytest.raises(RelayRefused, match="another connection"):
                        await owner.next()

    run(story())


@pytest.mark.usefixtures("slow_looks")
def test_an_account_listens_at_one_relay_the_newest(
    places: Places, nats_server: NatsServer
) -> None:
    async def story() -> None:
        async with (
            two(places, over(nats_server)) as relays,
            await RelayClient.connect(relays[0]) as sender,
        ):
            before = await owner_at(relays[0])
            await before.listen()
            for turn in range(4):
                newer = await owner_at(relays[(turn + 1) % 2])
                await newer.listen()
                with pytest.raises(RelayRefused) as caught:
                    await before.next()
                assert caught.value.reason == Reason.ELSEWHERE
                before.close()
                await drop(sender, turn)
                # The one before it comes again, if it was said to be safe at the last moment.
                came = await take(newer, 1)
                while came[-1] != turn:
                    came += await take(newer, 1)
                assert came in ([turn], [turn - 1, turn])
                before = newer
            before.close()

    run(story())


@pytest.mark.parametrize("seed", range(2))
def test_over_relays_and_listeners_that_come_and_go_nothing_is_lost_and_each_sender_keeps_its_order(
    places: Places, nats_server: NatsServer, seed: int
) -> None:
    drawn = random.Random(seed)
    came: list[int] = []

    async def send(relays: tuple[str, str], box: int) -> None:
        """Each payload by another relay, once the one before is done."""
        lines = [await RelayClient.connect(each) for each in relays]
        for number in range(100):
            await drop(drawn.choice(lines), 1000 * box + number, box)
        for line in lines:
            line.close()

    async def receive(relays: tuple[str, str]) -> None:
        while len(set(came)) < 200:
            with contextlib.suppress(RelayRefused):  # superseded by the one after, which is ours
                async with await owner_at(drawn.choice(relays), boxes=2) as owner:
                    await owner.listen()
                    for _ in range(drawn.randrange(1, 60)):
                        delivered = await owner.next()
                        came.append(number_of(delivered.payload))
                        if drawn.random() < 0.9:
                            owner.safe(delivered.number)
                        if len(set(came)) == 200:
                            break

    async def story() -> None:
        async with two(places, over(nats_server)) as relays:
            async with await owner_at(relays[0], boxes=2):
                pass
            await asyncio.gather(receive(relays), *(send(relays, box) for box in (1, 2)))

    run(story())
    first = list(dict.fromkeys(came))
    for box in (1, 2):
        assert [number % 1000 for number in first if number // 1000 == box] == list(range(100))


def test_mailboxes_limits_and_identity_are_of_all_relays(places: Places) -> None:
    async def story() -> None:
        async with (
            two(places) as (one, other),
            await owner_at(one) as owner,
            await RelayClient.connect(other) as line,
        ):
            assert (await owner.challenge()).relay_id == (await line.challenge()).relay_id
            await line.login(OWNER)
            await line.close_mailbox(mailbox(1))
            with pytest.raises(RelayRefused, match="no such"):
                await drop(owner, 1)
            await line.open_mailbox(mailbox(2), right(1))
            await drop(owner, 2)
            await line.listen()
            assert await take(line, 1) == [2]

    run(story())


def test_a_nats_server_that_goes_and_comes_back_holds_up_nothing_and_is_told_of(
    places: Places, monkeypatch: pytest.MonkeyPatch, nats_server: NatsServer
) -> None:
    monkeypatch.setattr(company, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(words, "AGAIN_S", 0.05)

    async def until(relay: Relay, news: str) -> None:
        while relay.condition().news != news:
            await asyncio.sleep(0.01)

    async def story() -> None:
        stores = [RelayStore(places[0]) for _ in range(2)]
        make = over(nats_server)
        async with (
            relay_on(stores[0], news=make(stores[0])) as (one, first),
            relay_on(stores[1], news=make(stores[1])) as (other, second),
            await owner_at(one) as owner,
            await RelayClient.connect(other) as sender,
        ):
            await owner.listen()
            for number, news in enumerate(("heard", "away", "heard")):
                if news == "away":
                    await asyncio.to_thread(nats_server.stop)
                elif number:
                    nats_server.start()
                    assert await asyncio.to_thread(nats_server.answers)
                for relay in (first, second):
                    await until(relay, news)
                await drop(sender, number)
                assert await take(owner, 1) == [number]

    try:
        run(story())
    finally:
        if nats_server.process is not None and nats_server.process.poll() is not None:
            nats_server.start()
            nats_server.answers()


@pytest.mark.usefixtures("slow_looks")
def test_whoever_speaks_over_nats_without_the_key_sets_no_relay_to_work(
    places: Places, nats_server: NatsServer
) -> None:
    async def story() -> None:
        store = RelayStore(places[0])
        news = NatsNews(nats_server.address, {}, SEED, store.relay_id, store.instance)
        async with relay_on(store, news=news) as (url, relay), await owner_at(url) as owner:
            while not news.is_heard:
                await asyncio.sleep(0.01)
            await owner.listen()
            client = await nats.connect(nats_server.address)
            forger = Sealed(Secret(b"\x01" * 64), bytes(16))
            for word in (b"", b"\x01", bytes(100), b"\x01" * 93, bytes(100_000)):
                await client.publish(news._subject, word)
            await client.publish(news._subject, forger.seal(news._subject, ACCOUNTS))
            await client.flush()
            await client.close()
            await drop(owner, 1)
            assert await take(owner, 1) == [1]
            assert relay.condition().news == "heard"

    run(story())


def test_a_word_is_read_by_relays_of_the_store_on_its_subject_alone() -> None:
    one, other = Sealed(SEED, b"1" * 16), Sealed(SEED, b"2" * 16)
    word = one.seal("subject", ACCOUNTS)
    assert other.open("subject", word) == ACCOUNTS
    assert one.seal("subject", ACCOUNTS) != word
    assert not any(each in word for each in ACCOUNTS)
    stranger = Sealed(Secret(b"\x01" * 64), b"1" * 16)
    flipped = (word[:at] + bytes([word[at] ^ 1]) + word[at + 1 :] for at in range(len(word)))
    for reader, subject, said in (
        (stranger, "subject", word),
        (other, "another", word),
        (other, "subject", word[:-32]),
        *((other, "subject", each) for each in flipped),
        (other, "subject", one.seal("subject", [ACCOUNTS[0]] * (MAX_ACCOUNTS + 1))),
        (other, "subject", one.seal("subject", [])),
    ):
        with pytest.raises(AuthenticationFailed):
            reader.open(subject, said)


def test_claims_of_a_relay_that_ended_are_forgotten_in_time(places: Places) -> None:
    ended, store = RelayStore(places[0]), RelayStore(places[0])
    with contextlib.closing(ended), contextlib.closing(store):
        ended.run([Claim(ACCOUNTS[0], 1000)])
        store.run([Claim(ACCOUNTS[1], 1000), Expire(1000 + STALE_S)])
        assert accounts_at(ended) == [ACCOUNTS[0]]
        store.run([Expire(1001 + STALE_S)])
        assert accounts_at(ended) == []
        assert accounts_at(store) == [ACCOUNTS[1]]


def accounts_at(store: RelayStore) -> list[bytes]:
    (found,) = store.run([Look()])
    assert isinstance(found, list)
    return [each.account for each in found if isinstance(each, Claimed)]


def test_a_relay_that_shares_its_store_does_not_move(places: Places, tmp_path: Path) -> None:
    async def story() -> None:
        store = RelayStore(places[0])
        store.take_id(Identity(SEED).public.fingerprint)
        relay = Relay(store)
        relay.begin()
        mover = Mover(relay, Ladder(Spot("127.0.0.1", 0)), SEED, tmp_path)
        try:
            await mover.begin()
            for level in Level:
                with pytest.raises(MoveRefused, match="others may share"):
                    await mover.move(level, ())
            async with await RelayClient.connect(mover.home.url) as line:
                await line.challenge()
                assert not line.notice
        finally:
            await mover.close()
            await relay.stop()
            store.close()

    run(story())
