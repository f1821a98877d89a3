"""Messengers that find each other by handles, at the relay that `bellwire relay` runs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.chat.accounts.people import secret
from tests.chat.messenger.pairs import User, until, user
from tests.chat.messenger.servers import Link, Server
from tests.chat.relay.running import Process, run
from tests.chat.store.people import open_person

from bellwire.base.handles import HandleMalformed
from bellwire.channel.places import Level
from bellwire.chat.accounts import password
from bellwire.chat.accounts.client import AccountClient
from bellwire.chat.accounts.fields import AccountReason, Visibility
from bellwire.chat.errors import (
    AccountRefused,
    ChatMisuse,
    IdentityChanged,
    RelayChanged,
    RelayUnreachable,
)
from bellwire.chat.following import Following
from bellwire.chat.messenger.account import KeptAccount, expect
from bellwire.chat.messenger.home import Home, make, opened_account, store_of
from bellwire.chat.messenger.views import AlertKind, Mode, Request
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.operator import RelayOperator
from bellwire.chat.store.strangers import MAX_MESSAGES, MAX_STRANGERS


@pytest.fixture(autouse=True)
def light_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    monkeypatch.setattr(password, "ITERATIONS", 1)


@dataclass
class Place:
    """A relay and the sites' link; people come and go."""

    folder: Path
    relay: Process
    link: Link = field(default_factory=Link)

    @contextlib.asynccontextmanager
    async def somebody(self, name: str, site: str | None = None) -> AsyncIterator[User]:
        server = None if site is None else Server(self.link, site)
        async with user(self.folder / name.lower(), name, self.relay.url, server) as one:
            yield one


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("relay"))
    yield process
    assert process.stop() == 0
    assert process.said == b""


def tell(place: Place, story: Callable[[Place], Coroutine[None, None, None]]) -> None:
    run(story(place))


async def requests_of(one: User, count: int = 1, lines: int = 0) -> list[Request]:
    async def there() -> list[Request] | None:
        found = await one.messenger.requests.waiting()
        whole = len(found) == count and all(len(each.lines) >= lines for each in found)
        return found if whole else None

    return await until(there)


async def texts(one: User, contact: bytes, *, ours: bool = False) -> list[str]:
    lines = await one.messenger.history(contact)
    return [each.text for each in lines if each.ours is ours]


async def shown(one: User, contact: bytes, text: str) -> None:
    async def there() -> bool:
        return text in await texts(one, contact)

    await until(there)


async def states(one: User, contact: bytes) -> list[str]:
    return [each.state.value for each in await one.messenger.history(contact) if each.ours]


async def in_state(one: User, contact: bytes, state: str) -> None:
    async def there() -> bool:
        found = await states(one, contact)
        return bool(found) and set(found) == {state}

    await until(there)


def test_strangers_who_know_a_handle_write_first_wait_and_are_heard_once_accepted(
    tmp_path: Path, relay: Process
) -> None:
    async def story(place: Place) -> None:
        async with (
            place.somebody("Bob", "app-b") as bob,
            place.somebody("Alice", "app-a") as alice,
            place.somebody("Carol") as carol,
        ):
            await bob.messenger.account.sign_up("bobby", secret(), "laptop")
            for one, words in ((alice, "from Alice"), (carol, "from Carol")):
                to_bob = await one.messenger.add("@Bobby")
                assert to_bob.name == "bobby"
                await one.messenger.send(to_bob.contact, words)
            waiting = await requests_of(bob, count=2, lines=1)
            assert {each.name: each.lines[0].text for each in waiting} == {
                "Alice": "from Alice",
                "Carol": "from Carol",
            }
            assert [each.name for each in await bob.messenger.contacts()] == ["Notes to self"]
            assert await bob.messenger.search("from") == []
            asked = [each for each in bob.alerts() if each.kind is AlertKind.REQUEST]
            assert len(asked) == 2
            assert all("nobody has verified that" in each.words for each in asked)
            (from_alice,) = [each for each in waiting if each.name == "Alice"]
            (from_carol,) = [each for each in waiting if each.name == "Carol"]
            # Nothing tells who waits that anybody is there.
            with pytest.raises(ChatMisuse, match="waits to be accepted"):
                await bob.messenger.send(from_alice.contact, "who are you?")
            await bob.messenger.mark_read(from_alice.contact)
            await in_state(alice, bob.messenger.me, "sent")
            assert await bob.messenger.requests.accept(from_alice.contact) == "Alice"
            await in_state(alice, bob.messenger.me, "delivered")
            await bob.messenger.set_mode(from_alice.contact, Mode.POOL)
            await bob.messenger.send(from_alice.contact, "hello Alice")
            await shown(alice, bob.messenger.me, "hello Alice")
            await alice.messenger.send(bob.messenger.me, "by my own box")
            await shown(bob, from_alice.contact, "by my own box")
            # Carol is nobody's contact until she is accepted, and her words waited.
            assert [each.name for each in await requests_of(bob)] == ["Carol"]
            assert await states(carol, bob.messenger.me) == ["sent"]
            await bob.messenger.requests.accept(from_carol.contact)
            await in_state(carol, bob.messenger.me, "delivered")

    tell(Place(tmp_path, relay), story)


