"""Who never met a relay finds it by what contacts' cards hint at, and cannot be led astray."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from picows import WSListener, WSMsgType, WSTransport, ws_create_server
from tests.chat.messenger.pairs import until, until_true, user
from tests.chat.relay.running import Process, relay_at, run
from tests.chat.store.people import Two, know
from tests.chat.test_following import DAY, STRANGER, key_of, shut, signed

from bellwire.base.secret import Secret
from bellwire.channel.places import Level
from bellwire.chat import reaching
from bellwire.chat.card import Card, read_link
from bellwire.chat.errors import RelayChanged, RelayUnreachable
from bellwire.chat.following import MAX_ASKED, Following
from bellwire.chat.identity import Identity
from bellwire.chat.reaching import Reaching
from bellwire.chat.relay.frames import Challenge, Placed, encode
from bellwire.chat.relay.operator import RelayOperator
from bellwire.chat.store.relays import Relays

RELAY = STRANGER.public.fingerprint
HOME = "ws://127.0.0.1:9"  # where nobody listens


class Standing(WSListener):
    """Stands somewhere, says who it is and a notice, and waits, or hangs up."""

    def __init__(self, place: "Spot") -> None:
        super().__init__()
        self._place = place

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._place.visits += 1
        transport.send(WSMsgType.BINARY, encode(Challenge(bytes(32), self._place.relay_id)))
        if self._place.notice:
            transport.send(WSMsgType.BINARY, encode(Placed(self._place.notice)))
        if self._place.hangs_up:
            transport.disconnect()


class Spot:
    """Something that listens: what it says can be chosen once its address is known."""

    def __init__(self) -> None:
        self.relay_id, self.notice, self.hangs_up, self.visits = RELAY, b"", False, 0
        self.url = ""


@contextlib.asynccontextmanager
async def spots(count: int) -> AsyncIterator[list[Spot]]:
    found = [Spot() for _ in range(count)]
    async with contextlib.AsyncExitStack() as stack:
        for each in found:
            server = await ws_create_server(lambda _, spot=each: Standing(spot), "127.0.0.1", 0)  # type: ignore[misc]
            each.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
        yield found


def say(two: Two, number: int, relay_id: bytes, *hints: str, home: str = HOME) -> str:
    """Somebody's card comes to Alice; the address under which she has their relay."""
    somebody = Identity(Secret(bytes([number]) * 64)).public
    know(two.alice, f"contact {number}", somebody)
    with two.alice.working() as work:
        card = Card(bytes(32), home, "", f"contact {number}", relay_id, hints)
        work.routes.learn(somebody.fingerprint, card, time.time())
        return Relays(work.cursor, work.database).address_of(home, relay_id)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path, begin=False)
    yield made
    made.close()


def test_a_hint_leads_to_the_notice_and_the_notice_to_the_relay(two: Two) -> None:
    following = Following(two.alice, time.time)

    async def story() -> None:
        async with spots(2) as (old, new):
            new.notice = old.notice = signed(STRANGER, Level.PORT, new.url, sequence=3)
            old.hangs_up = True  # a sign at an old place
            address = say(two, 40, RELAY, old.url)
            place, known, line = await Reaching(following).reach(address)
            line.close()
            assert (place, known.sequence, known.hints) == (new.url, 3, ())
            assert following.known(HOME).relay_id is None  # nobody else's relay is changed

    run(story())


def test_hints_of_liars_lead_nowhere_and_change_nothing(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "NOTICE_WITHIN_S", 0.1)
    following = Following(two.alice, time.time)

    async def story() -> None:
        async with spots(5) as liars:
            other, forger, late, silent, cutter = liars
            other.relay_id = bytes(32)
            other.notice = signed(STRANGER, Level.PORT, other.url, sequence=9)
            forger.notice = signed(key_of(bytes(64)), Level.PORT, forger.url, sequence=9)
            late.notice = signed(STRANGER, Level.PORT, late.url, sequence=9, age_s=2 * DAY)
            silent.hangs_up = cutter.hangs_up = True  # repeat the id, and say no notice
            cutter.notice = forger.notice
            address = f"{HOME}#{RELAY.hex()}"
            for number, liar in enumerate(liars, 40):
                assert say(two, number, RELAY, liar.url) == address
            search = Reaching(following)
            while not all(each.visits for each in liars):  # some of them each time
                with pytest.raises(RelayUnreachable):
                    await search.reach(address)
            known = following.known(address)
            assert (known.sequence, known.places, len(known.hints)) == (0, (HOME,), MAX_ASKED)

    run(story())


