"""People follow a relay that moves: a real relay process, and whoever lies about where it is."""

import asyncio
import contextlib
import itertools
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from picows import WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server
from tests.chat.proof import NAMES, Proof
from tests.chat.relay.running import Process
from tests.chat.store.people import Two
from tests.patience import PATIENCE_S

from bellwire.channel import places
from bellwire.channel.errors import NoticeExpired, NoticeForged, NoticeRefused, NoticeReplayed
from bellwire.channel.places import Level, Notice, Place
from bellwire.chat.errors import RelayChanged
from bellwire.chat.following import Following
from bellwire.chat.reaching import LOCKED
from bellwire.chat.relay.frames import Challenge, Placed, encode
from bellwire.chat.relay.operator import RelayOperator
from bellwire.crypto.composite import CompositeKey
from bellwire.crypto.ed25519 import Ed25519Key
from bellwire.crypto.signatures import SigningKey

DAY = 86_400


def key_of(seed: bytes) -> CompositeKey:
    return CompositeKey(Ed25519Key(seed[:32]), SigningKey(seed[32:]))


STRANGER = key_of(bytes(range(64)))


def signed(key: CompositeKey, level: Level, *urls: str, sequence: int, age_s: int = 0) -> bytes:
    now = int(time.time()) - age_s
    told = tuple(Place.of_url(each) for each in urls)
    return places.sign(Notice(sequence, now, now + DAY, level, told), key)


class Journey(Proof):
    """A conversation over a relay that moves."""

    def __init__(self, folder: Path, seed: int, *more: str) -> None:
        self.state = folder / "relay"
        self.notice_file = folder / "notice"
        options = ("--grace", "0.2", "--notice", str(self.notice_file), *more)
        super().__init__(folder, random.Random(seed), 3000, *options, now=time.time)
        self.operator = RelayOperator(self.state / "relay")

    @property
    def home(self) -> str:
        return self._relay.url

    @property
    def relay_id(self) -> bytes:
        return bytes.fromhex(self._relay.ready["accounts"])

    @contextlib.asynccontextmanager
    async def begun(self) -> AsyncIterator["Journey"]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                for name in reversed(NAMES):
                    self._hire(name)
                yield self
        finally:
            for name in NAMES:
                await self._dismiss(name)
            await asyncio.to_thread(self._relay.stop)

    def say(self, count: int) -> None:
        for _ in range(count):
            self._say(self._drawn.choice(NAMES))

    async def all_shown(self) -> None:
        await until(lambda: sum(map(len, self._shown.values())) == self.said)

    async def talk(self, count: int) -> None:
        self.say(count)
        await self.all_shown()

    @property
    def shown(self) -> int:
        return sum(map(len, self._shown.values()))

    async def kill(self) -> None:
        await self._kill()

    def end(self) -> None:
        """For a relay that is started again by `kill`'s second half."""
        self._relay.kill()

    async def start(self) -> None:
        port = self._relay.port
        self._relay = await asyncio.to_thread(Process, self.state, port, *self._more)

    def following(self, name: str) -> Following:
        return Following(self._two.people[name], time.time)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def shut(url: str) -> None:
    """Wait until nobody listens there."""
    place = Place.of_url(url)
    while True:
        try:
            _, writer = await asyncio.open_connection(place.host, place.port)
        except OSError:
            return
        writer.close()
        await asyncio.sleep(0.01)


def test_a_conversation_through_moves_at_each_level_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    journey = Journey(tmp_path, 5)

    async def story() -> None:
        async with journey.begun():
            await journey.talk(10)
            seen = [journey.home]
            for level, named in (
                (Level.PORT, ()),
                (Level.PORT, ()),
                (Level.ADDRESS, ("127.0.0.2:0",)),
                (Level.INTERFACE, ("lo:0",)),
                (Level.HOME, ()),
                (Level.PORT, ()),
            ):
                journey.say(5)  # under way while it moves
                there = await journey.operator.move(level, named)
                assert there.level is level
                assert there.places[0] not in seen[-1:]
                journey.say(5)
                await journey.all_shown()
                await shut(seen[-1])
                await journey.talk(5)
                seen.append(there.places[0])
            assert seen[5] == journey.home
            assert Place.of_url(seen[3]).host == "127.0.0.2"
            journey.say(5)
            await journey.kill()  # it stands where it stood
            assert (await journey.operator.look()).places == (seen[-1],)
            await journey.talk(5)

    asyncio.run(story())
    assert journey.faults() == []
    assert journey.said == 1 + 10 + 6 * 15 + 10


