"""Who is in a group: what an admin can sign, and what members take."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.chat.conversation import ALICE, BOB, MALLORY, identity

from bellwire.chat.errors import ContentMalformed, GroupRefused, GroupUnusable
from bellwire.chat.identity import Identity
from bellwire.chat.roster import (
    MAX_MEMBERS,
    Roster,
    change,
    check_first,
    check_follows,
    check_id,
    draw_id,
    found_group,
    read_roster,
)
from bellwire.crypto.labels import CHAT_ROSTER

CAROL = identity(4)


def fingerprint(of: Identity) -> bytes:
    return of.public.fingerprint


def lab() -> Roster:
    return found_group(ALICE, "lab", [fingerprint(BOB), fingerprint(CAROL)])


def forged(roster: Roster, by: Identity) -> Roster:
    return replace(roster, signature=by.sign(roster.body(), CHAT_ROSTER))


def test_a_roster_is_read_as_it_was_written_and_followed_by_those_its_admin_signs() -> None:
    first = lab()
    assert read_roster(first.encode()) == first
    check_first(first, fingerprint(ALICE), fingerprint(BOB))
    renamed = change(ALICE, first, name="laboratory")
    removed = change(ALICE, renamed, remove=[fingerprint(CAROL)])
    handed = change(ALICE, removed, hand_to=BOB.public)
    added = change(BOB, handed, add=[fingerprint(CAROL)])
    chain = [first, renamed, removed, handed, added]
    for former, roster in pairwise(chain):
        check_follows(former, read_roster(roster.encode()))
    assert added.since(fingerprint(CAROL)) == 4
    assert added.since(fingerprint(BOB)) == 0


def test_nobody_but_the_admin_changes_a_roster_not_even_to_add_himself() -> None:
    first = lab()
    theirs = replace(change(ALICE, first, add=[fingerprint(MALLORY)]), former=first.digest)
    for by in (MALLORY, BOB):
        with pytest.raises(GroupRefused, match="signed by the group's admin"):
            check_follows(first, forged(theirs, by))
        with pytest.raises(GroupUnusable, match="of which we are the admin"):
            change(by, first, name="mine")
    taken = forged(replace(first, admin=MALLORY.public, members=theirs.members, number=1), MALLORY)
    with pytest.raises(GroupRefused):
        check_follows(first, taken)


def test_a_fork_a_rollback_and_a_gap_are_noticed() -> None:
    first = lab()
    one, other = change(ALICE, first, name="one"), change(ALICE, first, name="other")
    after = change(ALICE, one, name="after")
    with pytest.raises(GroupRefused, match="not the same for all"):
        check_follows(other, after)
    for roster in (first, one, after):
        with pytest.raises(GroupRefused, match="comes next"):
            check_follows(after, roster)
    with pytest.raises(GroupRefused, match="comes next"):
        check_follows(first, after)


def test_a_hand_over_changes_nothing_else_and_members_are_in_since_their_own_roster() -> None:
    first = lab()
    both = forged(replace(change(ALICE, first, hand_to=BOB.public), name="mine"), ALICE)
    with pytest.raises(GroupRefused, match="no other change"):
        check_follows(first, both)
    added = change(ALICE, first, add=[fingerprint(MALLORY)])
    early = tuple(replace(each, since=0) for each in added.members)
    with pytest.raises(GroupRefused, match="since their own roster"):
        check_follows(first, forged(replace(added, members=early), ALICE))


def test_only_its_admin_takes_us_into_a_group() -> None:
    first = lab()
    with pytest.raises(GroupRefused, match="by its admin"):
        check_first(first, fingerprint(BOB), fingerprint(CAROL))
    with pytest.raises(GroupRefused, match="with us in it"):
        check_first(first, fingerprint(ALICE), fingerprint(MALLORY))
    with pytest.raises(GroupRefused, match="signed by"):
        check_first(forged(first, BOB), fingerprint(ALICE), fingerprint(CAROL))


@pytest.mark.parametrize(
    "name", ["", "x" * 121, "a\nb", "\x1b[2J", "\u202eevil", "ü" * 61, "a\x00", "\ud800"]
)
def test_names_that_do_not_print_or_are_too_long_are_refused(name: str) -> None:
    with pytest.raises(GroupUnusable, match="name of a group"):
        found_group(ALICE, name, [fingerprint(BOB)])
    with pytest.raises(GroupUnusable, match="name of a group"):
        change(ALICE, lab(), name=name)


def test_a_group_of_one_and_one_of_ten_thousand_are_refused() -> None:
    with pytest.raises(GroupUnusable, match="somebody else in it"):
        found_group(ALICE, "alone", [fingerprint(ALICE)])
    many = [n.to_bytes(32, "big") for n in range(10_000)]
    with pytest.raises(GroupUnusable, match=f"1 to {MAX_MEMBERS}, got 10001"):
        found_group(ALICE, "crowd", many)
    with pytest.raises(GroupUnusable, match=f"1 to {MAX_MEMBERS}"):
        change(ALICE, lab(), add=many[:MAX_MEMBERS])


def test_what_cannot_be_changed_is_said() -> None:
    first = lab()
    for wrong in (
        {"remove": [fingerprint(ALICE)]},
        {"remove": [fingerprint(MALLORY)]},
        {"add": [fingerprint(BOB)]},
        {"hand_to": MALLORY.public},
    ):
        with pytest.raises(GroupUnusable):
            change(ALICE, first, **wrong)


@given(st.data())
def test_rosters_that_are_cut_lengthened_or_changed_are_refused(data: st.DataObject) -> None:
    whole = CHANGED.encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    with pytest.raises(ContentMalformed):
        read_roster(whole[:at])
    with pytest.raises(ContentMalformed):
        read_roster(whole + whole[: at + 1])
    spoilt = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    with pytest.raises((ContentMalformed, GroupRefused)):
        check_follows(FIRST, read_roster(spoilt))


FIRST = lab()
CHANGED = change(ALICE, FIRST, add=[fingerprint(MALLORY)])


def test_an_id_is_of_its_author_in_its_group() -> None:
    group = bytes(range(16))
    drawn = draw_id(group, fingerprint(BOB))
    check_id(group, fingerprint(BOB), drawn)
    for author, place in ((MALLORY, group), (BOB, bytes(16))):
        with pytest.raises(GroupRefused):
            check_id(place, fingerprint(author), drawn)


def test_a_roster_is_as_the_specification_has_it() -> None:
    first = replace(lab(), group=b"g" * 16)
    names = sorted([fingerprint(ALICE), fingerprint(BOB), fingerprint(CAROL)])
    body = b"bwgr\x01" + b"g" * 16 + bytes(4) + bytes(32) + ALICE.public.public_bytes
    body += b"\x03lab" + b"\x03" + b"".join(bytes(4) + each for each in names)
    assert first.body() == body
    assert len(first.encode()) == len(body) + 64 + 3309
