import asyncio
import contextlib
import hashlib
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from tests.chat.relay.running import (
    HOUR,
    OTHER,
    OWNER,
    Process,
    ever_stored,
    mailbox,
    number_of,
    owner_at,
    payload,
    relay_at,
    right,
    run,
    token,
    two_at_a_slow_store,
)
from tests.patience import PATIENCE_S
from tests.web.scraping import scraped

from bellwire.base.secret import Secret
from bellwire.chat.errors import RelayRefused, RelayUnreachable, StoreCorrupt, StoreUnusable
from bellwire.chat.identity import Identity
from bellwire.chat.relay import server
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.frames import Reason
from bellwire.chat.relay.jobs import Job, Outcome
from bellwire.chat.relay.listening import WINDOW
from bellwire.chat.relay.rates import MAX_SOURCES, Rates, source_of
from bellwire.chat.relay.server import Relay, RelayLimits
from bellwire.chat.relay.store import APPLICATION_ID, RelayStore, StoreLimits

VERSION_1 = f"""
CREATE TABLE relay (relay_id BLOB NOT NULL);
CREATE TABLE mailboxes (
    mailbox BLOB PRIMARY KEY, right_hash BLOB NOT NULL UNIQUE, account BLOB NOT NULL,
    stored INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX mailboxes_of ON mailboxes (account);
CREATE TABLE payloads (
    number INTEGER PRIMARY KEY AUTOINCREMENT, account BLOB NOT NULL, mailbox BLOB NOT NULL,
    token BLOB NOT NULL, gone_at INTEGER NOT NULL, payload BLOB NOT NULL,
    UNIQUE (mailbox, token));
CREATE INDEX payloads_of ON payloads (account, number);
CREATE INDEX payloads_gone ON payloads (gone_at);
INSERT INTO relay VALUES (x'{"07" * 32}');
INSERT INTO mailboxes VALUES (
    x'{mailbox(1).hex()}', x'{hashlib.sha256(right(1)).hexdigest()}',
    x'{hashlib.sha256(OWNER.public.public_bytes).hexdigest()}', 512);
INSERT INTO payloads VALUES (
    41, x'{hashlib.sha256(OWNER.public.public_bytes).hexdigest()}', x'{mailbox(1).hex()}',
    x'{token(2).hex()}', 2000000000, x'{payload(2).hex()}');
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
"""


async def drop(line: RelayClient, number: int, box: int = 1, size: int = 512) -> None:
    await line.drop(right(box), token(number), HOUR, payload(number, size))


async def take(line: RelayClient, count: int) -> list[int]:
    """The next payloads, each said to be safe."""
    numbers = []
    for _ in range(count):
        delivered = await line.next()
        numbers.append(number_of(delivered.payload))
        line.safe(delivered.number)
    return numbers


def test_what_was_dropped_for_somebody_away_comes_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url:
            async with await owner_at(url):
                pass
            async with await RelayClient.connect(url) as sender:
                for number in range(200):
                    await drop(sender, number)
            async with await owner_at(url) as owner:
                await owner.listen()
                assert await take(owner, 200) == list(range(200))

    run(story())


def test_what_is_dropped_for_somebody_here_comes_at_once_in_all_sizes(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url, boxes=2) as owner:
            await owner.listen()
            async with await RelayClient.connect(url) as sender:
                for number, size in enumerate((512, 4096, 16_384)):
                    await drop(sender, number, 1 + number % 2, size)
                    delivered = await owner.next()
                    assert delivered.payload == payload(number, size)
                    assert delivered.mailbox == mailbox(1 + number % 2)
                    owner.safe(delivered.number)

    run(story())


