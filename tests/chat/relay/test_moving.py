"""A relay's doors: what a move opens, shuts and keeps."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tests.chat.relay.running import owner_at, run
from tests.ports import free_port

from bellwire.base.private import PathUnusable
from bellwire.base.secret import Secret
from bellwire.channel import places
from bellwire.channel.places import Level
from bellwire.chat.errors import MoveRefused, RelayUnreachable
from bellwire.chat.identity import Identity
from bellwire.chat.relay import moving
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.ladder import Ladder
from bellwire.chat.relay.moving import Mover
from bellwire.chat.relay.operator import RelayOperator, operator_server
from bellwire.chat.relay.server import Relay
from bellwire.chat.relay.standing import Spot, Standing
from bellwire.chat.relay.store import RelayStore

SEED = Secret(bytes(range(64)))
RELAY_ID = Identity(SEED).public.fingerprint
NOW = 1_800_000_000.0
HOME = Spot("127.0.0.1", 0)


@contextlib.asynccontextmanager
async def moved(
    folder: Path, ladder: Ladder | None = None, now: float = NOW, *, at_home: bool = False
) -> AsyncIterator[Mover]:
    store = RelayStore(folder)
    store.take_id(RELAY_ID)
    relay = Relay(store, now=lambda: now)
    relay.begin()
    mover = Mover(relay, ladder or Ladder(HOME, grace_s=0), SEED, folder, now=lambda: now)
    try:
        await mover.begin(at_home=at_home)
        yield mover
    finally:
        await mover.close()
        await relay.stop()
        store.close()


async def is_open(url: str) -> bool:
    try:
        async with await RelayClient.connect(url):
            return True
    except RelayUnreachable:
        return False


async def shut(url: str) -> None:
    while await is_open(url):
        await asyncio.sleep(0.01)


async def notice_at(url: str) -> places.Notice:
    async with await RelayClient.connect(url) as line:
        await line.noticed.wait()
        return places.read(line.notice, RELAY_ID, now=NOW, after=0)


def test_a_relay_that_never_moved_says_nothing_of_places(tmp_path: Path) -> None:
    async def story() -> None:
        async with moved(tmp_path) as mover:
            home = mover.whereabouts()
            assert (home.level, home.sequence, home.until) == (Level.HOME, 0, None)
            async with await owner_at(home.places[0]) as line:
                assert line.notice == b""

    run(story())
    assert not (tmp_path / "places").exists()


def test_a_move_tells_who_is_there_and_who_comes_and_then_shuts_the_old_place(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with moved(tmp_path) as mover:
            home = mover.whereabouts().places[0]
            async with await owner_at(home) as line:
                there = await mover.move(Level.PORT, ())
                await line.noticed.wait()
                told = places.read(line.notice, RELAY_ID, now=NOW, after=0)
                assert [each.url for each in told.places] == list(there.places)
                assert (told.level, told.sequence) == (Level.PORT, there.sequence)
                with pytest.raises(RelayUnreachable):  # it is hung up
                    await line.next()
            await shut(home)
            assert await notice_at(there.places[0]) == told

    run(story())


def test_a_relay_stands_where_it_stood_with_a_later_notice_until_it_is_brought_home(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with moved(tmp_path) as mover:
            there = await mover.move(Level.ADDRESS, ("127.0.0.2:0",))
        async with moved(tmp_path) as mover:
            again = mover.whereabouts()
            assert (again.level, again.places) == (there.level, there.places)
            assert again.sequence > there.sequence
            assert (await notice_at(there.places[0])).sequence == again.sequence
        async with moved(tmp_path, now=NOW - 1e6, at_home=True) as mover:  # whatever the clock says
            home = mover.whereabouts()
            assert home.level is Level.HOME
            assert home.sequence > again.sequence
            assert not await is_open(there.places[0])

    run(story())


def test_nothing_is_open_in_a_lockdown_and_after_a_restart_in_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with moved(tmp_path, Ladder(HOME, signposts=True)) as mover:
            home = mover.whereabouts().places[0]
            async with await owner_at(home) as line:
                there = await mover.move(Level.LOCKDOWN, ())
                assert there.places == ()
                with pytest.raises(RelayUnreachable):
                    await line.next()
                told = places.read(line.notice, RELAY_ID, now=NOW, after=0)
                assert told.level is Level.LOCKDOWN
            await shut(home)
        async with moved(tmp_path, Ladder(HOME, signposts=True)) as mover:
            assert mover.whereabouts().level is Level.LOCKDOWN
            assert not await is_open(home)
            back = await mover.move(Level.HOME, ())
            assert await is_open(back.places[0])

    run(story())


def test_an_old_place_that_is_a_sign_tells_and_serves_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with moved(tmp_path, Ladder(HOME, grace_s=0, signposts=True)) as mover:
            home = mover.whereabouts().places[0]
            there = await mover.move(Level.PORT, ())
            while True:
                async with await RelayClient.connect(home) as line:
                    with contextlib.suppress(RelayUnreachable):
                        await line.listen()
                        continue
                    told = places.read(line.notice, RELAY_ID, now=NOW, after=0)
                    break
            assert [each.url for each in told.places] == list(there.places)
            await mover.move(Level.HOME, ())  # and it serves again
            async with await owner_at(home):
                pass

    run(story())


@pytest.mark.parametrize(
    ("level", "named", "words"),
    [
        (Level.HOME, ["127.0.0.1:1"], "expected no place"),
        (Level.LOCKDOWN, ["x"], "expected no place"),
        (Level.PORT, ["65536"], "one port"),
        (Level.PORT, ["1", "2"], "one port"),
        (Level.PORT, ["٣"], "one port"),
        (Level.ADDRESS, [], "no other is prepared"),
        (Level.ADDRESS, ["127.0.0.1"], "HOST:PORT"),
        (Level.ADDRESS, ["127.0.0.1:1=http://x:1"], "HOST:PORT"),
        (Level.ADDRESS, ["192.0.2.1:0"], "cannot be there"),
        (Level.ADDRESS, ["0.0.0.0:0"], "that clients can reach"),
        (Level.ADDRESS, [f"127.0.0.1:{n}" for n in range(20)], "1 to 16 places"),
        (Level.INTERFACE, [], "no other is prepared"),
        (Level.INTERFACE, ["none0"], "an interface with an address"),
        (Level.INTERFACE, ["lo:x"], "NAME or NAME:PORT"),
    ],
)
def test_a_relay_that_cannot_move_is_where_it_was(
    tmp_path: Path, level: Level, named: Sequence[str], words: str
) -> None:
    async def story() -> None:
        async with moved(tmp_path) as mover:
            home = mover.whereabouts()
            with pytest.raises(MoveRefused, match=words):
                await mover.move(level, named)
            assert mover.whereabouts() == home
            async with await owner_at(home.places[0]) as line:
                assert line.notice == b""

    run(story())
    assert not (tmp_path / "places").exists()


def test_no_notice_leaves_before_it_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, standing: Standing) -> None:
        raise PathUnusable("expected room on the disk, got none")

    async def story() -> None:
        async with moved(tmp_path) as mover:
            home = mover.whereabouts()
            monkeypatch.setattr(moving, "keep_standing", fail)
            async with await owner_at(home.places[0]) as line:
                with pytest.raises(PathUnusable):
                    await mover.move(Level.PORT, ())
                await line.open_mailbox(bytes(16), bytes(32))  # it is served as before
                assert line.notice == b""
            assert mover.whereabouts() == home

    run(story())


def test_what_is_prepared_is_taken_in_turn_and_ports_come_from_the_range(tmp_path: Path) -> None:
    first = free_port()
    ladder = Ladder(
        HOME,
        ports=(first, first),
        addresses=(Spot("127.0.0.2", 0), Spot("127.0.0.3", 0)),
        interfaces=("lo:0",),
        grace_s=0,
    )

    async def story() -> None:
        async with moved(tmp_path, ladder) as mover:
            assert (await mover.move(Level.PORT, ())).places == (f"ws://127.0.0.1:{first}",)
            with pytest.raises(MoveRefused, match="was found free"):
                await mover.move(Level.PORT, ())  # it is there already
            assert "127.0.0.2" in (await mover.move(Level.ADDRESS, ())).places[0]
            there = await mover.move(Level.INTERFACE, ())
            assert there.places[0].startswith("ws://127.0.0.1:")
            with pytest.raises(MoveRefused, match="no other is prepared"):
                await mover.move(Level.INTERFACE, ())

    run(story())


def test_clients_are_told_what_the_operator_names(tmp_path: Path) -> None:
    ladder = Ladder(Spot("127.0.0.1", 0, "wss://relay.example.org:443"), grace_s=0)

    async def story() -> None:
        async with moved(tmp_path, ladder) as mover:
            named = ("127.0.0.2:0=wss://relay-2.example.org:8765",)
            there = await mover.move(Level.ADDRESS, named)
            assert there.places == ("wss://relay-2.example.org:8765",)
            assert (await mover.move(Level.HOME, ())).places == ("wss://relay.example.org:443",)
            port = await mover.move(Level.PORT, ())
            assert port.places[0].startswith("ws://relay.example.org:")

    run(story())


def test_an_operator_asks_over_the_socket_and_hears_refusals(tmp_path: Path) -> None:
    async def story() -> None:
        async with moved(tmp_path) as mover, operator_server(mover, tmp_path):
            assert (tmp_path / "operator.sock").stat().st_mode & 0o777 == 0o600
            operator = RelayOperator(tmp_path)
            assert await operator.look() == mover.whereabouts()
            there = await operator.move(Level.PORT)
            assert there == mover.whereabouts() == await operator.look()
            with pytest.raises(MoveRefused, match="expected no place"):
                await operator.move(Level.HOME, ("x",))

    run(story())


def test_a_relay_whose_id_is_not_its_identitys_does_not_move(tmp_path: Path) -> None:
    async def story() -> None:
        store = RelayStore(tmp_path)
        relay = Relay(store)
        relay.begin()
        mover = Mover(relay, Ladder(HOME), SEED, tmp_path)
        try:
            await mover.begin()
            with pytest.raises(MoveRefused, match="earlier version"):
                await mover.move(Level.PORT, ())
        finally:
            await mover.close()
            await relay.stop()
            store.close()

    run(story())