def test_a_lockdown_stops_all_also_over_a_restart_and_is_taken_back(tmp_path: Path) -> None:
    journey = Journey(tmp_path, 6)

    async def story() -> None:
        async with journey.begun():
            await journey.talk(5)
            moved = await journey.operator.move(Level.PORT)
            await journey.talk(5)
            there = await journey.operator.move(Level.LOCKDOWN)
            assert there.places == ()
            shown = journey.shown
            for url in (journey.home, *moved.places):
                await shut(url)
            journey.say(10)
            await until(lambda: LOCKED in journey.troubles)
            await journey.kill()
            assert (await journey.operator.look()).level is Level.LOCKDOWN
            for url in (journey.home, *moved.places):
                await shut(url)
            assert journey.shown == shown
            for name in NAMES:
                assert journey.following(name).known(journey.home).is_locked
            # It comes back where it was last, where those who were there look for it, too.
            await journey.operator.move(Level.PORT, (moved.places[0].rpartition(":")[2],))
            await journey.all_shown()
            await journey.operator.move(Level.HOME)
            await journey.talk(5)

    asyncio.run(story())
    assert journey.faults() == []


class Liar(WSListener):
    """Stands at a place that a relay has left, and says what it likes."""

    def __init__(self, relay_id: bytes, notice: bytes, came: list[bytes]) -> None:
        super().__init__()
        self._relay_id, self._notice, self._came = relay_id, notice, came

    def on_ws_connected(self, transport: WSTransport) -> None:
        for frame in (Challenge(bytes(32), self._relay_id), Placed(self._notice)):
            transport.send(WSMsgType.BINARY, encode(frame))
        transport.disconnect()
        self._came.append(self._notice)


def test_forged_replayed_and_expired_notices_move_nobody(tmp_path: Path) -> None:
    journey = Journey(tmp_path, 7)

    async def story() -> None:
        async with journey.begun():
            await journey.talk(5)
            await journey.operator.move(Level.HOME)  # the first notice
            first = journey.notice_file.read_bytes()
            there = await journey.operator.move(Level.PORT)
            newest = journey.notice_file.read_bytes()
            await journey.talk(5)
            await shut(journey.home)
            kept = sqlite3.connect(journey.state / "relay" / "accounts.sqlite")
            relays = key_of(bytes(kept.execute("SELECT seed FROM relay").fetchone()[0]))
            kept.close()
            assert relays.public.fingerprint == journey.relay_id
            journey.end()

            caught: list[bytes] = []
            trap = await ws_create_server(
                lambda _: Liar(journey.relay_id, newest, caught), "127.0.0.1", 0
            )
            url = f"ws://127.0.0.1:{trap.sockets[0].getsockname()[1]}"
            ahead = there.sequence + 1000
            altered = bytearray(newest)
            altered[-1] ^= 1
            lies = [
                signed(STRANGER, Level.PORT, url, sequence=ahead),
                signed(STRANGER, Level.LOCKDOWN, sequence=ahead),
                signed(relays, Level.PORT, url, sequence=ahead, age_s=2 * DAY),
                signed(relays, Level.PORT, url, sequence=ahead, age_s=-DAY),
                signed(relays, Level.PORT, url, sequence=there.sequence - 1),
                first,
                bytes(altered),
                b"\x00" * len(newest),
            ]
            came: list[bytes] = []
            told = itertools.cycle(lies)
            place = Place.of_url(journey.home)

            def admit(_: WSUpgradeRequest) -> Liar:
                return Liar(journey.relay_id, next(told), came)

            liar = await ws_create_server(admit, place.host, place.port)
            journey.say(5)
            await until(lambda: set(came) == set(lies))
            for name in NAMES:
                known = journey.following(name).known(journey.home)
                assert known.sequence == there.sequence
                assert known.places == (*there.places, journey.home)
            assert not caught
            for server in (liar, trap):
                server.close()
                await server.wait_closed()
            await journey.start()
            await journey.all_shown()

    asyncio.run(story())
    assert journey.faults() == []