def test_many_at_once_keep_the_order_of_each_sender(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url, boxes=4) as owner:
            await owner.listen()

            async def send(box: int) -> None:
                async with await RelayClient.connect(url) as sender:
                    drops = [drop(sender, 1000 * box + n, box) for n in range(150)]
                    await asyncio.gather(*drops)

            sending = [asyncio.create_task(send(box)) for box in range(1, 5)]
            numbers = await take(owner, 600)
            await asyncio.gather(*sending)
            for box in range(1, 5):
                mine = [number % 1000 for number in numbers if number // 1000 == box]
                assert mine == list(range(150))

    run(story())


def test_what_was_not_said_to_be_safe_comes_again_and_the_rest_does_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url:
            async with await owner_at(url) as owner, await RelayClient.connect(url) as sender:
                await owner.listen()
                for number in range(4):
                    await drop(sender, number)
                assert await take(owner, 2) == [0, 1]
                assert number_of((await owner.next()).payload) == 2
                await drop(sender, 4)  # by when it is done, the words before it are heard
            async with await owner_at(url) as owner:
                await owner.listen()
                assert await take(owner, 3) == [2, 3, 4]

    run(story())


def test_a_payload_that_is_dropped_again_is_there_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as owner:
            async with await RelayClient.connect(url) as sender:
                for number in (1, 1, 2, 1):
                    await drop(sender, number)
            await owner.listen()
            assert await take(owner, 2) == [1, 2]

    run(story())


def test_what_its_owner_has_is_done_without_having_been_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with two_at_a_slow_store(tmp_path, monkeypatch) as (owner, sender):
            dropping = asyncio.create_task(drop(sender, 1))
            delivered = await owner.next()
            assert not dropping.done()
            owner.safe(delivered.number)
            await dropping

    run(story())
    assert ever_stored(tmp_path) < 2


def test_what_a_listener_did_not_confirm_is_stored_when_it_goes_and_not_with_what_others_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with (
            relay_at(tmp_path) as url,
            await RelayClient.connect(url) as away,
            await RelayClient.connect(url) as sender,
        ):
            await away.login(OTHER)
            await away.open_mailbox(mailbox(2), right(2))
            async with await owner_at(url) as owner:
                await owner.listen()
                await drop(sender, 0)
                await take(owner, 1)
                monkeypatch.setattr(server, "LINGER_S", 2 * PATIENCE_S)
                dropping = [asyncio.create_task(drop(sender, number)) for number in (1, 2)]
                assert number_of((await owner.next()).payload) == 1
                await drop(sender, 3, box=2)  # the store is written meanwhile
                assert not any(each.done() for each in dropping)
            await asyncio.gather(*dropping)
            async with await owner_at(url) as owner:
                await owner.listen()
                assert await take(owner, 2) == [1, 2]

    run(story())


@pytest.mark.parametrize("does", ["listens again", "closes the mailbox", "logs in again"])
def test_whoever_dropped_hears_of_it_whatever_the_listener_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    async def story() -> None:
        async with two_at_a_slow_store(tmp_path, monkeypatch) as (owner, sender):
            dropping = asyncio.create_task(drop(sender, 1))
            await owner.next()
            if does == "closes the mailbox":
                await owner.close_mailbox(mailbox(1))
            elif does == "logs in again":
                await owner.login(OWNER)
            if does != "closes the mailbox":
                await owner.listen()
                assert await take(owner, 1) == [1]
            await dropping

    run(story())


def test_what_comes_again_while_it_is_under_way_is_done_and_delivered_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as owner:
            await owner.listen()
            async with await RelayClient.connect(url) as sender:
                await asyncio.gather(*(drop(sender, 1) for _ in range(5)))
                await drop(sender, 1)  # it is stored by now, and still under way
                await drop(sender, 2)
                assert await take(owner, 2) == [1, 2]

    run(story())


def test_over_listeners_that_come_and_go_nothing_is_lost_and_each_sender_keeps_its_order(
    tmp_path: Path,
) -> None:
    drawn = random.Random(9)
    came: list[int] = []

    async def send(url: str, box: int) -> None:
        async with await RelayClient.connect(url) as sender:
            at = 0
            while at < 200:
                some = range(at, min(200, at + drawn.randrange(1, 30)))
                await asyncio.gather(*(drop(sender, 1000 * box + n, box) for n in some))
                at = some.stop

    async def receive(url: str) -> None:
        while len(set(came)) < 600:
            async with await owner_at(url, boxes=3) as owner:
                await owner.listen()
                for _ in range(drawn.randrange(1, 120)):
                    delivered = await owner.next()
                    came.append(number_of(delivered.payload))
                    if drawn.random() < 0.9:
                        owner.safe(delivered.number)
                    if len(set(came)) == 600:
                        break

    async def story() -> None:
        async with relay_at(tmp_path) as url:
            async with await owner_at(url, boxes=3):
                pass
            await asyncio.gather(receive(url), *(send(url, box) for box in (1, 2, 3)))

    run(story())
    first = list(dict.fromkeys(came))
    for box in (1, 2, 3):
        assert [number % 1000 for number in first if number // 1000 == box] == list(range(200))


def test_more_waits_for_owners_than_for_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What owners have meanwhile does not count as waiting for a store that hangs."""

    async def story() -> None:
        async with two_at_a_slow_store(tmp_path, monkeypatch) as (owner, sender):
            monkeypatch.setattr(server, "MAX_QUEUED", 8)
            for number in range(1, 50):
                dropping = asyncio.create_task(drop(sender, number))
                await take(owner, 1)
                await dropping
            waiting = [asyncio.create_task(drop(sender, 50 + n)) for n in range(8)]
            first = [await owner.next() for _ in waiting]
            with pytest.raises(RelayRefused, match="too many"):
                await drop(sender, 60)
            for each in first:
                owner.safe(each.number)
            await asyncio.gather(*waiting)

    run(story())


def test_a_slow_reader_has_a_bounded_number_under_way(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as owner:
            await owner.listen()
            async with await RelayClient.connect(url) as sender:
                for number in range(3 * WINDOW):
                    await drop(sender, number)
            first = [await owner.next() for _ in range(WINDOW)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await owner.next()
            for each in first:
                owner.safe(each.number)
            assert await take(owner, 2 * WINDOW) == list(range(WINDOW, 3 * WINDOW))

    run(story())


def test_nobody_listens_or_opens_without_a_login_and_anybody_may_drop(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await RelayClient.connect(url) as stranger:
            for call in (
                stranger.listen(),
                stranger.open_mailbox(mailbox(1), right(1)),
                stranger.close_mailbox(mailbox(1)),
            ):
                with pytest.raises(RelayRefused, match="logged in"):
                    await call
            with pytest.raises(RelayRefused, match="no such mailbox"):
                await drop(stranger, 1)

    run(story())


@pytest.mark.parametrize("half", [slice(0, 32), slice(32, 64)], ids=["Ed25519", "ML-DSA-65"])
def test_nobody_logs_in_as_another_with_half_of_the_key(tmp_path: Path, half: slice) -> None:
    seed = bytearray(OTHER.seed.reveal())
    seed[half] = OWNER.seed.reveal()[half]
    forger = Identity(Secret(bytes(seed)))
    forger.public = OWNER.public

    async def story() -> None:
        async with relay_at(tmp_path) as url, await RelayClient.connect(url) as line:
            with pytest.raises(RelayRefused, match="signature"):
                await line.login(forger)
            with pytest.raises(RelayRefused):
                await line.listen()

    run(story())


def test_a_login_signed_for_another_relay_or_connection_does_not_hold(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            relay_at(tmp_path / "one") as one,
            relay_at(tmp_path / "two") as two,
            await RelayClient.connect(one) as first,
            await RelayClient.connect(two) as second,
        ):
            second._challenge = first._challenge
            with pytest.raises(RelayRefused, match="signature"):
                await second.login(OWNER)

    run(story())


def test_mailboxes_and_rights_of_one_are_not_anothers(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            relay_at(tmp_path) as url,
            await owner_at(url, OWNER) as owner,
            await RelayClient.connect(url) as other,
        ):
            await other.login(OTHER)
            for box, held in ((1, 1), (1, 2), (2, 1)):
                with pytest.raises(RelayRefused) as caught:
                    await other.open_mailbox(mailbox(box), right(held))
                assert caught.value.reason == Reason.TAKEN
            with pytest.raises(RelayRefused, match="no such"):
                await other.close_mailbox(mailbox(1))
            await drop(other, 7)
            await other.listen()
            other.safe(1)  # not delivered to it
            await owner.listen()
            assert await take(owner, 1) == [7]

    run(story())


def test_a_mailbox_is_opened_again_and_closed_with_what_is_in_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as owner:
            await owner.open_mailbox(mailbox(1), right(1))
            await drop(owner, 1)
            await owner.close_mailbox(mailbox(1))
            with pytest.raises(RelayRefused, match="no such"):
                await drop(owner, 2)
            await owner.open_mailbox(mailbox(1), right(1))
            await drop(owner, 3)
            await owner.listen()
            assert await take(owner, 1) == [3]

    run(story())


def test_an_account_listens_on_one_connection_the_newest(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as before:
            await before.listen()
            async with await owner_at(url) as after:
                await after.listen()
                with pytest.raises(RelayRefused, match="another connection"):
                    await before.next()
                await drop(after, 1)
                assert await take(after, 1) == [1]

    run(story())


def test_a_mailbox_holds_so_much_and_takes_more_once_it_is_emptied(tmp_path: Path) -> None:
    async def story() -> None:
        limits = StoreLimits(mailboxes=2, mailbox_bytes=1024)
        async with (
            relay_at(tmp_path, None, limits) as url,
            await owner_at(url, boxes=2) as owner,
        ):
            with pytest.raises(RelayRefused, match="full"):
                await owner.open_mailbox(mailbox(3), right(3))
            await drop(owner, 1)
            await drop(owner, 2)
            with pytest.raises(RelayRefused, match="full"):
                await drop(owner, 3)
            await drop(owner, 4, box=2)
            await owner.listen()
            await take(owner, 3)
            await drop(owner, 3)

    run(story())


def test_what_has_outlived_its_time_is_forgotten(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path, now=1e9) as url, await owner_at(url) as owner:
            await owner.drop(right(1), token(1), 60, payload(1))
            await owner.drop(right(1), token(2), 61, payload(2))
        async with relay_at(tmp_path, now=1e9 + 60) as url, await owner_at(url) as owner:
            await owner.listen()
            assert await take(owner, 1) == [2]

    run(story())


def test_a_source_that_floods_is_told_so_and_others_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        limits = RelayLimits(drops_per_s=1e-3 * 5)  # a burst of 0.05: none
        async with relay_at(tmp_path, limits) as url, await owner_at(url) as owner:
            with pytest.raises(RelayRefused) as caught:
                await drop(owner, 1)
            assert caught.value.reason == Reason.TOO_FAST
            await owner.listen()

    run(story())


def test_connections_of_one_source_are_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            relay_at(tmp_path, RelayLimits(source_connections=2)) as url,
            await RelayClient.connect(url),
            await RelayClient.connect(url),
        ):
            with pytest.raises(RelayUnreachable):
                await RelayClient.connect(url)

    run(story())


class Raw(WSListener):
    """A client that sends what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[bytes] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.came.append(frame.get_payload_as_bytes())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        bytes(512),
        b"\x04" + bytes(100),
        b"\x01" * 5361,
        bytes(20_000),
        bytes(10_000_000),
    ],
    ids=len,
)
def test_garbage_ends_its_own_connection_and_no_other(tmp_path: Path, data: bytes) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as owner:
            transport, _ = await ws_connect(Raw, url)
            transport.send(WSMsgType.BINARY, data)
            await transport.wait_disconnected()
            await drop(owner, 1)
            await owner.listen()
            assert await take(owner, 1) == [1]

    run(story())


