"""One person's messenger: everything that a screen or a line mode asks for, and what it is told.

It joins the person's store, the courier, and the key server of the person's own site. What is said
is durable when the call returns; it is sealed and sent by itself, in order, over restarts of
everything. The store is used on other threads, so that no call blocks the event loop.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bellwire.chat.accounts.somebody import Somebody
from bellwire.chat.card import ContactLink, make_link, read_link
from bellwire.chat.content import ID_BYTES, MAX_TEXT_BYTES, Content, ContentKind
from bellwire.chat.errors import AttachmentUnusable, ChatMisuse, MessageUnknown
from bellwire.chat.messenger.attaching import Progress, save, take_in
from bellwire.chat.messenger.introducing import meet
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.messenger.minding import Minding
from bellwire.chat.messenger.views import (
    AttachmentChanged,
    Conversation,
    ConversationChanged,
    Line,
    LineChanged,
    Mode,
    Safety,
)
from bellwire.chat.pads import Policy
from bellwire.chat.roster import draw_id
from bellwire.chat.safety import safety_code, safety_number
from bellwire.chat.store import fanning, renewing
from bellwire.chat.store.contacts import NOTES, Contact
from bellwire.chat.store.messages import FILES, State
from bellwire.chat.store.person import Person
from bellwire.chat.store.work import NO_PROTECTION, SAID
from bellwire.chat.transfer.giving import Given, give

TYPING_EVERY_S: Final = 3.0
"""We say that we type at most that often."""


class Messenger(Minding):
    """Use as an asynchronous context manager.

    Attributes:
        requests: Strangers who have written, to accept or decline.
        groups: To make, change and leave; their conversations are like all others.
        account: Our handle at our relay, if we have one, and whom we find there.

    Args:
        person: Open; the messenger's alone until it is closed. Closed by whoever opened it.
        setup: Who we are, and where we are reached.
        now: Seconds since the epoch.
    """

    def __init__(
        self, person: Person, setup: Setup, *, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(person, setup, now=now)
        self._typed: dict[bytes, float] = {}

    async def __aenter__(self) -> Self:
        await self._do(self._begin)
        await self.groups.begin()
        waiting, held = await self._do(self._waiting), await self._do(self._held)
        await self._tasks.__aenter__()
        spawn = self._tasks.spawn
        spawn(self._courier.run())
        spawn(self._tell_of())
        spawn(self.account.run())
        spawn(self._mind())
        if self._watching is not None:
            spawn(self._watching.run())
        for contact in waiting:
            self._sending.go(contact)
        for contact in held:
            self._fetching.want(contact)
            spawn(self._courier.retry(contact))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.account.close()
        await self._tasks.__aexit__(kind, error, trace)

    # Saying

    async def send(self, contact: bytes, text: str) -> Line:
        """Say something; it is durable on return. Returns the line as it is now.

        Raises:
            ContactUnknown: nobody of that fingerprint.
            GroupUnusable: we are not in that group, or nobody else is.
            ChatMisuse: it is empty or too long.
        """
        return await self._say(contact, self._content(ContentKind.TEXT, _words(text)))

    async def reply(self, contact: bytes, target: bytes, text: str) -> Line:
        """Say something about a message; as `send`."""
        content = self._content(ContentKind.TEXT, _words(text))
        return await self._say(contact, replace(content, kind=ContentKind.REPLY, target=target))

    async def attach(self, contact: bytes, path: Path, progress: Progress | None = None) -> Line:
        """Say a file of at most 100 MB; it is in the store on return, and may change afterwards.

        Args:
            contact: To whom.
            path: The file.
            progress: Is told, on another thread, how much of a large one is in the store.

        Raises:
            ContactUnknown: nobody of that fingerprint.
            GroupUnusable: we are not in that group, or nobody else is.
            AttachmentUnusable: it cannot be read, or is too large; nothing was said.
        """
        if contact == self._me:
            raise AttachmentUnusable("expected somebody else to attach a file for, got ourselves")
        keeper, file_id = contact, None
        if await self._is_group(contact):
            keeper, file_id = self._me, draw_id(contact, self._me)
        take = partial(take_in, self._person, keeper, path, self._now_ms(), file_id=file_id)
        content = await self._do(take, progress)
        return await self._say(contact, content)

    async def save(self, contact: bytes, message_id: bytes, place: Path) -> Path:
        """Write an attachment of theirs into a folder, or to a new file; it leaves the store.

        Where it is now; never in the place of a file that is there.

        Raises:
            AttachmentUnusable: it is not here (yet), or the place cannot be written.
        """
        author = contact
        with contextlib.suppress(MessageUnknown):  # then it is none of theirs, which `save` says
            author = (await self.line(contact, message_id, ours=False)).author or contact
        path = await self._do(save, self._person, author, message_id, place)
        self._tell(AttachmentChanged(await self.line(contact, message_id, ours=False)))
        return path

    async def edit(self, contact: bytes, target: bytes, text: str) -> None:
        """Put other words in place of what we said.

        Raises:
            MessageUnknown: we did not say it.
            ChatMisuse: it is an attachment, was brought from another device, or the new words are
                empty or too long.
        """
        line = await self.line(contact, target)
        if line.attachment is not None:
            raise ChatMisuse("expected words to change, got an attachment")
        if line.brought and contact != self._me:
            raise _elsewhere()
        content = Content(
            ContentKind.EDIT, os.urandom(ID_BYTES), self._now_ms(), _words(text), target=target
        )
        await self._also(contact, content)

    async def delete(self, contact: bytes, target: bytes) -> None:
        """Take back what we said, for all; what was not sent yet is not sent.

        What another device of ours said is forgotten here alone.
        """
        brought = (await self.line(contact, target)).brought
        kind = ContentKind.DELETE
        content = Content(kind, os.urandom(ID_BYTES), self._now_ms(), target=target)

        def take_back() -> bool:
            with self._person.working() as work:
                if brought:
                    work.history.delete(contact, target, ours=True)
                    work.files.forget_deleted()
                    return True
                if not work.waiting.remove(contact, target):
                    return False
                return work.history.delete(contact, target, ours=True)

        if len(contact) == ID_BYTES or not await self._do(take_back):
            await self._also(contact, content)
        else:
            self._sending.go(contact)
            await self._changed(contact, target)

    async def resend(self, contact: bytes, message_id: bytes) -> Line:
        """Try at once to send what was not sent, or what the other side refused.

        Raises:
            MessageUnknown: we did not say it.
        """

        def again() -> list[bytes]:
            with self._person.working() as work:
                entry = work.history.entry(contact, message_id, ours=True)
                copies = [entry] if entry else work.history.copies(contact, message_id)
                if not copies:
                    raise MessageUnknown("expected a message of ours, got another id")
                if entry is not None and entry.brought:
                    raise _elsewhere()
                for each in copies:
                    if each.state is State.REFUSED:
                        work.waiting.again(each.contact, message_id)
                    if work.waiting.get(each.contact, message_id) is not None:
                        work.history.wait(each.contact, message_id)
            return [each.contact for each in copies]

        for each in await self._do(again):
            self._sending.go(each)
        return await self.line(contact, message_id)

    async def mark_read(self, contact: bytes) -> None:
        """Count what somebody said as read, and tell them of what we heard ourselves."""

        def mark() -> tuple[bool, bool]:
            with self._person.history() as history:
                before = history.unread(contact)
            told = bool(self._person.mark_read(contact, self._now()))
            with self._person.history() as history:
                return history.unread(contact) < before, told

        changed, told = await self._do(mark)
        if told:
            self._courier.wake()
        if changed:
            self._tell(ConversationChanged(contact))

    async def typing(self, contact: bytes) -> None:
        """Say that we type: at most each `TYPING_EVERY_S`, and only while there is a line.

        In a group, to each member by itself.
        """
        before = self._typed.get(contact, 0.0)
        if contact == self._me or not self._status.sending:
            return
        if time.monotonic() - before < TYPING_EVERY_S:
            return
        self._typed[contact] = time.monotonic()

        def say() -> bool:
            if len(contact) == ID_BYTES:
                with self._person.working() as work:
                    return fanning.say_typing(work, self._me, contact, self._now())
            if not self._person.has_session(contact):
                return False
            content = Content(ContentKind.TYPING, os.urandom(ID_BYTES), self._now_ms())
            self._person.send(contact, content)
            return True

        if await self._do(say):
            self._courier.wake()

    async def export_history(self, path: Path) -> Given:
        """Write what was said, for another device of ours, into a new file; as `transfer.give`."""
        return await self._do(give, self._person, path, self._now())

    # Choosing

    async def set_policy(self, contact: bytes, policy: Policy) -> None:
        """Choose what is done without pad, for what we say and what we take."""

        def choose() -> None:
            with self._person.working() as work:
                work.contacts.set_policy(contact, policy)

        await self._do(choose)
        self._sending.go(contact)
        self._tell(ConversationChanged(contact))

    async def set_mode(self, contact: bytes, mode: Mode) -> None:
        """Choose where our pads come from."""

        def choose() -> None:
            with self._person.working() as work:
                work.contacts.set_mode(contact, mode.value)

        await self._do(choose)
        self._sending.go(contact)
        self._tell(ConversationChanged(contact))

    async def set_timer(self, contact: bytes, timer_s: int) -> None:
        """Have new messages of both disappear so long after they were read; 0: they stay."""
        content = Content(ContentKind.TIMER, os.urandom(ID_BYTES), self._now_ms(), timer_s=timer_s)
        await self._also(contact, content)

    async def rename(self, contact: bytes, name: str) -> None:
        """Call somebody otherwise, or a group, for all.

        Raises:
            ContactUnknown: nobody of that fingerprint.
            ChatMisuse: the name cannot be used, or another contact has it.
        """
        if await self._is_group(contact):
            await self.groups.rename(contact, name)
            return

        def choose() -> None:
            with self._person.working() as work:
                known = work.contacts.get(contact)
                others = (each for each in work.contacts.all() if each.contact != contact)
                if name.strip().casefold() in {each.name.casefold() for each in others}:
                    raise ChatMisuse("expected a name that no other contact has, got one's")
                work.contacts.keep(name, known.identity)

        await self._do(choose)
        self._tell(ConversationChanged(contact))

    # Whom we know

    async def invite(self) -> str:
        """A contact link for one person, which holds for 30 days."""

        def make() -> str:
            now = self._now()
            with self._person.prekeys() as ring:
                bundle = ring.invitation(now)
            with self._person.working() as work:
                box = work.routes.invite(now)
            return make_link(bundle, self._card(box.right))

        link = await self._do(make)
        await self._courier.reroute()
        return link

    async def search_people(self, prefix: str) -> list[str]:
        """Handles at our relay that begin so, of those who want to be found; at most ten.

        The relay does not learn who searches.

        Raises:
            HandleMalformed: no handle begins so, or it has less than two characters.
            RelayUnreachable, RelayChanged, AccountRefused: it cannot be asked.
        """
        return await self.account.search(prefix)

    async def add(self, link: str, name: str | None = None) -> Conversation:
        """Know whoever made a contact link, and tell them how we are reached.

        Args:
            link: As they gave it; or `@` and their handle at our relay.
            name: What we call them; None: as they call themselves, or by the handle.

        Raises:
            LinkRefused: it is none, was cut, has expired, or was used before, and there is no
                session with them any more.
            ChatMisuse: it is our own, or of somebody who is blocked, or the name cannot be used.
            IdentityChanged: the handle was somebody else's before.
            RelayUnreachable, RelayChanged, AccountRefused, HandleMalformed: nobody is found.
        """
        found: ContactLink | Somebody
        if link.startswith("@"):
            found = await self.account.look_up(link)
            called = name or found.handle
        else:
            found = read_link(link, self._now())
            called = name or found.card.name
        known = await self._do(self._meet, found, called)
        self._unheard.discard(known.contact)
        await self._courier.reroute()
        self._tell(ConversationChanged(known.contact))
        await self.groups.met(known.contact)
        return await self.conversation(known.contact)

    async def safety(self, contact: bytes) -> Safety:
        """What we and somebody compare; ContactUnknown."""

        def check() -> None:
            with self._person.working() as work:
                work.contacts.get(contact)

        await self._do(check)
        return Safety(safety_number(self._me, contact), safety_code(self._me, contact))

    async def set_verified(self, contact: bytes, *, verified: bool) -> None:
        """Say whether safety numbers were compared; ContactUnknown."""

        def choose() -> None:
            with self._person.working() as work:
                work.contacts.set_verified(contact, verified=verified)

        await self._do(choose)
        self._tell(ConversationChanged(contact))

    async def renew_session(self, contact: bytes) -> None:
        """Have somebody begin a new session with us: what they say cannot be opened here any more.

        It begins once they are there. Then what either has not confirmed is said again, and counts
        once; safety numbers stay as they are.

        Raises:
            ContactUnknown: nobody of that fingerprint, or there is no session with them.
            ChatMisuse: they wait to be accepted.
        """

        def ask() -> None:
            with self._person.working() as work:
                renewing.ask(work, self._person.identity, contact, self._now())

        await self._do(ask)
        self._courier.wake()
        self._tell(ConversationChanged(contact))

    # Inside

    def _meet(self, found: ContactLink | Somebody, called: str) -> Contact:
        """Whom we know now; session, card and what is to be said again are durable together."""
        peer, now = found.bundle.identity.fingerprint, self._now()
        if peer == self._me:
            raise ChatMisuse("expected somebody else to add, got ourselves")
        with self._person.working() as work:
            if work.strangers.is_blocked(peer):
                raise ChatMisuse(
                    "expected somebody who is heard, got one who is blocked: unblock first"
                )
            known, begun = meet(work, self._person.identity, self._card, found, called, now=now)
            if begun:
                fanning.ask_after(work, self._me, known, now)
        return known

    def _begin(self) -> None:
        """What is needed before the first message, and for the first card."""
        self._courier.following.known(self._setup.relay)
        with self._person.working() as work:
            if self._me not in {each.contact for each in work.contacts.all()}:
                work.contacts.keep(NOTES, self._person.identity.public)

    def _waiting(self) -> list[bytes]:
        with self._person.working() as work:
            return work.waiting.contacts()

    def _held(self) -> list[bytes]:
        with self._person.working() as work:
            return sorted({*work.held.contacts(), *work.offers.contacts()})

    async def _is_group(self, conversation: bytes) -> bool:
        """Whether a conversation is that of a group; GroupUnusable if it is, and we are not in."""

        def look() -> bool:
            with self._person.working() as work:
                if work.groups.get(conversation) is None:
                    return False
                fanning.others_in(work, self._me, conversation)
                return True

        return await self._do(look)

    async def _out(self, contact: bytes, content: Content) -> Content:
        """Have a content go to whom it is for; as it goes."""
        if contact == self._me:
            await self._do(self._note, content)
        elif len(contact) == ID_BYTES:
            content, members = await self._do(self._fan_out, contact, content)
            for each in members:
                self._sending.go(each)
        else:
            await self._do(self._person.say, contact, content)
            self._sending.go(contact)
        return content

    def _fan_out(self, group: bytes, content: Content) -> tuple[Content, list[bytes]]:
        with self._person.working() as work:
            kept = fanning.member_of(work, self._me, group)
            content = replace(content, group=group, view=kept.roster.view)
            if content.kind not in FILES:
                content = replace(content, content_id=draw_id(group, self._me))
            if content.kind in SAID:
                content = replace(content, timer_s=kept.timer_s or None)
            return content, fanning.say(work, self._me, content)

    async def _say(self, contact: bytes, content: Content) -> Line:
        content = await self._out(contact, content)
        said = await self.line(contact, content.content_id)
        self._tell(LineChanged(said, is_new=True))
        return said

    def _note(self, content: Content) -> None:
        with self._person.working() as work:
            known = work.contacts.get(self._me)
            now = content.sent_ms / 1000
            work.apply(known, content, NO_PROTECTION, now, ours=True, state=State.READ)

    async def _also(self, contact: bytes, content: Content) -> None:
        """Say something about what was said."""
        await self._out(contact, content)
        if content.target is not None:
            await self._changed(contact, content.target)
        self._tell(ConversationChanged(contact))


def _elsewhere() -> ChatMisuse:
    return ChatMisuse(
        "expected a message that this device said, got one that another device of ours did",
        hint="Only the device that said it can change it for both.",
    )


def _words(text: str) -> bytes:
    data = text.encode("utf-8", errors="replace")
    if not 1 <= len(data) <= MAX_TEXT_BYTES:
        raise ChatMisuse(
            f"expected a message of 1 to {MAX_TEXT_BYTES} bytes, got {len(data)}",
            hint="Longer ones go as an attachment." if data else None,
        )
    return data