def test_who_was_away_finds_the_relay_by_a_sign_at_its_old_place(tmp_path: Path) -> None:
    journey = Journey(tmp_path, 8, "--signposts")

    async def story() -> None:
        async with journey.begun():
            await journey.talk(5)
            await journey._dismiss("bob")
            await journey.operator.move(Level.PORT)
            there = await journey.operator.move(Level.PORT)
            journey.say(5)
            journey._hire("bob")
            await journey.all_shown()
            assert journey.following("bob").known(journey.home).places[0] == there.places[0]
            await journey.kill()  # signs stand again
            await journey._cut("bob")
            await journey.talk(5)
            await journey.operator.move(Level.LOCKDOWN)
            await shut(journey.home)  # no sign in a lockdown
            await journey.operator.move(Level.HOME)
            await journey.talk(5)

    asyncio.run(story())
    assert journey.faults() == []


def test_who_was_away_is_given_the_notice_from_its_file(tmp_path: Path) -> None:
    journey = Journey(tmp_path, 9)

    async def story() -> None:
        async with journey.begun():
            await journey.talk(5)
            await journey._dismiss("bob")
            there = await journey.operator.move(Level.PORT)
            await shut(journey.home)
            data = journey.notice_file.read_bytes()
            assert journey.notice_file.stat().st_mode & 0o777 == 0o644
            known = await asyncio.to_thread(journey.following("bob").learn, journey.home, data)
            assert known.places == (*there.places, journey.home)
            journey._hire("bob")
            await journey.talk(5)

    asyncio.run(story())
    assert journey.faults() == []


def test_what_is_known_of_a_relay_changes_by_its_own_later_word_alone(tmp_path: Path) -> None:
    two = Two(tmp_path, begin=False)
    now = [time.time()]
    following = Following(two.alice, lambda: now[0])
    home, other = "ws://192.0.2.1:8765", "ws://192.0.2.2:8765"
    ours = STRANGER.public.fingerprint
    with pytest.raises(NoticeRefused):  # of a relay that was never met
        following.learn(home, signed(STRANGER, Level.PORT, other, sequence=1))
    assert following.known(home).places == (home,)
    following.meet(home, ours)
    following.meet(home, ours)
    with pytest.raises(RelayChanged):
        following.meet(home, bytes(32))
    second = signed(STRANGER, Level.PORT, other, sequence=2)
    assert following.learn(home, second).places == (other, home)
    assert following.learn(home, second).sequence == 2  # again says nothing new
    with pytest.raises(NoticeReplayed):
        following.learn(home, signed(STRANGER, Level.HOME, home, sequence=1))
    with pytest.raises(NoticeForged):
        following.learn(home, signed(key_of(bytes(64)), Level.HOME, home, sequence=3))
    with pytest.raises(NoticeExpired):
        following.learn(home, signed(STRANGER, Level.HOME, home, sequence=3, age_s=2 * DAY))
    two.restart("alice")
    following = Following(two.alice, lambda: now[0])
    assert following.known(home).places == (other, home)
    locked = following.learn(home, signed(STRANGER, Level.LOCKDOWN, sequence=4))
    assert locked.is_locked
    assert locked.places == (home, other)
    now[0] += 2 * DAY  # no notice counts any more, and its sequence still does
    known = following.known(home)
    assert (known.places, known.is_locked, known.sequence) == ((home,), False, 4)
    assert following.known("ws://192.0.2.9:1").relay_id is None
    with two.alice.working() as work:
        rows = work.cursor.execute("SELECT name, sealed FROM about").fetchall()
    assert not any("192.0.2" in name or b"192.0.2" in sealed for name, sealed in rows)
    assert following.forget(home)
    assert not following.forget(home)
    following.trust(home, bytes(32))
    assert following.known(home).relay_id == bytes(32)
    two.close()