def test_text_and_split_frames_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url:
            for kind, fin in ((WSMsgType.TEXT, True), (WSMsgType.BINARY, False)):
                transport, _ = await ws_connect(Raw, url)
                transport.send(kind, b"\x05\0\0\0\1", fin)
                await transport.wait_disconnected()

    run(story())


def test_where_no_relay_is_the_client_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url:
            pass
        with pytest.raises(RelayUnreachable):
            await RelayClient.connect(url)
        with pytest.raises(RelayUnreachable):
            await RelayClient.connect("http://nowhere")

    run(story())


def test_a_relay_that_cannot_store_says_so_and_forgets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with relay_at(tmp_path) as url, await owner_at(url) as owner:
            await drop(owner, 1)
            with monkeypatch.context() as patch:

                def full(*_: object) -> None:
                    raise sqlite3.OperationalError("database or disk is full")

                patch.setattr(RelayStore, "_put", full)
                with pytest.raises(RelayRefused) as caught:
                    await drop(owner, 2)
                assert caught.value.reason == Reason.FAILED
            await drop(owner, 3)
            await owner.listen()
            assert await take(owner, 2) == [1, 3]

    run(story())


def test_a_relay_whose_work_ends_unforeseen_says_so_to_whoever_runs_it(tmp_path: Path) -> None:
    class Broken(RelayStore):
        def run(self, jobs: Sequence[Job], forget: Sequence[int] = ()) -> list[Outcome]:
            raise MemoryError

    async def story() -> None:
        with contextlib.closing(Broken(tmp_path)) as store:
            relay = Relay(store)
            host, port = await relay.start("127.0.0.1", 0)
            try:
                working = asyncio.create_task(relay.working())
                async with await RelayClient.connect(f"ws://{host}:{port}") as line:
                    await line.login(OWNER)
                    asked = asyncio.create_task(line.open_mailbox(mailbox(1), right(1)))
                    with pytest.raises(MemoryError):
                        await working
                    asked.cancel()
                    await asyncio.gather(asked, return_exceptions=True)
            finally:
                await relay.stop()

    run(story())


