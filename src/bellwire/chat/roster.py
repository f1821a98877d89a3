"""Who is in a group, signed by its admin: a roster, and which one may follow which.

A group has one admin at a time, who alone changes its roster. Each roster has a number, one above
that of the former one, and the former one's hash; so no two members can be shown different rosters
of one number without noticing, none can be shown an older one again, and nobody gets in but by the
admin's signature. A roster says since which number each member is in it, so that who left and is
taken in again is told from who left and was not heard yet. The relay sees none of this: a roster
is a content between two people, as words are. Source: spec/chat.md, 9.
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from bellwire.chat.content import ID_BYTES, VIEW_BYTES
from bellwire.chat.errors import BundleRefused, ContentMalformed, GroupRefused, GroupUnusable
from bellwire.chat.identity import (
    FINGERPRINT_BYTES,
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    Identity,
    IdentityPublic,
)
from bellwire.crypto.labels import CHAT_GROUP_ID, CHAT_ROSTER

MAX_MEMBERS: Final = 32
"""A message goes to each of them under a pad of its own."""

MAX_NAME_BYTES: Final = 120
MAX_NUMBER: Final = (1 << 32) - 2
NO_FORMER: Final = bytes(32)

_MAGIC: Final = b"bwgr\x01"
_HEAD: Final = struct.Struct(f">5s{ID_BYTES}sI32s{PUBLIC_BYTES}sB")
_MEMBER: Final = struct.Struct(f">I{FINGERPRINT_BYTES}s")
_HALF: Final = ID_BYTES // 2


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a group: fingerprint of their identity, and number of their first roster."""

    contact: bytes
    since: int


@dataclass(frozen=True, slots=True)
class Roster:
    """One roster; whether it counts, `check_first` and `check_follows` say.

    Attributes:
        group: Id of the group, 16 bytes, random.
        number: From 0 on.
        former: Hash of the roster before; zeros for number 0.
        admin: Whose identity signs the next one.
        name: Of the group.
        members: By fingerprint; the admin is among them.
        signature: Both of the former roster's admin; for number 0, of the admin.

    Raises:
        GroupUnusable: it cannot be written: a name that does not print, too many members.
    """

    group: bytes
    number: int
    former: bytes
    admin: IdentityPublic
    name: str
    members: tuple[Member, ...]
    signature: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        name = self.name.encode(errors="replace")
        if not 1 <= len(name) <= MAX_NAME_BYTES or not self.name.isprintable():
            raise GroupUnusable(
                f"name of a group: expected 1 to {MAX_NAME_BYTES} printable bytes, got "
                f"{len(name)}{'' if self.name.isprintable() else ' with others'}"
            )
        ordered = [each.contact for each in self.members]
        if not 1 <= len(ordered) <= MAX_MEMBERS:
            raise GroupUnusable(
                f"members of a group: expected 1 to {MAX_MEMBERS}, got {len(ordered)}"
            )
        sound = ordered == sorted(set(ordered)) and self.admin.fingerprint in ordered
        numbered = 0 <= self.number <= MAX_NUMBER
        if not sound or not numbered or any(each.since > self.number for each in self.members):
            raise GroupUnusable("expected each member once, in order, with the admin, got others")

    @property
    def digest(self) -> bytes:
        """What the next roster and every message name this one by, 32 bytes."""
        return hashlib.sha256(CHAT_ROSTER + self.body()).digest()

    @property
    def view(self) -> bytes:
        """Number and hash, as messages have them."""
        return self.number.to_bytes(4, "big") + self.digest

    def since(self, contact: bytes) -> int | None:
        """Number of somebody's first roster; None if they are not in this one."""
        return next((each.since for each in self.members if each.contact == contact), None)

    def body(self) -> bytes:
        """All but the signature."""
        name = self.name.encode()
        head = _HEAD.pack(
            _MAGIC, self.group, self.number, self.former, self.admin.public_bytes, len(name)
        )
        members = b"".join(_MEMBER.pack(each.since, each.contact) for each in self.members)
        return head + name + bytes([len(self.members)]) + members

    def encode(self) -> bytes:
        """The text of a content ROSTER."""
        return self.body() + self.signature


def read_roster(data: bytes) -> Roster:
    """Undo `Roster.encode`; what it says is not verified yet.

    Raises:
        ContentMalformed: it is no roster.
    """
    try:
        magic, group, number, former, admin, length = _HEAD.unpack_from(data)
        at = _HEAD.size + length
        name, count = data[_HEAD.size : at].decode(), data[at]
        end = at + 1 + count * _MEMBER.size
        found = [_MEMBER.unpack_from(data, at + 1 + n * _MEMBER.size) for n in range(count)]
        members = tuple(Member(contact, since) for since, contact in found)
        roster = Roster(group, number, former, IdentityPublic(admin), name, members, data[end:])
    except (struct.error, IndexError, UnicodeDecodeError, GroupUnusable) as error:
        raise _malformed() from error
    if magic != _MAGIC or len(roster.signature) != SIGNATURE_BYTES or roster.encode() != data:
        raise _malformed()
    return roster


