"""What is taken of others in a group, with a carrier that drops, repeats and reorders."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chat.store.crowd import Crowd
from tests.chat.store.people import NOW

from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import ChatMisuse, GroupUnusable
from bellwire.chat.roster import change, draw_id, found_group
from bellwire.chat.store import fanning
from bellwire.chat.store.groups import HELD_S, MAX_HELD
from bellwire.chat.store.messages import State


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    crowd = Crowd(tmp_path_factory.mktemp("crowd"), "alice", "bob", "carol", "mallory")
    yield crowd
    crowd.close()


@pytest.fixture
def crowd(everybody: Crowd) -> Crowd:
    everybody.settle()
    everybody.now, everybody.refused = NOW, []
    return everybody


def inject(crowd: Crowd, sender: str, receiver: str, content: Content) -> None:
    """Have somebody send what no messenger of ours would."""
    person, contact = crowd.people[sender], crowd.ids[receiver]
    with person.working() as work:
        work.seal(work.contacts.get(contact), content)
    crowd.settle()


def words(crowd: Crowd, author: str, group: bytes, view: bytes, text: str = "x") -> Content:
    return Content(
        ContentKind.TEXT,
        draw_id(group, crowd.ids[author]),
        int(NOW * 1000),
        text.encode(),
        group,
        view=view,
    )


def view_of(crowd: Crowd, name: str, group: bytes) -> bytes:
    kept = crowd.known(name, group)
    assert kept is not None
    return kept.roster.view


def test_an_impostor_is_not_heard_in_a_group_and_is_told_so(crowd: Crowd) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    view = view_of(crowd, "bob", group)
    inject(crowd, "mallory", "bob", words(crowd, "mallory", group, view))
    inject(crowd, "mallory", "bob", words(crowd, "alice", group, view))  # under another's id
    assert crowd.texts("bob", group) == []
    assert crowd.refused == [("bob", "GroupRefused")] * 2
    # His own messenger does not let him, either.
    with pytest.raises(GroupUnusable):
        crowd.say("mallory", group, "x")


def test_a_member_cannot_take_in_remove_or_edit_for_others(crowd: Crowd) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    said = crowd.say("alice", group, "true")
    crowd.settle()
    kept = crowd.known("bob", group)
    assert kept is not None
    roster = change(crowd.people["alice"].identity, kept.roster, add=[crowd.ids["mallory"]])
    for by in ("bob", "mallory"):
        signed = replace(roster, name="ours")
        signature = crowd.people[by].identity.sign(signed.body(), b"bellwire chat roster 1")
        forged = fanning.about(
            ContentKind.ROSTER, group, replace(signed, signature=signature).encode(), NOW
        )
        inject(crowd, by, "carol", forged)
    for kind, text in ((ContentKind.EDIT, b"false"), (ContentKind.DELETE, b"")):
        content = replace(
            words(crowd, "bob", group, kept.roster.view), kind=kind, text=text, target=said
        )
        inject(crowd, "bob", "carol", content)
    assert crowd.texts("carol", group) == ["true"]
    after = crowd.known("carol", group)
    assert after is not None
    assert after.roster == kept.roster


def test_whoever_is_not_in_a_group_does_not_type_there(crowd: Crowd) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    with crowd.people["carol"].working() as work:
        assert fanning.say_typing(work, crowd.ids["carol"], group, NOW)
    crowd.collect()
    asyncio.run(crowd.groups("alice").remove(group, crowd.ids["carol"]))
    from_carol, crowd.under_way = crowd.under_way, []
    crowd.settle()  # the roster without her
    crowd.under_way = from_carol
    told = crowd.settle()
    assert [each.content for each in told] == [None, None]
    assert not crowd.refused
    with crowd.people["carol"].working() as work, pytest.raises(GroupUnusable):
        fanning.say_typing(work, crowd.ids["carol"], group, NOW)


def test_words_said_between_two_are_not_changed_from_a_group_nor_shown_there(crowd: Crowd) -> None:
    group = crowd.new("alice", "bob")
    crowd.settle()
    alice, bob = crowd.ids["alice"], crowd.ids["bob"]
    said = Content(ContentKind.TEXT, b"i" * 16, int(NOW * 1000), b"for you")
    crowd.people["alice"].send(bob, said)
    crowd.settle()
    view = view_of(crowd, "alice", group)
    edit = replace(
        words(crowd, "alice", group, view), kind=ContentKind.EDIT, text=b"for all", target=b"i" * 16
    )
    inject(crowd, "alice", "bob", edit)
    assert [each.text for each in crowd.people["bob"].entries(alice)] == ["for you"]
    assert crowd.texts("bob", group) == []


def test_words_before_their_roster_wait_and_are_shown_once_it_is_here(crowd: Crowd) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.collect()
    early = [each for each in crowd.under_way if each[1] == "carol"]
    crowd.under_way = [each for each in crowd.under_way if each[1] != "carol"]
    crowd.settle()
    crowd.say("bob", group, "first")
    crowd.settle()
    assert crowd.texts("carol", group) == []
    with crowd.people["bob"].working() as work:
        (copy,) = [
            each
            for each in work.history.latest(group, 1)
            for each in work.history.copies(group, each.content_id)
            if each.contact == crowd.ids["carol"]
        ]
    assert copy.state is State.SENT  # not delivered: it is not shown
    crowd.under_way = early
    came = crowd.settle()
    assert "first" in [each.content.text.decode() for each in came if each.content and each.is_new
                       and each.content.kind is ContentKind.TEXT]  # fmt: skip
    assert crowd.texts("carol", group) == ["first"]


def test_what_waits_for_a_roster_is_bounded_and_does_not_wait_for_ever(crowd: Crowd) -> None:
    group = bytes(range(16))
    for number in range(MAX_HELD + 3):
        content = words(crowd, "mallory", group, b"\0\0\0\7" + bytes(32), f"no {number}")
        inject(crowd, "mallory", "bob", content)
    assert crowd.refused == [("bob", "GroupRefused")] * 3
    crowd.now += HELD_S + 1
    inject(crowd, "mallory", "bob", words(crowd, "mallory", group, bytes(36)))
    with crowd.people["bob"].working() as work:
        assert len(work.groups.held(group)) == 1


def test_two_rosters_of_one_number_are_noticed_by_their_members_words(crowd: Crowd) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    kept = crowd.known("alice", group)
    assert kept is not None
    for name, receiver in (("one", "bob"), ("other", "carol")):
        roster = change(crowd.people["alice"].identity, kept.roster, name=name)
        about = fanning.about(ContentKind.ROSTER, group, roster.encode(), NOW)
        inject(crowd, "alice", receiver, about)
    crowd.say("bob", group, "which?")
    crowd.settle()
    assert ("carol", "GroupRefused") in crowd.refused
    assert crowd.texts("carol", group) == []


def test_somebody_else_than_the_admin_cannot_bring_us_into_a_group(crowd: Crowd) -> None:
    alice = crowd.people["alice"].identity
    roster = found_group(alice, "not yours", [crowd.ids["bob"], crowd.ids["carol"]])
    about = fanning.about(ContentKind.ROSTER, roster.group, roster.encode(), NOW)
    inject(crowd, "bob", "carol", about)
    assert crowd.known("carol", roster.group) is None
    assert crowd.refused == [("carol", "GroupRefused")]


def test_who_left_gets_nothing_is_taken_out_by_the_admin_and_may_be_taken_in_again(
    crowd: Crowd,
) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    asyncio.run(crowd.groups("carol").leave(group))
    with pytest.raises(GroupUnusable):
        crowd.say("carol", group, "still here")
    crowd.settle()
    kept = crowd.known("bob", group)
    assert kept is not None
    assert (kept.roster.number, kept.roster.since(crowd.ids["carol"])) == (1, None)
    crowd.say("bob", group, "without her")
    crowd.settle()
    assert crowd.texts("carol", group) == []
    asyncio.run(crowd.groups("alice").add(group, crowd.ids["carol"]))
    crowd.settle()
    crowd.say("bob", group, "with her")
    crowd.settle()
    assert crowd.texts("carol", group) == ["with her"]


def test_members_who_are_introduced_anew_go_on_in_a_new_session_since_one_may_have_none(
    crowd: Crowd,
) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    maker, reader = sorted(("bob", "carol"), key=crowd.ids.__getitem__)
    with crowd.people[maker].working() as work:
        work.sessions.forget(crowd.ids[reader])
        work.routes.forget(crowd.ids[reader])
    with crowd.people[reader].working() as work:
        work.routes.forget(crowd.ids[maker])
        assert work.sessions.of(crowd.ids[maker])
    asyncio.run(crowd.groups(maker).begin())
    crowd.settle()
    for one, other in ((reader, maker), (maker, reader)):
        crowd.say(one, group, f"from {one}")
        crowd.settle()
        assert crowd.texts(other, group)[-1] == f"from {one}"
    assert crowd.refused == []


def test_the_admin_hands_over_before_leaving_and_the_next_one_decides(crowd: Crowd) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    with pytest.raises(GroupUnusable, match="another admin"):
        asyncio.run(crowd.groups("alice").leave(group))
    asyncio.run(crowd.groups("alice").hand_over(group, crowd.ids["bob"]))
    crowd.settle()
    with pytest.raises(GroupUnusable):
        asyncio.run(crowd.groups("alice").rename(group, "still mine"))
    asyncio.run(crowd.groups("alice").leave(group))
    crowd.settle()
    asyncio.run(crowd.groups("bob").add(group, crowd.ids["mallory"]))
    crowd.settle()
    kept = crowd.known("carol", group)
    assert kept is not None
    assert {crowd.names[each] for each in kept.active()} == {"bob", "carol", "mallory"}


def test_what_a_removed_member_did_not_get_yet_never_goes(crowd: Crowd) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    crowd.say("alice", group, "sealed, and not with the relay yet")
    view = view_of(crowd, "alice", group)
    with crowd.people["alice"].working() as work:
        content = words(crowd, "alice", group, view, "not sealed yet")
        fanning.say(work, crowd.ids["alice"], content)
    asyncio.run(crowd.groups("alice").remove(group, crowd.ids["carol"]))
    with crowd.people["alice"].working() as work:
        assert work.waiting.contacts() == [crowd.ids["bob"]]
    crowd.settle()
    assert crowd.texts("carol", group) == []
    assert crowd.texts("bob", group) == ["sealed, and not with the relay yet"]


def test_messages_of_a_group_disappear_for_all_by_the_timer_they_were_said_under(
    crowd: Crowd,
) -> None:
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    crowd.put("alice", group, ContentKind.TIMER, timer_s=60)
    crowd.settle()
    kept = crowd.known("carol", group)
    assert kept is not None
    assert kept.timer_s == 60
    crowd.say("alice", group, "soon gone", timer_s=60)
    crowd.settle()
    for name in ("bob", "carol"):
        crowd.people[name].mark_read(group, NOW)
    for name in ("alice", "bob", "carol"):
        assert crowd.people[name].disappear(NOW + 61) >= 1
        assert crowd.texts(name, group) == [""]


def test_strangers_say_nothing_in_groups(crowd: Crowd) -> None:
    group = crowd.new("alice", "bob")
    crowd.settle()
    with crowd.people["bob"].working() as work:
        work.strangers.admit(crowd.ids["mallory"], NOW)
    inject(crowd, "mallory", "bob", words(crowd, "mallory", group, view_of(crowd, "bob", group)))
    assert crowd.refused == [("bob", "StrangerRefused")]
    with crowd.people["bob"].working() as work:
        work.strangers.accept(crowd.ids["mallory"])


@pytest.mark.parametrize("seed", [1])
def test_over_drops_repeats_and_reordering_members_come_to_one_roster_and_nobody_else_is_shown(
    tmp_path: Path, seed: int
) -> None:
    drawn = random.Random(seed)
    crowd = Crowd(tmp_path, "alice", "bob", "carol", "dan")
    group = crowd.new("alice", "bob", "carol")
    crowd.settle()
    said: dict[str, set[str]] = {}
    for step in range(24):
        crowd.now += 61
        if not step:
            asyncio.run(crowd.groups("alice").rename(group, "laboratory"))
        _act(crowd, drawn, group, f"words {step}", said)
        crowd.collect()
        for _ in range(drawn.randrange(4)):
            if crowd.under_way:
                place = drawn.randrange(len(crowd.under_way))
                if drawn.random() < 0.1:
                    del crowd.under_way[place]
                else:
                    _checked(crowd, group, place, said, keep=drawn.random() < 0.2)
    while crowd.under_way:
        _checked(crowd, group, drawn.randrange(len(crowd.under_way)), said)
    for _ in range(4):  # now nothing is lost: whoever is behind hears of it by words, and asks
        for name in _members(crowd, group):
            crowd.now += 61
            crowd.say(name, group, f"{name} at last {crowd.now}")
        crowd.settle()
    newest = max(
        (kept for name in crowd.people if (kept := crowd.known(name, group))),
        key=lambda kept: kept.roster.number,
    )
    for contact in newest.active():
        kept = crowd.known(crowd.names[contact], group)
        assert kept is not None
        assert kept.roster == newest.roster
    for name in crowd.people:
        texts = crowd.texts(name, group)
        assert len(texts) == len(set(texts))
    assert {error for _, error in crowd.refused} <= {"GroupRefused", "Replayed"}
    assert newest.roster.number > 0
    crowd.close()


def _members(crowd: Crowd, group: bytes) -> list[str]:
    found = []
    for name in crowd.people:
        kept = crowd.known(name, group)
        if kept is not None and kept.has(crowd.ids[name]) and len(kept.active()) > 1:
            found.append(name)
    return found


def _act(
    crowd: Crowd, drawn: random.Random, group: bytes, text: str, said: dict[str, set[str]]
) -> None:
    """Something that somebody who thinks to be permitted does."""
    what, members = drawn.randrange(8), _members(crowd, group)
    if what < 4:
        admins = {each: crowd.known(each, group) for each in members}
        members = [
            each for each, kept in admins.items()
            if kept and kept.roster.admin.fingerprint == crowd.ids[each]
        ] or members  # fmt: skip
    name = drawn.choice(members)
    groups, other = crowd.groups(name), crowd.ids[drawn.choice(list(crowd.people))]
    match what:
        case 0:
            act = groups.add(group, other)
        case 1:
            act = groups.remove(group, other)
        case 2:
            act = groups.rename(group, text)
        case 3:
            act = groups.hand_over(group, other)
        case 4 if name == "dan":
            act = groups.leave(group)
        case _:
            kept = crowd.known(name, group)
            assert kept is not None
            said[text] = {crowd.names[each] for each in kept.active()}
            crowd.say(name, group, text)
            return
    try:
        asyncio.run(act)
    except (GroupUnusable, ChatMisuse):
        return


def _checked(
    crowd: Crowd, group: bytes, place: int, said: dict[str, set[str]], *, keep: bool = False
) -> None:
    """Deliver; whoever is shown words is one for whom they were said, by one of the group."""
    receiver = crowd.under_way[place][1]
    told = crowd.deliver(place, keep=keep)
    for each in [] if told is None else [told, *told.released]:
        if each.content is not None and each.content.kind is ContentKind.TEXT and each.is_new:
            assert receiver in said[each.content.text.decode()]
            kept = crowd.known(receiver, group)
            assert kept is not None
            assert kept.has(each.contact)