def test_a_relay_that_is_stopped_works_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        with contextlib.closing(RelayStore(tmp_path)) as store:
            relay = Relay(store)
            await relay.start("127.0.0.1", 0)
            working = asyncio.create_task(relay.working())
            await relay.stop()
            await working

    run(story())


def test_a_store_is_one_relays_and_of_this_program(tmp_path: Path) -> None:
    store = RelayStore(tmp_path / "one")
    with pytest.raises(StoreUnusable, match="in use"):
        RelayStore(tmp_path / "one")
    store.close()
    again = RelayStore(tmp_path / "one")
    assert again.relay_id == store.relay_id
    again.close()
    other = tmp_path / "two"
    other.mkdir(mode=0o700)
    (other / "relay.sqlite").touch(mode=0o600)
    connection = sqlite3.connect(other / "relay.sqlite")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreCorrupt):
        RelayStore(other)


def test_a_store_of_version_1_goes_on(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "relay.sqlite").touch(mode=0o600)
    connection = sqlite3.connect(tmp_path / "relay.sqlite")
    connection.executescript(VERSION_1)
    connection.close()

    async def story() -> None:
        async with relay_at(tmp_path, now=1e9) as url, await owner_at(url) as owner:
            await drop(owner, 3)
            await drop(owner, 2)  # it is there
            await owner.listen()
            assert await take(owner, 2) == [2, 3]

    run(story())


