"""One transaction of a person's: what it reads and writes, and how a content counts in it.

`now` is in seconds since the epoch.
"""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bellwire.chat.card import read_card
from bellwire.chat.content import ID_BYTES, Content, ContentKind, cut_along, split
from bellwire.chat.errors import ContactUnknown
from bellwire.chat.pads import OVERHEAD_BYTES, Policy
from bellwire.chat.session import Protection, seal_message, together
from bellwire.chat.store.carrying import carry, keep_file
from bellwire.chat.store.closing import Closing
from bellwire.chat.store.contacts import Contact, Contacts
from bellwire.chat.store.database import Database
from bellwire.chat.store.files import Files
from bellwire.chat.store.groups import Groups
from bellwire.chat.store.held import Held
from bellwire.chat.store.history import History
from bellwire.chat.store.messages import FILES, State
from bellwire.chat.store.offers import Offers
from bellwire.chat.store.pads import NewPad, PadFiles, PadShelf
from bellwire.chat.store.records import Records
from bellwire.chat.store.routes import Routes
from bellwire.chat.store.sessions import Sessions
from bellwire.chat.store.standing import Standing
from bellwire.chat.store.strangers import Strangers
from bellwire.chat.store.waiting import Waiting

TOKEN_BYTES: Final = 16
TTL_S: Final = 14 * 86_400
"""How long a relay keeps what nobody fetches."""

TYPING_TTL_S: Final = 10
"""What is only true now is not kept for later."""

SAID: Final = frozenset({ContentKind.TEXT, ContentKind.REPLY}) | FILES
"""What is a message of its own."""