def _malformed() -> ContentMalformed:
    return ContentMalformed("expected a roster of this version, got another content")


# What the admin does.


def found_group(admin: Identity, name: str, others: Iterable[bytes]) -> Roster:
    """The first roster of a new group.

    Raises:
        GroupUnusable: nobody else is in it, there are too many, or the name cannot be used.
    """
    contacts = {admin.public.fingerprint, *others}
    if len(contacts) < 2:
        raise GroupUnusable("a new group: expected somebody else in it, got nobody")
    members = tuple(Member(each, 0) for each in sorted(contacts))
    bare = Roster(os.urandom(ID_BYTES), 0, NO_FORMER, admin.public, name, members)
    return _signed(admin, bare)


def change(
    admin: Identity,
    former: Roster,
    *,
    name: str | None = None,
    add: Iterable[bytes] = (),
    remove: Iterable[bytes] = (),
    hand_to: IdentityPublic | None = None,
) -> Roster:
    """The roster that follows, signed.

    Raises:
        GroupUnusable: we are not its admin, somebody is (not) in it already, the admin would be
            removed, or there would be too many.
    """
    if former.admin != admin.public:
        raise GroupUnusable(
            "expected a group of which we are the admin, got another's",
            hint="If its admin's device is lost: /group renew makes it anew, without that one.",
        )
    number = former.number + 1
    members = {each.contact: each for each in former.members}
    for contact in remove:
        if contact == admin.public.fingerprint or members.pop(contact, None) is None:
            raise GroupUnusable("expected a member other than the admin to remove, got none")
    for contact in add:
        if contact in members:
            raise GroupUnusable("expected somebody to add who is not in the group, got a member")
        members[contact] = Member(contact, number)
    if hand_to is not None and hand_to.fingerprint not in members:
        raise GroupUnusable("expected a member to be the admin, got somebody else")
    bare = Roster(
        former.group,
        number,
        former.digest,
        hand_to or former.admin,
        former.name if name is None else name,
        tuple(members[each] for each in sorted(members)),
    )
    return _signed(admin, bare)


def _signed(admin: Identity, bare: Roster) -> Roster:
    return replace(bare, signature=admin.sign(bare.body(), CHAT_ROSTER))


# What members check.


def check_first(roster: Roster, sender: bytes, me: bytes) -> None:
    """Return only if this may be the first roster of a group that we see.

    Args:
        roster: As it came.
        sender: Fingerprint of who sent it: its admin, whom we know.
        me: Our own.

    Raises:
        GroupRefused: it is of another admin, without us, or its signature is not the admin's.
    """
    if roster.admin.fingerprint != sender:
        raise GroupRefused("expected to be taken into a group by its admin, got it from another")
    if roster.since(me) is None:
        raise GroupRefused("expected a group with us in it, got one without")
    _check_signed(roster, roster.admin)


def check_follows(former: Roster, roster: Roster) -> None:
    """Return only if `roster` may take the place of `former`.

    Raises:
        GroupRefused: it is not the next one, has another past, is not signed by the admin, or
            changes what nobody may change.
    """
    if (roster.group, roster.number) != (former.group, former.number + 1):
        raise GroupRefused("expected the roster that comes next, got another")
    if not hmac.compare_digest(roster.former, former.digest):
        raise forked()
    _check_signed(roster, former.admin)
    before = {each.contact: each.since for each in former.members}
    if roster.admin != former.admin:
        if (roster.members, roster.name) != (former.members, former.name):
            raise GroupRefused("expected a new admin and no other change, got more")
    elif any(
        each.since not in {before.get(each.contact), roster.number} for each in roster.members
    ):
        raise GroupRefused("expected members since their own roster, got others")


def forked() -> GroupRefused:
    """Somebody was shown another roster of the same number."""
    return GroupRefused(
        "the group's roster is not the same for all: its admin signed two of one number, or went "
        "back to an earlier one; make a new group"
    )


def _check_signed(roster: Roster, signer: IdentityPublic) -> None:
    try:
        signer.verify(roster.signature, roster.body(), CHAT_ROSTER)
    except BundleRefused as error:
        raise GroupRefused("expected a roster signed by the group's admin, got another") from error


# Ids of what is said in a group.


def draw_id(group: bytes, author: bytes) -> bytes:
    """An id for what an author says in a group: no other member can say anything under it."""
    drawn = os.urandom(_HALF)
    return drawn + _bound(group, author, drawn)


def check_id(group: bytes, author: bytes, content_id: bytes) -> None:
    """Return only if this author may say something under this id; else GroupRefused."""
    drawn, bound = content_id[:_HALF], content_id[_HALF:]
    if not hmac.compare_digest(bound, _bound(group, author, drawn)):
        raise GroupRefused("expected an id of its author in this group, got another")


def _bound(group: bytes, author: bytes, drawn: bytes) -> bytes:
    return hashlib.sha256(CHAT_GROUP_ID + group + author + drawn).digest()[:_HALF]


def number_of(view: bytes) -> int:
    """The roster's number in what a message has of it."""
    assert len(view) == VIEW_BYTES
    return int.from_bytes(view[:4], "big")