def test_who_was_blocked_and_is_heard_again_meets_by_the_handle_and_what_waited_comes(
    tmp_path: Path, relay: Process
) -> None:
    async def story(place: Place) -> None:
        async with place.somebody("Judy") as judy, place.somebody("Karl") as karl:
            await judy.messenger.account.sign_up("judy1", secret(), "laptop")
            to_judy, me = (await karl.messenger.add("@judy1")).contact, karl.messenger.me
            await karl.messenger.send(to_judy, "hello")
            await requests_of(judy, lines=1)
            await judy.messenger.requests.accept(me)
            await in_state(karl, to_judy, "delivered")
            await judy.messenger.requests.block(me)
            await judy.messenger.requests.unblock(me)
            await karl.messenger.send(to_judy, "are you there?")
            await karl.messenger.add("@judy1")
            await shown(judy, me, "are you there?")
            await in_state(karl, to_judy, "delivered")
            await judy.messenger.send(me, "now I am")
            await shown(karl, to_judy, "now I am")
            assert await texts(judy, me) == ["hello", "are you there?"]
            assert await judy.messenger.requests.waiting() == []

    tell(Place(tmp_path, relay), story)


def test_who_is_declined_is_forgotten_and_who_is_blocked_is_not_heard_again(
    tmp_path: Path, relay: Process
) -> None:
    async def story(place: Place) -> None:
        async with place.somebody("Dora") as dora, place.somebody("Mallory") as mallory:
            await dora.messenger.account.sign_up("dora1", secret(), "laptop")
            to_dora = (await mallory.messenger.add("@dora1")).contact
            await mallory.messenger.send(to_dora, "buy")
            (asked,) = await requests_of(dora, lines=1)
            await dora.messenger.requests.decline(asked.contact)
            assert await dora.messenger.requests.waiting() == []
            assert await texts(dora, asked.contact) == []
            with pytest.raises(ChatMisuse, match="does not"):
                await dora.messenger.requests.decline(asked.contact)
            # The session that was declined is over: only a new one is a new request.
            await mallory.messenger.send(to_dora, "buy now")
            await in_state(mallory, to_dora, "sent")
            await until(lambda: told_of_rubbish(dora))
            assert await dora.messenger.requests.waiting() == []
        async with place.somebody("Dora") as dora, place.somebody("Eve") as eve:
            to_dora = (await eve.messenger.add("@dora1")).contact
            await eve.messenger.send(to_dora, "buy")
            (asked,) = await requests_of(dora, lines=1)
            await dora.messenger.requests.block(asked.contact)
            assert await dora.messenger.requests.blocked() == [(asked.contact, None)]
            assert await dora.messenger.requests.waiting() == []
        anew(place.folder / "eve")
        async with place.somebody("Dora") as dora, place.somebody("Eve") as eve:
            await eve.messenger.add("@dora1")
            await until(lambda: told_of_rubbish(dora))
            assert await dora.messenger.requests.waiting() == []
            await dora.messenger.requests.unblock(asked.contact)
            with pytest.raises(ChatMisuse, match="blocked"):
                await dora.messenger.requests.unblock(asked.contact)

    tell(Place(tmp_path, relay), story)


async def told_of_rubbish(one: User) -> bool:
    return AlertKind.UNSHOWN in {each.kind for each in one.alerts()}


def anew(folder: Path) -> None:
    """Their sessions are gone, and their identity is not: they can only begin anew."""
    from tests.chat.store.people import open_person

    with open_person(folder) as person, person.working() as work:
        for each in work.contacts.all():
            work.contacts.forget(each.contact)


