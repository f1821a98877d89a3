"""People with stores who all know each other, groups among them, and a carrier that may do harm."""

import asyncio
import random
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.chat.store.people import NOW, begin, know, open_person

from bellwire.chat.card import Card
from bellwire.chat.content import OF_GROUPS, Content, ContentKind
from bellwire.chat.errors import MessageRefused
from bellwire.chat.messenger.groups import Groups, Links
from bellwire.chat.messenger.views import Event
from bellwire.chat.roster import draw_id
from bellwire.chat.store import fanning
from bellwire.chat.store.groups import Group
from bellwire.chat.store.receiving import Received


class Crowd:
    """Names to people; every two have a session and a way to each other; `close` them."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.now = NOW
        self.people = {name: open_person(folder / name) for name in names}
        self.ids = {name: each.fingerprint for name, each in self.people.items()}
        self.names = {each: name for name, each in self.ids.items()}
        self.events: dict[str, list[Event]] = {name: [] for name in names}
        self.under_way: list[tuple[str, str, bytes]] = []
        self.refused: list[tuple[str, str]] = []
        for person in self.people.values():
            with person.working() as work:
                work.contacts.keep("Notes", person.identity.public)
        for one in names:
            for other in names:
                if one < other:
                    self._meet(one, other)
        self.settle()

    def _meet(self, one: str, other: str) -> None:
        for here, there in ((one, other), (other, one)):
            person, peer = self.people[here], self.people[there]
            know(person, there.title(), peer.identity.public)
            with person.working() as work:
                card = Card(bytes(32), "ws://r:1", "", there.title())
                work.routes.learn(self.ids[there], card, NOW)
        with self.people[other].prekeys() as ring:
            bundle = ring.invitation(NOW)
        begin(self.people[one], bundle)
        self.people[one].send(
            self.ids[other], Content(ContentKind.TYPING, bytes(15) + b"t", int(NOW * 1000))
        )

    def groups(self, name: str) -> Groups:
        """What the messenger of somebody does with groups."""

        async def nobody_listens() -> None:
            """There is no relay."""

        return Groups(
            self.people[name],
            Links(
                card=lambda right: Card(right, "ws://r:1", "", name.title()),
                reroute=nobody_listens,
                go=lambda _: None,
                wake=lambda: None,
                tell=self.events[name].append,
                now=lambda: self.now,
            ),
        )

    def new(self, admin: str, *others: str) -> bytes:
        members = [self.ids[each] for each in others]
        return asyncio.run(self.groups(admin).new("lab", members))

    def known(self, name: str, group: bytes) -> Group | None:
        with self.people[name].working() as work:
            return work.groups.get(group)

    def say(self, name: str, group: bytes, text: str, **more: object) -> bytes:
        """Say words in a group; their id. Each copy is sealed at once."""
        return self.put(name, group, ContentKind.TEXT, text.encode(), **more)

    def put(
        self, name: str, group: bytes, kind: ContentKind, text: bytes = b"", **more: object
    ) -> bytes:
        person, me = self.people[name], self.ids[name]
        with person.working() as work:
            kept = fanning.member_of(work, me, group)
            content_id = draw_id(group, me)
            content = Content(kind, content_id, int(self.now * 1000), text, **more)  # type: ignore[arg-type]
            content = replace(content, group=kept.group, view=kept.roster.view)
            members = fanning.say(work, me, content)
        for each in members:
            person.seal(each, content)
        return content_id

    def collect(self) -> None:
        """What is in outboxes is under way."""
        for name, person in self.people.items():
            for each in person.outbox():
                self.under_way.append((name, self.names[each.contact], each.payload))
                person.handed_over(each.number)

    def deliver(self, place: int, *, keep: bool = False) -> Received | None:
        """Hand one over that is under way; it may stay there and come again."""
        sender, receiver, payload = self.under_way[place]
        if not keep:
            del self.under_way[place]
        try:
            told = self.people[receiver].receive(payload, self.now, self.ids[sender])
        except MessageRefused as error:
            self.refused.append((receiver, type(error).__name__))
            return None
        if told.content is not None and told.content.kind in OF_GROUPS and told.is_new:
            asyncio.run(self.groups(receiver).came(told))
        return told

    def settle(self, drawn: random.Random | None = None) -> list[Received]:
        """Carry until nothing is under way, in order or in any."""
        came: list[Received] = []
        while True:
            self.collect()
            if not self.under_way:
                return came
            place = 0 if drawn is None else drawn.randrange(len(self.under_way))
            told = self.deliver(place)
            came += [] if told is None else [told, *told.released]

    def texts(self, name: str, group: bytes) -> list[str]:
        return [each.text for each in self.people[name].entries(group)]

    def close(self) -> None:
        with ExitStack() as stack:
            for each in self.people.values():
                stack.callback(each.close)
