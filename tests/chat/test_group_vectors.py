"""Known answers of vectors/chat/group.json: product and slow reference give the same rosters."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.reference import chat_group as reference

from bellwire.base.secret import Secret
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import GroupRefused
from bellwire.chat.identity import Identity
from bellwire.chat.roster import (
    change,
    check_first,
    check_follows,
    check_id,
    found_group,
    read_roster,
)

FILE = Path(__file__).parents[2] / "vectors" / "chat" / "group.json"
VECTOR: dict[str, Any] = json.loads(FILE.read_text())
VALUES = {name: bytes.fromhex(value) for name, value in VECTOR["values"].items()}
PEOPLE = {who: Identity(Secret(seed)) for who, seed in reference.seeds_of(VECTOR["script"]).items()}
ROSTERS = [read_roster(VALUES[f"roster_{number}"]) for number in range(4)]
ALICE, BOB, CAROL = (PEOPLE[who].public.fingerprint for who in reference.WHO)


def test_the_reference_gives_the_kept_values() -> None:
    assert reference.play(VECTOR["script"]) == VECTOR["values"]


def test_the_kept_rosters_are_read_written_and_follow_each_other() -> None:
    for number, roster in enumerate(ROSTERS):
        assert roster.encode() == VALUES[f"roster_{number}"]
        assert roster.digest == VALUES[f"hash_{number}"]
    check_first(ROSTERS[0], ALICE, CAROL)
    for former, roster in pairwise(ROSTERS):
        check_follows(former, roster)
        with pytest.raises(GroupRefused):
            check_follows(roster, former)


def test_their_admins_write_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ROSTERS[0].group
    monkeypatch.setattr("bellwire.chat.roster.os.urandom", lambda _: group)
    first = found_group(PEOPLE["alice"], "Nightshift ½", [BOB, CAROL])
    less = change(PEOPLE["alice"], first, name="Day shift", remove=[CAROL])
    handed = change(PEOPLE["alice"], less, hand_to=PEOPLE["bob"].public)
    more = change(PEOPLE["bob"], handed, add=[CAROL])
    made = [first, less, handed, more]
    assert [each.body() for each in made] == [each.body() for each in ROSTERS]


def test_what_each_says_in_the_group_has_the_kept_head_and_an_id_of_their_own() -> None:
    group, view = ROSTERS[3].group, ROSTERS[3].view
    for who, person in PEOPLE.items():
        own = VALUES[f"id_{who}"]
        check_id(group, person.public.fingerprint, own)
        with pytest.raises(GroupRefused):
            check_id(group, person.public.fingerprint, VALUES[f"id_{_other(who)}"])
        said = Content(ContentKind.TEXT, own, 1_800_000_000_000, b"", group, view=view)
        assert said.encode_head() == VALUES[f"words_{who}"]
        types = Content(ContentKind.TYPING, own, 1_800_000_000_000, b"", group)
        assert types.encode_head() == VALUES[f"types_{who}"]


def _other(who: str) -> str:
    return reference.WHO[reference.WHO.index(who) - 1]