def test_who_waits_has_so_many_words_and_only_so_many_wait(
    tmp_path: Path, relay: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwire.chat.store.strangers.MAX_STRANGERS", 1)

    async def story(place: Place) -> None:
        async with (
            place.somebody("Frank") as frank,
            place.somebody("Grace") as grace,
            place.somebody("Heidi") as heidi,
        ):
            await frank.messenger.account.sign_up("frank1", secret(), "laptop")
            to_frank = (await grace.messenger.add("@frank1")).contact
            for number in range(MAX_MESSAGES + 4):
                await grace.messenger.send(to_frank, f"words {number}")
            await in_state(grace, to_frank, "sent")
            await until(lambda: told_of_rubbish(frank))
            (asked,) = await requests_of(frank, lines=MAX_MESSAGES)
            assert [each.text for each in asked.lines] == [f"words {n}" for n in range(16)]
            await heidi.messenger.add("@frank1")
            await heidi.messenger.send(to_frank, "and I")
            await in_state(heidi, to_frank, "sent")
            await frank.messenger.requests.accept(asked.contact)
            await grace.messenger.send(to_frank, "goes on")
            await shown(frank, asked.contact, "goes on")
            assert await frank.messenger.requests.waiting() == []

    assert MAX_STRANGERS == 32
    tell(Place(tmp_path, relay), story)


def test_a_new_box_takes_nothing_more_from_who_has_the_old_card(
    tmp_path: Path, relay: Process
) -> None:
    async def story(place: Place) -> None:
        async with place.somebody("Ivan") as ivan, place.somebody("Judy") as judy:
            await ivan.messenger.account.sign_up("ivan1", secret(), "laptop")
            found = await judy.messenger.account.look_up("ivan1")
            async with await RelayClient.connect(relay.url) as line:
                await line.drop(found.card.right, bytes(16), 60, bytes(512))
                await until(lambda: told_of_rubbish(ivan))
                await ivan.messenger.account.new_box()
                again = await judy.messenger.account.look_up("ivan1")
                assert again.card.right != found.card.right
                await until(lambda: is_closed(line, found.card.right))
                await line.drop(again.card.right, bytes(16), 60, bytes(512))
            to_ivan = (await judy.messenger.add("@ivan1")).contact
            await judy.messenger.send(to_ivan, "by the new one")
            await requests_of(ivan, lines=1)

    async def is_closed(line: RelayClient, right: bytes) -> bool:
        from bellwire.chat.errors import RelayRefused

        try:
            await line.drop(right, bytes(16), 60, bytes(512))
        except RelayRefused:
            return True
        return False

    tell(Place(tmp_path, relay), story)


def test_an_account_is_kept_over_restarts_and_ends_where_it_is_ended(
    tmp_path: Path, relay: Process
) -> None:
    async def story(place: Place) -> None:
        async with place.somebody("Kim") as kim, place.somebody("Leo") as leo:
            await kim.messenger.account.sign_up("kim1", secret(), "laptop")
            with pytest.raises(ChatMisuse, match="another handle beside @kim1"):
                await kim.messenger.account.sign_up("kim2", secret(), "laptop")
            assert await leo.messenger.search_people("ki") == []
            await kim.messenger.account.set_visibility(Visibility.LISTED)
            assert await leo.messenger.search_people("@KI") == ["kim1"]
            with pytest.raises(HandleMalformed):
                await leo.messenger.search_people("k")
            assert (await leo.messenger.search_people("kim1")) == ["kim1"]
        async with place.somebody("Kim") as kim, place.somebody("Leo") as leo:
            account = kim.messenger.account
            (device,) = await account.devices()
            assert (device.name, device.is_this, device.publishes) == ("laptop", True, True)
            assert '"handle": "kim1"' in await account.export()
            await account.set_password(secret(b"another long password"), secret(), "desk")
            assert [each.name for each in await account.devices()] == ["desk"]
            assert await leo.messenger.account.look_up("kim1")
            # Leo's machine can look after the account, and is not who is found by it.
            with pytest.raises(AccountRefused):
                await leo.messenger.account.log_in("kim1", secret(), "other")
            assert not await leo.messenger.account.log_in(
                "kim1", secret(b"another long password"), "other"
            )
            assert len(await account.devices()) == 2
            await account.log_out()
            with pytest.raises(ChatMisuse, match="logged out"):
                await account.devices()
            with pytest.raises(AccountRefused) as caught:
                await leo.messenger.account.look_up("kim1")
            assert caught.value.reason == AccountReason.NOBODY
            kept = await account.kept()
            assert kept == KeptAccount("kim1", b"", b"", 0)
            assert await account.log_in("kim1", secret(b"another long password"), "again")
            assert await leo.messenger.account.look_up("kim1")
            await account.delete(secret(b"another long password"))
            assert await account.kept() is None
            with pytest.raises(AccountRefused) as caught:
                await leo.messenger.account.look_up("kim1")

    tell(Place(tmp_path, relay), story)


def test_another_relay_and_another_identity_are_alarms(tmp_path: Path) -> None:
    async def story() -> None:
        first = await asyncio.to_thread(Process, tmp_path / "relay")
        place = Place(tmp_path, first)
        async with place.somebody("Nina") as nina, place.somebody("Olaf") as olaf:
            await nina.messenger.account.sign_up("nina1", secret(), "laptop")
            await olaf.messenger.account.sign_up("olaf1", secret(), "laptop")
            await olaf.messenger.add("@nina1")
        await asyncio.to_thread(first.stop)
        other = await asyncio.to_thread(Process, tmp_path / "another relay", first.port)
        try:
            there = Place(tmp_path, other)
            async with there.somebody("Pia") as pia:
                await pia.messenger.account.sign_up("nina1", secret(), "laptop")
            async with there.somebody("Olaf") as olaf:
                with pytest.raises(RelayChanged):
                    await olaf.messenger.add("@nina1")
                await until(lambda: told(olaf, AlertKind.RELAY))
            # Even where its operator says that it is the one, a handle stays whose it was.
            with open_person(tmp_path / "olaf") as person:
                Following(person, time.time).trust(
                    other.url, bytes.fromhex(other.ready["accounts"])
                )
            async with there.somebody("Olaf") as olaf:
                with pytest.raises(IdentityChanged):
                    await olaf.messenger.add("@nina1")
                assert await told(olaf, AlertKind.IDENTITY)
            # Whose it is may be known by another way, as by a log: then by that alone.
            with open_person(tmp_path / "pia") as person:
                found = person.fingerprint
            with open_person(tmp_path / "olaf") as person:
                with pytest.raises(IdentityChanged):
                    expect(person, "nina1", found, replace=False)
                expect(person, "nina1", found, replace=True)
            async with there.somebody("Olaf") as olaf:
                await olaf.messenger.add("@nina1")
        finally:
            await asyncio.to_thread(other.stop)

    async def told(one: User, kind: AlertKind) -> bool:
        return kind in {each.kind for each in one.alerts()}

    run(story())


def test_account_calls_follow_a_relay_that_moves(tmp_path: Path) -> None:
    async def story() -> None:
        notice = tmp_path / "notice"
        options = ("--grace", "0.1", "--signposts", "--notice", str(notice))
        relay = await asyncio.to_thread(Process, tmp_path / "relay", 0, *options)
        operator = RelayOperator(tmp_path / "relay" / "relay")
        await asyncio.to_thread(make, tmp_path, "ruth", Home("Ruth", "", relay.url, "file"))
        try:
            # No messenger is at work, from which it could be known where the relay is.
            last: tuple[str, ...] = ()
            async with opened_account(tmp_path, "ruth", "") as account:
                await account.sign_up("ruth1", secret(), "laptop")
                for _ in range(2):
                    there = await operator.move(Level.PORT)
                    left = last[0] if last else relay.url
                    await until(lambda left=left: is_sign(left))  # type: ignore[misc]
                    assert relay.url not in there.places
                    await account.publish()
                    (device,) = await account.devices()
                    assert device.publishes
                    assert await account.search("ru") == []
                    last = there.places
            with store_of(tmp_path, "ruth", "") as (person, url):
                following = Following(person, time.time)
                assert url == relay.url
                assert following.known(url).places == (*last, relay.url)
                await operator.move(Level.LOCKDOWN)
                following.learn(url, notice.read_bytes())
            async with opened_account(tmp_path, "ruth", "") as account:
                with pytest.raises(RelayUnreachable, match="lockdown"):
                    await account.devices()
                await operator.move(Level.HOME)
                assert len(await account.devices()) == 1
        finally:
            await asyncio.to_thread(relay.stop)

    async def is_sign(url: str) -> bool:
        try:
            (await AccountClient.connect(url)).close()
        except RelayUnreachable:
            return True
        return False

    run(story())