NO_PROTECTION: Final = Protection(None, 0, None)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A payload to carry. `token` is the same however often it is sent."""

    number: int
    contact: bytes
    token: bytes
    payload: bytes
    ttl_s: int = TTL_S


class Work:
    """What a transaction works with; `overwrite` comes once it is durable."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database, files: PadFiles) -> None:
        self.cursor = cursor
        self.database = database
        self.contacts = Contacts(cursor, database)
        self.sessions = Sessions(cursor, database)
        self.history = History(cursor, database)
        self.files = Files(cursor, database)
        self.waiting = Waiting(cursor, database)
        self.records = Records(cursor, database)
        self.routes = Routes(cursor, database)
        self.offers = Offers(cursor, database)
        self.held = Held(cursor)
        self.standing = Standing(cursor, database)
        self.closing = Closing(cursor)
        self.strangers = Strangers(cursor)
        self.groups = Groups(cursor, database)
        self._shelves: dict[bytes, PadShelf] = {}
        self._files = files

    def shelf(self, contact: bytes) -> PadShelf:
        """The pads of a conversation."""
        return self._shelves.setdefault(contact, PadShelf(self.cursor, self._files, contact))

    def overwrite(self) -> None:
        """Overwrite what was taken of pads."""
        for shelf in self._shelves.values():
            shelf.overwrite()

    def seal(
        self,
        known: Contact,
        content: Content,
        policy: Policy | None = None,
        fresh: Sequence[NewPad] = (),
    ) -> tuple[list[Outgoing], Protection]:
        """Put a content into the outbox, in as many parts as it needs.

        Args:
            known: To whom.
            content: Of any permitted length.
            policy: In the place of the conversation's.
            fresh: Pads for this content alone, and then no others serve it.

        Raises:
            ContactUnknown: there is no session with them yet.
            ChatMisuse: they wait to be accepted, and until then nothing is sent to them.
        """
        self.strangers.check_known(known.contact)
        sessions = self.sessions.of(known.contact)
        if not sessions:
            raise ContactUnknown(f"expected a session with {known.name}, got none yet")
        number, session = sessions[0]
        shelf = self.shelf(known.contact)
        for each in fresh:
            shelf.lend(each, ours=True)
            self.keep_record(known.contact, each)
        protections, outgoing = [], []
        ttl_s = TYPING_TTL_S if content.kind is ContentKind.TYPING else TTL_S
        for part in split(content, self._sizes(known, content, policy, fresh)):
            sealed = seal_message(session, part, shelf, policy or known.policy)
            session = sealed.session
            token = os.urandom(TOKEN_BYTES)
            self.cursor.execute(
                "INSERT INTO outbox (contact, content_id, token, ttl_s, payload)"
                " VALUES (?, ?, ?, ?, ?)",
                (known.contact, content.content_id, token, ttl_s, sealed.payload),
            )
            place = self.cursor.lastrowid
            assert place is not None  # SQLite numbers each row
            outgoing.append(Outgoing(place, known.contact, token, sealed.payload, ttl_s))
            protections.append(sealed.protection)
        self.sessions.update(number, session)
        return outgoing, together(protections)

    def keep_record(self, contact: bytes, pad: NewPad) -> None:
        """Keep what the session of a pad measured."""
        if pad.record is not None:
            self.records.keep(contact, pad.pad_id, pad.record)

    def _sizes(
        self, known: Contact, content: Content, policy: Policy | None, fresh: Sequence[NewPad]
    ) -> list[int] | None:
        """How to cut a content so that what is left of several pads serves it; None: as always."""
        if fresh or (policy or known.policy) is Policy.OFF or not content.kind.is_padded:
            return None
        return cut_along(content, self.shelf(known.contact).rooms(), OVERHEAD_BYTES)

    def apply(  # noqa: PLR0911, PLR0912 - a line for each
        self,
        known: Contact,
        content: Content,
        protection: Protection,
        now: float,
        *,
        ours: bool,
        state: State = State.QUEUED,
        copy: bool = False,
    ) -> bool:
        """Let a content count; whether that changed anything.

        A `copy` is that of one member of what we say in a group.
        """
        contact, target, group = known.contact, content.target, content.group
        timer_s = known.timer_s if content.timer_s is None and group is None else content.timer_s
        match content.kind:
            case kind if kind in SAID:
                if kind in FILES:
                    name = keep_file(self, known, content, now, ours=ours)
                    content = replace(content, text=name.encode())
                return self.history.add(
                    contact,
                    content,
                    protection,
                    ours=ours,
                    timer_s=timer_s or 0,
                    state=state,
                    copy=copy,
                )
            case ContentKind.CHUNK | ContentKind.ASK | ContentKind.STOP if not ours:
                return carry(self, known, content, now)
            case ContentKind.EDIT if target is not None:
                text = content.text.decode()
                return self.history.edit(contact, target, text, ours=ours, group=group)
            case ContentKind.DELETE if target is not None:
                if ours:
                    self.waiting.done(contact, target)
                deleted = self.history.delete(contact, target, ours=ours, group=group)
                self.files.forget_deleted()
                return deleted
            case ContentKind.TIMER if content.timer_s is not None:
                if group is None:
                    self.contacts.set_timer(contact, content.timer_s)
                else:
                    self.groups.set_timer(group, content.timer_s)
                return True
            case ContentKind.DELIVERED | ContentKind.READ | ContentKind.REFUSED if not ours:
                reached = State[content.kind.name]
                ids = ids_of(content.text)
                changed = [self._reached(contact, each, reached) for each in ids]
                return any(changed)
            case ContentKind.PAD_LOST if not ours:
                return self._lost(contact, content.text[:ID_BYTES], content.text[ID_BYTES:])
            case ContentKind.CARD if not ours:
                self.routes.learn(contact, read_card(content.text), now)
                return True
            case ContentKind.PAD_OFFER if not ours:
                return self.offers.take(contact, content.text)
        return content.kind in {ContentKind.TYPING, ContentKind.ABORTED}

    def has_unsent(self, contact: bytes) -> bool:
        """Whether something sealed for somebody is not with the relay yet."""
        found = self.cursor.execute("SELECT 1 FROM outbox WHERE contact = ? LIMIT 1", (contact,))
        return found.fetchone() is not None

    def drop_unsent(self, contact: bytes) -> None:
        """Send nothing of what was said to somebody and has not left."""
        for table in ("outbox", "waiting"):
            self.cursor.execute(f"DELETE FROM {table} WHERE contact = ?", (contact,))  # noqa: S608 - of the names above

    def _reached(self, contact: bytes, content_id: bytes, state: State) -> bool:
        """The other side says how far a message of ours came, and so whether it has its pad."""
        if state is not State.REFUSED:
            self.waiting.done(contact, content_id)
        entry = self.history.entry(contact, content_id, ours=True)
        if entry is None:
            return False
        shelf = self.shelf(contact)
        for pad_id in entry.protection.pad_ids:
            if state is State.REFUSED:
                shelf.refuse(pad_id)
            else:
                shelf.confirm(pad_id)
        return self.history.mark(contact, content_id, state, ours=True)

    def _lost(self, contact: bytes, content_id: bytes, pad_id: bytes) -> bool:
        """The other side will never have a pad of ours: what went under it waits for another."""
        self.shelf(contact).refuse(pad_id)
        entry = self.history.entry(contact, content_id, ours=True)
        words = None if entry is None else entry.text
        if not self.waiting.lost(contact, content_id, pad_id, words):
            return self.history.mark(contact, content_id, State.REFUSED, ours=True)
        if self.waiting.get(contact, content_id) is not None:
            self.history.wait(contact, content_id)
        return True


def ids_of(text: bytes) -> list[bytes]:
    """The ids that a receipt has."""
    return [text[at : at + ID_BYTES] for at in range(0, len(text), ID_BYTES)]


def receipt(kind: ContentKind, ids: list[bytes], now: float) -> Content:
    """A content that has nothing but ids of messages."""
    return Content(kind, os.urandom(ID_BYTES), int(now * 1000), b"".join(ids))
