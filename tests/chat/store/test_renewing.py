"""A session begun anew by who has lost pad: nothing is lost or doubled, whoever crashes when."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chat.store.people import NOW, Two

from bellwire.base.secret import Secret
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import ContactUnknown, ContentMalformed, LinkRefused, MessageRefused
from bellwire.chat.identity import SEED_BYTES, Identity
from bellwire.chat.pads import Policy
from bellwire.chat.prekeys import Bundle, PrekeyKind, make_prekey
from bellwire.chat.store import renewing
from bellwire.chat.store.messages import State
from bellwire.chat.store.receiving import Received
from bellwire.chat.store.renewing import Renewal
from bellwire.chat.store.work import receipt


class Lossy(Two):
    """Two whose messages wait until they are confirmed, as a messenger has them."""

    def tell(self, name: str, text: str) -> None:
        content = Content(ContentKind.TEXT, random.randbytes(16), int(NOW * 1000), text.encode())
        self.people[name].say(self.ids[self.other(name)], content)
        self.seal_all(name)

    def seal_all(self, name: str) -> None:
        person, contact = self.people[name], self.ids[self.other(name)]
        while True:
            with person.working() as work:
                content = work.waiting.first(contact)
            if content is None:
                return
            person.seal(contact, content)

    def bring(self, sender: str) -> tuple[list[Received], int]:
        """Hand over all that can be opened; and how many could not."""
        came, refused = [], 0
        for each in self.people[sender].outbox():
            try:
                came.append(
                    self.people[self.other(sender)].receive(each.payload, NOW, self.ids[sender])
                )
            except MessageRefused:
                refused += 1
            self.people[sender].handed_over(each.number)
        return came, refused

    def lose_pads(self, name: str) -> None:
        with self.people[name].working() as work:
            work.shelf(self.ids[self.other(name)]).retire(ours=False)

    def ask(self, name: str) -> None:
        with self.people[name].working() as work:
            renewing.ask(work, self.people[name].identity, self.ids[self.other(name)], NOW)

    def forget(self, name: str) -> None:
        """Have nothing of the other any more, as who blocked them and hears them again."""
        contact = self.ids[self.other(name)]
        with self.people[name].working() as work:
            work.shelf(contact).give_up()
            work.sessions.forget(contact)
            work.drop_unsent(contact)

    def link(self, name: str) -> Bundle:
        with self.people[name].prekeys() as ring:
            return ring.invitation(NOW)

    def meet(self, name: str, bundle: Bundle | None = None) -> bool:
        """Take a link of the other, and say something there at once."""
        bundle = bundle or self.link(self.other(name))
        with self.people[name].working() as work:
            begun = renewing.meet(work, self.people[name].identity, bundle)
            known = work.contacts.get(self.ids[self.other(name)])
            work.seal(known, receipt(ContentKind.DELIVERED, [bytes(16)], NOW), Policy.OFF)
        return begun

    def states(self, name: str) -> set[State]:
        return {each.state for each in self.people[name].entries() if each.ours}

    def session(self, name: str) -> bytes:
        with self.people[name].working() as work:
            return work.sessions.of(self.ids[self.other(name)])[0][1].session_id


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Lossy]:
    people = Lossy(tmp_path, pad=4000)
    people.tell("alice", "one")
    people.settle()  # and Alice knows that Bob has her pad
    yield people
    people.close()


@pytest.mark.parametrize("crash", [False, True], ids=["", "crashes"])
def test_what_could_not_be_opened_comes_once_in_the_new_session(two: Lossy, crash: bool) -> None:
    def go_on() -> None:
        for name in ("alice", "bob") if crash else ():
            two.crash(name)

    two.tell("alice", "two")
    two.tell("alice", "three")
    two.lose_pads("bob")
    assert two.bring("alice") == ([], 2)
    two.tell("bob", "heard on the old one")
    two.bring("bob")
    _, refused = two.bring("alice")  # her word that it came
    assert (refused, two.states("bob")) == (1, {State.SENT})
    two.tell("bob", "still under way")
    two.ask("bob")
    go_on()
    before = two.session("alice")
    came, _ = two.bring("bob")
    assert [each.renewed for each in came] == [None, None, Renewal.ASKED]
    go_on()
    assert two.session("alice") != before
    two.seal_all("alice")
    came, refused = two.bring("alice")  # first what she said on the old one: that it came
    assert (came[0].renewed, refused) == (Renewal.ANSWERED, 1)
    assert two.texts("bob") == ["one", "two", "three"]
    go_on()
    two.seal_all("bob")
    two.settle()
    assert two.texts("alice") == ["heard on the old one", "still under way"]
    assert two.states("alice") == two.states("bob") == {State.DELIVERED}
    assert two.session("alice") == two.session("bob")
    two.tell("alice", "four")
    two.settle()
    assert two.texts("bob")[-1] == "four"


def test_what_is_on_its_way_on_the_old_session_is_opened_and_counts_once(two: Lossy) -> None:
    two.ask("bob")
    two.bring("bob")
    two.tell("bob", "crosses")  # Bob has not heard of the new one
    two.seal_all("alice")
    late = two.bob.outbox()
    two.bring("alice")
    two.seal_all("bob")
    assert two.bob.outbox() != late  # it waits for the new session now
    fresh = two.session("alice")
    assert two.alice.receive(late[-1].payload, NOW, two.ids["bob"]).is_new
    assert two.session("alice") == fresh  # and what she says goes there
    two.settle()
    assert two.texts("alice") == ["crosses"]


def test_words_that_were_changed_or_refused_meanwhile_go_as_they_are(two: Lossy) -> None:
    for text in ("helo", "never"):
        two.tell("alice", text)
    first, second = (each for each in two.alice.entries() if each.text in {"helo", "never"})
    edit = Content(ContentKind.EDIT, b"e" * 16, int(NOW * 1000), b"hello", target=first.content_id)
    two.alice.say(two.ids["bob"], edit)
    two.seal_all("alice")
    with two.alice.working() as work:
        work.history.mark(two.ids["bob"], second.content_id, State.REFUSED, ours=True)
    two.lose_pads("bob")
    two.bring("alice")
    two.ask("bob")
    two.bring("bob")
    two.seal_all("alice")
    two.settle()
    assert two.texts("bob") == ["one", "hello"]


def test_a_wish_with_keys_of_another_changes_nothing(two: Lossy) -> None:
    stranger = Identity(Secret(bytes([7]) * SEED_BYTES))
    before = two.session("alice")
    with two.bob.working() as work:
        lasting, once = (make_prekey(stranger, kind, int(NOW) + 100).prekey for kind in PrekeyKind)
        bundle = Bundle(stranger.public, lasting, once)
        for text in (bundle.encode(), b"no keys"):
            wish = Content(ContentKind.RENEW, random.randbytes(16), int(NOW * 1000), text)
            work.seal(work.contacts.get(two.ids["alice"]), wish, Policy.OFF)
    payloads = [each.payload for each in two.bob.outbox()]
    two.alice.receive(payloads[0], NOW, two.ids["bob"])  # half of it
    for each in payloads[1:]:
        with pytest.raises(ContentMalformed):
            two.alice.receive(each, NOW, two.ids["bob"])
    assert two.session("alice") == before
    assert two.pad_left("alice") > 0


def test_nobody_is_asked_with_whom_there_is_no_session(tmp_path: Path) -> None:
    two = Lossy(tmp_path, begin=False)
    with pytest.raises(ContactUnknown):
        two.ask("bob")
    two.close()


@pytest.mark.parametrize("crash", [False, True], ids=["", "crashes"])
@pytest.mark.parametrize("taker", ["alice", "bob"])
def test_by_a_link_of_either_what_waited_for_who_has_nothing_of_before_comes_once(
    two: Lossy, taker: str, crash: bool
) -> None:
    def go_on() -> None:
        for name in ("alice", "bob") if crash else ():
            two.crash(name)

    two.tell("alice", "two")
    two.forget("bob")
    assert two.meet(taker)
    go_on()
    came, refused = two.bring(taker)
    assert (came[0].renewed, refused) == ({"alice": None, "bob": Renewal.MET}[taker], 0)
    go_on()
    assert two.pad_left("alice") == 0  # Bob has none of it any more
    two.seal_all("alice")
    two.settle()
    go_on()
    assert two.texts("bob") == ["one", "two"]
    assert two.states("alice") == {State.DELIVERED}
    for name in ("alice", "bob"):
        two.share_pad(name, 4000)
    for text in ("three", "four"):
        two.tell("alice", text)
        two.tell("bob", f"{text}, too")
        two.settle()
    assert two.texts("alice") == ["three, too", "four, too"]
    assert all(each.protection.is_one_time for each in two.bob.entries()[-4:])
    assert two.session("alice") == two.session("bob")


def test_what_came_is_confirmed_again_and_shown_once(two: Lossy) -> None:
    two.tell("alice", "two")
    two.bring("alice")
    for each in two.bob.outbox():  # Bob's word that it came is lost
        two.bob.handed_over(each.number)
    assert two.states("alice") == {State.DELIVERED, State.SENT}
    two.meet("bob")
    two.bring("bob")
    two.seal_all("alice")
    came, _ = two.bring("alice")
    assert [each.is_new for each in came] == [False]
    two.settle()
    assert two.texts("bob") == ["one", "two"]
    assert two.states("alice") == {State.DELIVERED}


def test_what_is_on_its_way_when_a_link_is_taken_is_opened_under_pads_of_before(two: Lossy) -> None:
    for text in ("two", "three"):
        two.tell("bob", text)  # under pad, and by keys that are mixed with pad
        two.settle()
    two.tell("bob", "crosses")
    two.meet("alice")
    assert two.bring("bob")[1] == 0
    assert two.session("alice") != two.session("bob")  # and what she says goes by the link
    two.settle()
    two.seal_all("bob")
    two.settle()
    assert two.texts("alice") == ["two", "three", "crosses"]
    assert two.session("alice") == two.session("bob")
    assert two.pad_left("bob") == 0


def test_an_opening_that_comes_late_costs_no_pad_of_the_newest_session(two: Lossy) -> None:
    two.meet("alice")
    (late,) = two.alice.outbox()
    two.alice.handed_over(late.number)
    two.meet("alice")
    two.settle()
    two.share_pad("alice", 4000)
    two.tell("alice", "two")
    two.settle()  # Alice knows that Bob has this pad: her keys may be mixed with it
    assert two.bob.receive(late.payload, NOW, two.ids["alice"]).renewed is Renewal.MET
    for text in ("three", "four"):
        two.tell("alice", text)
        two.tell("bob", f"{text}, too")
        two.settle()
    assert two.texts("alice") == ["three, too", "four, too"]
    assert two.texts("bob") == ["one", "two", "three", "four"]
    assert all(each.protection.is_one_time for each in two.bob.entries() if not each.ours)


def test_of_what_waits_that_somebody_types_goes_nowhere(two: Lossy) -> None:
    two.send("alice", ContentKind.TYPING)
    two.meet("alice")
    came, _ = two.bring("alice")
    assert [each.content.kind for each in came if each.content] == [ContentKind.DELIVERED]


def test_keys_that_were_used_begin_nothing_again(two: Lossy) -> None:
    bundle = two.link("bob")
    assert two.meet("alice", bundle)
    before = two.session("alice")
    two.settle()
    two.crash("alice")
    assert not two.meet("alice", bundle)
    assert two.session("alice") == before
    two.forget("alice")
    with pytest.raises(LinkRefused, match="not used yet"):
        two.meet("alice", bundle)
    lasting = replace(bundle, one_time=None)  # as a handle gives when no other key is left
    for _ in range(2):
        assert two.meet("alice", lasting)
        assert two.session("alice") != before


def test_used_keys_are_known_as_long_as_they_count_themselves(two: Lossy) -> None:
    owner = two.bob.identity
    for not_after in (int(NOW) + 100, (1 << 64) - 1):
        once = make_prekey(owner, PrekeyKind.ONE_TIME, not_after).prekey
        with two.alice.prekeys() as ring:
            assert ring.use(two.ids["bob"], once)
            assert not ring.use(two.ids["bob"], once)
            assert ring.use(two.ids["alice"], once)  # the id alone is anybody's to choose
            ring.renew(0, NOW + 50)
            assert not ring.use(two.ids["bob"], once)
    with two.alice.working() as work:
        (count,) = work.cursor.execute("SELECT count(*) FROM openings").fetchone()
    with two.alice.prekeys() as ring:
        ring.renew(0, NOW + 100)
    with two.alice.working() as work:
        assert work.cursor.execute("SELECT count(*) FROM openings").fetchone() == (count - 2,)