def test_a_true_notice_at_a_liars_place_leads_to_the_relay(two: Two) -> None:
    following = Following(two.alice, time.time)

    async def story() -> None:
        async with spots(2) as (liar, relay):
            liar.notice = relay.notice = signed(STRANGER, Level.PORT, relay.url, sequence=3)
            address = say(two, 40, RELAY, liar.url)
            place, _, line = await Reaching(following).reach(address)
            line.close()
            assert place == relay.url

    run(story())


def test_nobody_pins_an_id_on_an_address_that_others_use(two: Two) -> None:
    following = Following(two.alice, time.time)

    async def story() -> None:
        async with spots(1) as (relay,):
            wrong = say(two, 40, bytes([1]) * 32, "ws://127.0.0.1:10", home=relay.url)
            plain = say(two, 41, b"", home=relay.url)
            assert (wrong, plain) == (f"{relay.url}#{'01' * 32}", relay.url)
            search = Reaching(following)
            with pytest.raises(RelayChanged, match="expected the relay 0101"):
                await search.reach(wrong)
            _, _, line = await search.reach(plain)
            line.close()
            assert following.known(plain).relay_id == RELAY
            # Once it is known there, who names it so means that one.
            assert say(two, 42, RELAY, "ws://127.0.0.1:10", home=relay.url) == relay.url

    run(story())


def test_a_stranger_gives_no_hints_and_a_card_none_of_a_relay_at_home(two: Two) -> None:
    now = [time.time()]
    following = Following(two.alice, lambda: now[0])
    address = say(two, 40, RELAY, "ws://192.0.2.7:1")
    assert following.known(address).hints == ("ws://192.0.2.7:1",)
    with two.alice.working() as work:
        work.strangers.admit(Identity(Secret(bytes([40]) * 64)).public.fingerprint, now[0])
    assert following.known(address).hints == ()

    home, places = "ws://192.0.2.1:1", [f"ws://192.0.2.2:{port}" for port in range(1, 7)]
    assert following.told(home) == (b"", ())
    following.meet(home, RELAY)
    following.learn(home, signed(STRANGER, Level.PORT, *places, sequence=1))
    assert following.told(home) == (RELAY, tuple(places[:4]))
    now[0] += 2 * DAY
    assert following.told(home) == (b"", ())
    now[0] -= 2 * DAY
    following.learn(home, signed(STRANGER, Level.LOCKDOWN, sequence=2))
    assert following.told(home) == (b"", ())
    following.learn(home, signed(STRANGER, Level.HOME, home, sequence=3))
    assert following.told(home) == (b"", ())


def test_a_newcomer_with_a_link_reaches_who_is_at_a_relay_that_moved(tmp_path: Path) -> None:
    relay = Process(tmp_path / "relay", 0, "--grace", "0")
    operator = RelayOperator(tmp_path / "relay" / "relay")

    async def story() -> None:
        async with (
            relay_at(tmp_path / "other", now=time.time()) as other,
            user(tmp_path / "alice", "Alice", relay.url, None) as alice,
            user(tmp_path / "bob", "Bob", other, None) as bob,
        ):
            await until_true(lambda: alice.messenger.link.receiving)
            there = await operator.move(Level.PORT)
            await shut(relay.url)

            async def moved() -> str | None:
                link = await alice.messenger.invite()
                return link if read_link(link, time.time()).card.hints else None

            link = await until(moved)
            card = read_link(link, time.time()).card
            assert (card.relay, card.hints) == (relay.url, tuple(there.places))
            assert card.relay_id.hex() == relay.ready["accounts"]
            await bob.messenger.add(link)
            await bob.messenger.send(await bob.peer(), "found you")

            async def heard() -> bool:
                return "found you" in await alice.texts()

            await until(heard)
            await alice.messenger.send(await alice.peer(), "and I you")

            async def answered() -> bool:
                return "and I you" in await bob.texts()

            await until(answered)

    try:
        run(story())
    finally:
        relay.stop()