def test_rates_fill_again_and_forget_who_was_silent_longest() -> None:
    rates = Rates(per_s=1, burst=2)
    assert [rates.admit("a", 0) for _ in range(3)] == [True, True, False]
    assert rates.admit("b", 0)
    assert rates.admit("a", 1)
    assert not rates.admit("a", 1.5)
    for number in range(MAX_SOURCES):
        rates.admit(str(number), 2)
    assert len(rates._buckets) == MAX_SOURCES


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_source_is_an_address_or_a_network_of_ipv6(host: str, source: str) -> None:
    assert source_of(host) == source


def test_what_a_killed_relay_said_was_done_is_there_when_it_is_back(tmp_path: Path) -> None:
    """Killed twice at random moments; senders ask again with the same token."""
    drawn = random.Random(6)
    relay = Process(tmp_path)
    port = relay.port
    came: list[int] = []

    async def send() -> None:
        line: RelayClient | None = None
        for number in range(200):
            while True:
                try:
                    line = line or await RelayClient.connect(relay.url)
                    await drop(line, number)
                    break
                except RelayUnreachable:
                    line = None
                    await asyncio.sleep(0.02)
        if line is not None:
            line.close()

    async def receive() -> None:
        while len(set(came)) < 200:
            try:
                async with await owner_at(relay.url) as owner:
                    await owner.listen()
                    while len(set(came)) < 200:
                        came.extend(await take(owner, 1))
            except RelayUnreachable:
                await asyncio.sleep(0.02)

    async def kill() -> None:
        nonlocal relay
        for at in sorted(drawn.sample(range(20, 150), 2)):
            while len(set(came)) < at:
                await asyncio.sleep(0.005)
            relay.kill()
            relay = await asyncio.to_thread(Process, tmp_path, port)

    async def story() -> None:
        async with await owner_at(relay.url):
            pass
        await asyncio.gather(send(), receive(), kill())

    try:
        run(story())
    finally:
        relay.stop()
    assert list(dict.fromkeys(came)) == list(range(200))


def test_the_command_says_where_it_listens_and_ends_with_its_parent(tmp_path: Path) -> None:
    relay = Process(tmp_path, 0, "--metrics", "0")
    told = {"ready", "service", "listen", "url", "accounts", "level", "places", "metrics"}
    assert set(relay.ready) == told
    assert relay.ready["service"] == "relay"
    assert scraped(relay.ready["metrics"])["bellwire_relay_store_works"] == 1
    assert relay.stop() == 0


def test_no_log_says_who_was_there(tmp_path: Path) -> None:
    relay = Process(tmp_path)

    async def story() -> None:
        for data in (b"", bytes(512), bytes(100_000)):
            transport, _ = await ws_connect(Raw, relay.url)
            transport.send(WSMsgType.BINARY, data)
            await transport.wait_disconnected()
        _, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await writer.drain()
        writer.close()
        async with await owner_at(relay.url) as owner:
            await drop(owner, 1)

    run(story())
    assert relay.stop() == 0
    assert relay.said == b""
