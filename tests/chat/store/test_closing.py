"""Mailboxes that serve nobody any more are kept until the relay has closed them."""

from pathlib import Path

from tests.chat.store.people import NOW, Two, open_person

from bellwire.chat.card import Card
from bellwire.chat.store.routes import INVITATION_S, MAX_OLD
from bellwire.chat.store.standing import KEEP_S

DAY = 86_400


def test_whatever_drops_a_mailbox_has_it_closed(tmp_path: Path) -> None:
    contact = bytes(32)
    with open_person(tmp_path / "me") as person:
        with person.working() as work:
            invited = [work.routes.invite(NOW + day * DAY).mailbox for day in (0, 1)]
            assert not work.routes.expire(NOW + INVITATION_S - 1)
            assert work.closing.all() == []
            assert work.routes.expire(NOW + INVITATION_S)
            assert work.closing.all() == invited[:1]
            # One that has expired is nobody's any more, however late somebody uses it.
            assert not work.routes.accept(invited[0], contact, NOW)
            work.closing.done(invited[0])
            assert [each.mailbox for each in work.routes.invitations(NOW + INVITATION_S)] == (
                invited[1:]
            )
            assert work.closing.all() == []
        with person.working() as work:
            boxes = [work.standing.rotate(NOW).mailbox, work.standing.rotate(NOW).mailbox]
            assert work.closing.all() == []
            assert len(work.standing.all(NOW + KEEP_S)) == 1
            assert work.closing.all() == boxes[:1]
            work.standing.give_up()
            assert work.closing.all() == sorted(boxes)
            for each in boxes:
                work.closing.done(each)


def test_earlier_mailboxes_of_a_contact_are_closed_once_the_new_one_is_used(
    tmp_path: Path,
) -> None:
    two = Two(tmp_path)
    with two.alice.working() as work:
        bob = two.ids["bob"]
        work.routes.learn(bob, Card(bytes(32), "ws://localhost:1", "", "Bob"), NOW)
        drawn = [work.routes.ensure(bob, NOW).box.mailbox]
        drawn += [work.routes.rotate(bob, NOW).mailbox for _ in range(MAX_OLD + 2)]
        assert work.closing.all() == sorted(drawn[:2])
        assert work.routes.used(bob, drawn[-1])
        assert work.closing.all() == sorted(drawn[:-1])
        work.routes.forget(bob)
        assert work.closing.all() == sorted(drawn)
    two.close()
