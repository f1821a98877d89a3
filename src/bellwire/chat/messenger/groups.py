"""Groups, as a messenger has them: made, changed, left, and members introduced to each other.

What is said in a group goes to each member by itself (`chat.store.fanning`); members who do not
know each other are introduced (`chat.messenger.introducing`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from bellwire.chat.card import Card
from bellwire.chat.content import OF_GROUPS, ContentKind
from bellwire.chat.errors import GroupUnusable
from bellwire.chat.messenger.introducing import Met, offer, use_links
from bellwire.chat.messenger.views import (
    Alert,
    AlertKind,
    ConversationChanged,
    Event,
    GroupMember,
)
from bellwire.chat.roster import Roster, change, found_group
from bellwire.chat.store import fanning
from bellwire.chat.store.groups import Group
from bellwire.chat.store.person import Person
from bellwire.chat.store.receiving import Received
from bellwire.chat.store.work import Work

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Links:
    """What groups need of the rest of a messenger.

    Attributes:
        card: How somebody reaches us by this right.
        reroute: There are other routes.
        go: Something may be sent to a contact now.
        wake: There is something in the outbox.
        tell: What happened.
        now: Seconds since the epoch.
    """

    card: Callable[[bytes], Card]
    reroute: Callable[[], Awaitable[None]]
    go: Callable[[bytes], None]
    wake: Callable[[], None]
    tell: Callable[[Event], None]
    now: Callable[[], float]


class Groups:
    """Of one person; `Messenger.groups`. A group is named by its id, 16 bytes."""

    def __init__(self, person: Person, links: Links) -> None:
        self._person = person
        self._links = links
        self._me = person.identity.public.fingerprint

    # What is asked for

    async def new(self, name: str, members: list[bytes]) -> bytes:
        """Make a group of ourselves, its admin, and contacts who can be reached; its id.

        Raises:
            GroupUnusable: there is nobody in it, there are too many, one of them cannot be reached
                yet, or the name cannot be used.
        """

        def make(work: Work) -> Roster:
            for each in members:
                self._check_reachable(work, each)
            roster = found_group(self._person.identity, name, members)
            work.groups.keep(roster)
            self._publish(work, roster, ())
            return roster

        return (await self._change(make)).group

    async def renew(self, group: bytes) -> bytes:
        """Make a group anew without its admin, whose device is lost, and leave it.

        Returns:
            The new one's id: of the same name, with the other members, and us as its admin.

        Raises:
            GroupUnusable: we are its admin, are not in it, or a member cannot be reached yet.
        """

        def look(work: Work) -> tuple[str, list[bytes]]:
            kept = fanning.member_of(work, self._me, group)
            admin = kept.roster.admin.fingerprint
            if admin == self._me:
                raise GroupUnusable("expected a group of another admin, got one of ours")
            return kept.roster.name, [
                each for each in kept.active() if each not in {self._me, admin}
            ]

        fresh = await self.new(*await self._do(look))
        await self.leave(group)
        return fresh

    async def add(self, group: bytes, contact: bytes) -> None:
        """Take a contact in, who sees what is said from now on; GroupUnusable."""

        def take(work: Work) -> Roster:
            self._check_reachable(work, contact)
            return self._next(work, group, add=[contact])

        await self._change(take)

    async def remove(self, group: bytes, contact: bytes) -> None:
        """Have a member in it no more: nothing goes to them afterwards; GroupUnusable."""
        await self._change(lambda work: self._next(work, group, remove=[contact]))

    async def rename(self, group: bytes, name: str) -> None:
        """Call it otherwise, for all; GroupUnusable."""
        await self._change(lambda work: self._next(work, group, name=name))

    async def hand_over(self, group: bytes, contact: bytes) -> None:
        """Have another member be the admin from now on; GroupUnusable."""
        await self._change(lambda work: self._next(work, group, hand_to=contact))

    async def leave(self, group: bytes) -> None:
        """Be in it no more, and tell the others; GroupUnusable if we are its admin."""

        def go(work: Work) -> Roster:
            kept = fanning.member_of(work, self._me, group)
            others = [each for each in kept.active() if each != self._me]
            if kept.roster.admin.fingerprint == self._me and others:
                raise GroupUnusable(
                    "expected another admin before the admin leaves, got none",
                    hint="/group admin NAME hands the group over.",
                )
            number = kept.roster.number
            text = number.to_bytes(4, "big")
            for each in others:
                if fanning.is_reachable(work, each):
                    left = fanning.about(ContentKind.LEFT, group, text, self._links.now())
                    fanning.tell(work, work.contacts.get(each), left)
                fanning.withhold(work, group, each)
            work.groups.leave(group, self._me, number)
            return kept.roster

        await self._change(go)

    async def members(self, group: bytes) -> list[GroupMember]:
        """Who is in it, the admin first, then by name; GroupUnusable if nobody took us into it."""

        def look(work: Work) -> list[GroupMember]:
            kept = work.groups.get(group)
            if kept is None:
                raise GroupUnusable("expected a group, got the id of none")
            found = [self._member(work, kept, each) for each in kept.active()]
            return sorted(found, key=lambda each: (not each.is_admin, each.name.casefold()))

        return await self._do(look)

    # What came

    async def begin(self) -> None:
        """Go on with what was begun before we were here."""
        await self._settle()

    async def came(self, told: Received) -> bool:
        """Somebody has said something about a group; False if it was about something else."""
        content = told.content
        if content is None or content.kind not in OF_GROUPS or content.group is None:
            return False
        if told.is_new:
            for words in await self._do(lambda work: self._news(work, told)):
                self._links.tell(Alert(AlertKind.GROUP, content.group, words))
            await self._settle()
            self._links.tell(ConversationChanged(content.group))
        return True

    async def met(self, contact: bytes) -> str | None:
        """There is a way to somebody now; by which group, if it was by one."""

        def go(work: Work) -> str | None:
            fanning.catch_up(work, self._me, contact)
            by = work.groups.met(contact)
            group = None if by is None else work.groups.get(by)
            return None if group is None else group.roster.name

        name = await self._do(go)
        self._links.go(contact)
        return name

    # Inside

    async def _do(self, act: Callable[[Work], T]) -> T:
        def whole() -> T:
            with self._person.working() as work:
                return act(work)

        return await asyncio.to_thread(whole)

    async def _change(self, act: Callable[[Work], Roster]) -> Roster:
        roster = await self._do(act)
        await self._settle()
        self._links.tell(ConversationChanged(roster.group))
        return roster

    def _next(
        self,
        work: Work,
        group: bytes,
        *,
        name: str | None = None,
        add: list[bytes] | None = None,
        remove: list[bytes] | None = None,
        hand_to: bytes | None = None,
    ) -> Roster:
        """Sign, keep and send the roster that follows."""
        kept = fanning.member_of(work, self._me, group)
        former = kept.roster
        gone = [each for each in add or [] if former.since(each) is not None]
        if gone and not any(kept.has(each) for each in gone):
            # Who has left is taken out first, so that they are taken in anew.
            former = self._next(work, group, remove=gone)
        if hand_to is not None and not (work.contacts.knows(hand_to) and kept.has(hand_to)):
            raise GroupUnusable("expected a member to be the admin, got somebody else")
        roster = change(
            self._person.identity,
            former,
            name=name,
            add=add or (),
            remove=remove or (),
            hand_to=None if hand_to is None else work.contacts.get(hand_to).identity,
        )
        fanning.accept(work, self._me, roster)
        self._publish(work, roster, remove or ())
        return roster

    def _publish(self, work: Work, roster: Roster, removed: "list[bytes] | tuple[()]") -> None:
        now = self._links.now()
        for each in [*(each.contact for each in roster.members), *removed]:
            if each != self._me and fanning.is_reachable(work, each):
                content = fanning.about(ContentKind.ROSTER, roster.group, roster.encode(), now)
                fanning.tell(work, work.contacts.get(each), content)

    @staticmethod
    def _check_reachable(work: Work, contact: bytes) -> None:
        if not fanning.is_reachable(work, contact) or work.strangers.is_blocked(contact):
            name = work.contacts.get(contact).name if work.contacts.knows(contact) else "another"
            raise GroupUnusable(
                f"expected contacts who can be reached, got {name!r}, who cannot be yet"
            )

    def _member(self, work: Work, kept: Group, contact: bytes) -> GroupMember:
        known = work.contacts.get(contact) if work.contacts.knows(contact) else None
        is_me = contact == self._me
        return GroupMember(
            contact,
            self._links.card(bytes(32)).name if is_me else called(work, contact),
            is_me=is_me,
            is_admin=contact == kept.roster.admin.fingerprint,
            is_reachable=is_me or fanning.is_reachable(work, contact),
            is_verified=is_me or (known is not None and known.verified),
        )

    def _news(self, work: Work, told: Received) -> list[str]:
        """What others have changed, in words."""
        content = told.content
        assert content is not None
        assert content.group is not None
        kept = work.groups.get(content.group)
        if kept is None or content.kind not in {ContentKind.ROSTER, ContentKind.LEFT}:
            return []
        who, name = work.contacts.get(told.contact).name, kept.roster.name
        if content.kind is ContentKind.LEFT:
            return [f"{who} has left the group {name!r}"]
        return _changes(work, kept, self._me)

    async def _settle(self) -> None:
        """Do what a change of rosters asks for: take out who left, introduce who must be."""
        now, person = self._links.now(), self._person

        def settle(work: Work) -> tuple[bool, list[Met]]:
            offered = False
            for kept in work.groups.all():
                if not kept.has(self._me):
                    continue
                gone = [each.contact for each in kept.roster.members if not kept.has(each.contact)]
                if gone and kept.roster.admin.fingerprint == self._me:
                    self._next(work, kept.group, remove=gone)
                for member in kept.active():
                    offered |= offer(work, person.identity, self._links.card, kept, member, now=now)
            return offered, use_links(work, person.identity, self._links.card, now)

        offered, met = await self._do(settle)
        if offered or met:
            await self._links.reroute()
        for each in met:
            words = (
                f"{each.name} and you are in the group {each.group!r} and know each other now; "
                "compare safety numbers with them"
            )
            self._links.tell(Alert(AlertKind.CONTACT, each.contact, words))
            self._links.go(each.contact)
        self._links.wake()


def called(work: Work, contact: bytes) -> str:
    """What we call a member; of one whom we have not met, the beginning of their fingerprint."""
    if work.contacts.knows(contact) and not work.strangers.has(contact):
        return work.contacts.get(contact).name
    return contact.hex()[:16]


def _changes(work: Work, kept: Group, me: bytes) -> list[str]:
    """How the newest roster differs from the one before, in words."""
    roster, number = kept.roster, kept.roster.number
    former = work.groups.roster(roster.group, number - 1) if number else None
    admin = called(work, roster.admin.fingerprint)
    if roster.since(me) == number:
        count = len(roster.members)
        return [f"{admin} has taken you into the group {roster.name!r} of {count} people"]
    if former is None:
        return []
    said = []
    if former.name != roster.name:
        said.append(f"the group {former.name!r} is called {roster.name!r} now")
    if former.admin != roster.admin:
        who = "you are" if roster.admin.fingerprint == me else f"{admin} is"
        said.append(f"{who} the admin of the group {roster.name!r} now")
    for each in former.members:
        if roster.since(each.contact) is None:
            who = "you are" if each.contact == me else f"{called(work, each.contact)} is"
            said.append(f"{who} not in the group {roster.name!r} any more")
    said.extend(
        f"{called(work, each.contact)} is in the group {roster.name!r} now"
        for each in roster.members
        if each.since == number
    )
    return said
