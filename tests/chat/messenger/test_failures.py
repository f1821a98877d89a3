"""Messages whose one-time tag does not hold: their sender hears of it, and others nothing."""

from pathlib import Path

from tests.chat.messenger.pairs import User, until, until_true
from tests.chat.messenger.servers import Link
from tests.chat.messenger.test_engine import comes_to, shown, tell

from bellwire.chat.courier import Unshown
from bellwire.chat.errors import OpeningRefused, StepPadGone
from bellwire.chat.failures import MAX_TOLD, PERIOD_S, Failures
from bellwire.chat.messenger.views import AlertKind, Mode
from bellwire.chat.store.waiting import MAX_TRIES
from bellwire.cli import chat_session


def test_a_message_whose_pad_differs_at_the_other_side_goes_under_another(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.FRESH)
        link.spoils = 1
        await alice.messenger.send(peer, "under the second pad")
        await shown(bob, "under the second pad")
        await comes_to(alice, "delivered")
        assert link.sessions == 2
        assert [each.kind for each in bob.alerts()] == [AlertKind.UNSHOWN]

    tell(tmp_path, story)


def test_a_message_whose_pads_all_differ_is_not_delivered_and_its_sender_is_told_why(
    tmp_path: Path,
) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.FRESH)
        alice.alerts()
        link.spoils = MAX_TRIES + 1
        await alice.messenger.send(peer, "never read")
        await comes_to(alice, "refused")
        await until_true(lambda: any(each.kind is AlertKind.REFUSED for each in alice.alerts()))
        (alert,) = [each for each in alice.alerts() if each.kind is AlertKind.REFUSED]
        assert alert.words == (
            "Bob did not take a message: its pads were gone there, or other than here, each time"
        )
        assert (link.spoils, await bob.texts()) == (0, [])
        (line,) = [each for each in await alice.lines() if each.ours]
        await alice.messenger.resend(peer, line.message_id)
        await shown(bob, "never read")

    tell(tmp_path, story)


def test_that_nothing_of_somebody_can_be_opened_is_said_once_and_what_to_do_about_it(
    tmp_path: Path,
) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await bob.peer()
        bob.messenger._told(Unshown(OpeningRefused("expected other keys, got these")))
        (refused,) = [each for each in bob.alerts() if each.kind is AlertKind.UNSHOWN]
        assert refused.words.startswith("somebody could not begin with you: expected other keys")
        bob.events.clear()
        for _ in range(2):
            bob.messenger._told(Unshown(StepPadGone("gone"), peer))
        await until_true(lambda: bool(bob.alerts()))
        (alert,) = bob.alerts()
        assert (alert.kind, alert.contact) == (AlertKind.UNSHOWN, peer)
        assert alert.words.startswith("messages of Alice cannot be opened here any more")
        assert alert.words.endswith("/session renew begins a new session, in which they come again")

    tell(tmp_path, story)


def test_who_has_lost_pad_begins_anew_and_misses_nothing(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.POOL)
        await alice.messenger.send(peer, "one")
        await comes_to(alice, "delivered")
        await bob.messenger.send(alice.messenger.me, "so that her keys go on")
        await comes_to(bob, "delivered")
        with bob.person.working() as work:
            work.shelf(alice.messenger.me).retire(ours=False)
        await alice.messenger.send(peer, "two")
        await until_true(lambda: any("/session renew" in each.words for each in bob.alerts()))
        await bob.messenger.send(alice.messenger.me, "I cannot read you")
        assert await chat_session.renew(bob.messenger, alice.messenger.me) == (
            "Alice is asked to begin a new session; what you miss comes again in it"
        )
        await shown(bob, "two")
        for one in (alice, bob):

            async def all_came(one: User = one) -> bool:
                return await one.states() == ["delivered"] * 2

            await until(all_came)
        assert await bob.texts() == ["one", "two"]
        assert await alice.texts() == ["so that her keys go on", "I cannot read you"]
        (theirs,) = [each for each in alice.alerts() if each.kind is AlertKind.RENEWED]
        (own,) = [each for each in bob.alerts() if each.kind is AlertKind.RENEWED]
        assert theirs.words.startswith("a new session with Bob has begun, Bob could not open")
        assert own.words.startswith("a new session with Alice has begun, as you asked")

    tell(tmp_path, story)


def test_a_failure_is_told_of_once_and_few_an_hour() -> None:
    failures, alice, bob = Failures(), b"alice", b"bob"
    assert failures.may_tell(alice, b"0", 0.0)
    assert not failures.may_tell(alice, b"0", 1.0)
    told = [failures.may_tell(alice, b"%d" % number, 2.0) for number in range(1, 100)]
    assert told == [True] * (MAX_TOLD - 1) + [False] * (100 - MAX_TOLD)
    assert failures.may_tell(bob, b"0", 3.0)
    assert not failures.may_tell(alice, b"100", PERIOD_S - 1)
    assert failures.may_tell(alice, b"100", PERIOD_S)
    assert failures.may_tell(alice, b"0", PERIOD_S + 2)
