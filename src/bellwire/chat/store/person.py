"""One person's side of all conversations, durable at each step.

Every call is one transaction: what a message changed (the ratchet's state, pad taken, history, the
payload to send) is durable together, or not at all; bytes of pad that served are overwritten right
after. Payloads wait in the outbox until whoever carries them says that they are safe there, and are
sent again after a crash as they were, byte for byte: nothing is ever sealed twice.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from bellwire.base.secret import Secret
from bellwire.chat.content import ID_BYTES, Content, ContentKind, split
from bellwire.chat.errors import ChatMisuse, ContactUnknown, OpeningRefused
from bellwire.chat.identity import SEED_BYTES, Identity, IdentityPublic
from bellwire.chat.opening import accept, begin, opening_id
from bellwire.chat.pads import Policy
from bellwire.chat.prekeys import Bundle
from bellwire.chat.session import (
    Opened,
    Protection,
    Session,
    open_message,
    seal_message,
    session_of,
)
from bellwire.chat.store.contacts import Contact, Contacts
from bellwire.chat.store.database import Database
from bellwire.chat.store.history import Entry, History, State
from bellwire.chat.store.pads import PadFiles, PadShelf, erase_served
from bellwire.chat.store.parts import gather
from bellwire.chat.store.prekeys import PrekeyRing
from bellwire.chat.store.sessions import Sessions
from bellwire.crypto.kek.source import KekSource

TOKEN_BYTES: Final = 16
_READ_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A payload to carry. `token` is the same however often it is sent."""

    number: int
    contact: bytes
    token: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """What a payload turned out to be.

    Attributes:
        contact: From whom.
        content: The whole content; None while parts of it are missing, or if it was refused.
        protection: What it was protected by.
        is_new: Whether it changed what is shown.
        refused: Whether our policy refused it for want of pad; it is then not shown.
    """

    contact: bytes
    content: Content | None
    protection: Protection
    is_new: bool
    refused: bool


class _Work:
    """One transaction: what it reads and writes, and the shelves whose pads it takes from."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database, files: PadFiles) -> None:
        self.cursor = cursor
        self.contacts = Contacts(cursor, database)
        self.sessions = Sessions(cursor, database)
        self.history = History(cursor, database)
        self.shelves: dict[bytes, PadShelf] = {}
        self._files = files

    def shelf(self, contact: bytes) -> PadShelf:
        return self.shelves.setdefault(contact, PadShelf(self.cursor, self._files, contact))


class Person:
    """Open a person's store; use as a context manager, or `close` it.

    Args:
        folder: The person's own; made if missing.
        protection: Where the key-encryption key comes from: a passphrase, a file, a keyring.

    Raises:
        StoreUnusable, StoreCorrupt, KekRefused, PathUnusable, PathExposed: as `Database`.
    """

    def __init__(self, folder: Path, protection: KekSource) -> None:
        self._database = Database(folder, protection)
        try:
            self._files = PadFiles(self._database)
            with self._database.transaction() as cursor:
                self.identity = self._own_identity(cursor)
                erase_served(cursor, self._files)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> "Person":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the store up; again is harmless."""
        self._database.close()

    def _own_identity(self, cursor: sqlite3.Cursor) -> Identity:
        row = cursor.execute("SELECT sealed FROM about WHERE name = 'identity'").fetchone()
        if row is not None:
            return Identity(self._database.open("about", b"identity", row[0]))
        seed = os.urandom(SEED_BYTES)
        sealed = self._database.seal("about", b"identity", seed)
        cursor.execute("INSERT INTO about VALUES ('identity', ?)", (sealed,))
        return Identity(Secret(seed))

    @contextmanager
    def _working(self) -> Iterator[_Work]:
        """A transaction; once it is durable, what it took of pads is overwritten."""
        with self._database.transaction() as cursor:
            work = _Work(cursor, self._database, self._files)
            yield work
        for shelf in work.shelves.values():
            shelf.overwrite()

    # What is kept.

    @contextmanager
    def prekeys(self) -> Iterator[PrekeyRing]:
        """Our prekeys, within one transaction."""
        with self._database.transaction() as cursor:
            yield PrekeyRing(cursor, self._database, self.identity)

    @contextmanager
    def contacts(self) -> Iterator[Contacts]:
        """Whom we know, within one transaction."""
        with self._database.transaction() as cursor:
            yield Contacts(cursor, self._database)

    @contextmanager
    def history(self) -> Iterator[History]:
        """What was said, within one transaction."""
        with self._database.transaction() as cursor:
            yield History(cursor, self._database)

    def entries(self, contact: bytes | None = None, *, after: int = 0) -> list[Entry]:
        """The messages with somebody, or all, in the order in which they came."""
        with self.history() as history:
            return history.entries(contact, after=after)

    def add_contact(self, name: str, identity: IdentityPublic) -> Contact:
        """Know somebody, or rename who is known.

        Raises:
            ChatMisuse: it is ourselves, or the name is empty or too long.
        """
        if identity == self.identity.public:
            raise ChatMisuse("expected somebody else's identity, got our own")
        with self.contacts() as contacts:
            return contacts.keep(name, identity)

    def add_pad(
        self, contact: bytes, pad_id: bytes, pad: Secret, source: str, *, ours: bool
    ) -> None:
        """Keep a pad for a conversation; `ours`: we send under it, else they do.

        Raises:
            ChatMisuse: it was here before, or is no pad.
            ContactUnknown: nobody of that fingerprint.
        """
        with self._working() as work:
            work.contacts.get(contact)
            work.shelf(contact).add(pad_id, pad, source, ours=ours)

    def pad_left(self, contact: bytes) -> tuple[int, int]:
        """Bytes of pad left under which we send, and how many pads they are in."""
        with self._working() as work:
            return work.shelf(contact).left()

    # Sending.

    def has_session(self, contact: bytes) -> bool:
        """Whether something can be said to somebody without their bundle."""
        with self._working() as work:
            return bool(work.sessions.of(contact))

    def begin(self, bundle: Bundle) -> None:
        """Begin a session with somebody we know, who may be away; ContactUnknown."""
        session = begin(self.identity, bundle)
        with self._working() as work:
            work.contacts.get(session.peer)
            work.sessions.add(session)

    def send(self, contact: bytes, content: Content) -> list[Outgoing]:
        """Seal a content of any permitted length, and keep it in history and outbox.

        Raises:
            ContactUnknown: nobody of that fingerprint, or no session with them yet.
            PadExhausted: the policy is `require`, and there is too little pad; nothing was kept.
        """
        with self._working() as work:
            known = work.contacts.get(contact)
            outgoing, protection = _seal(work, known, content)
            _apply(work, known, content, protection, ours=True)
        return outgoing

    def outbox(self) -> list[Outgoing]:
        """What has not been handed over yet, in order."""
        with self._database.transaction() as cursor:
            rows = cursor.execute(
                "SELECT number, contact, token, payload FROM outbox ORDER BY number"
            ).fetchall()
        return [Outgoing(*row) for row in rows]

    def handed_over(self, number: int) -> None:
        """A payload is safe with who carries it; again is harmless."""
        with self._working() as work:
            row = work.cursor.execute(
                "DELETE FROM outbox WHERE number = ? RETURNING contact, content_id", (number,)
            ).fetchone()
            if row is None:
                return
            left = work.cursor.execute(
                "SELECT 1 FROM outbox WHERE contact = ? AND content_id = ?", row
            ).fetchone()
            if left is None:
                work.history.mark(row[0], row[1], State.SENT, ours=True)

    # Receiving.

    def receive(self, payload: bytes, now: float, contact: bytes | None = None) -> Received:
        """Open a payload, keep what it says, and answer that it came.

        Args:
            payload: As it was carried.
            now: Seconds since the epoch.
            contact: From whom it must be; None: from anybody, known or not.

        Raises:
            MessageRefused, OpeningRefused: it is not shown, and nothing was changed.
        """
        with self._working() as work:
            kept = self._kept_session(work, payload, contact)
            if kept is None:
                session = self._welcome(work, payload, now, contact)
                number = work.sessions.add(session)
            else:
                number, session = kept
            shelf = work.shelf(session.peer)
            opened = open_message(session, payload, shelf)
            shelf.take(opened.spent)
            work.sessions.update(number, opened.session)
            work.sessions.heard(number)
            return self._take(work, work.contacts.get(session.peer), opened, now)

    def mark_read(self, contact: bytes, now: float) -> list[Outgoing]:
        """Count what somebody said as read, and tell them."""
        with self._working() as work:
            known = work.contacts.get(contact)
            ids = work.history.read(contact, now)
            told: list[Outgoing] = []
            for at in range(0, len(ids), _READ_AT_ONCE):
                receipt = _receipt(ContentKind.READ, ids[at : at + _READ_AT_ONCE], now)
                told += _seal(work, known, receipt)[0]
        return told

    def disappear(self, now: float) -> int:
        """Forget the words of messages whose time has run out; how many."""
        with self._working() as work:
            return work.history.disappear(now)

    def _kept_session(
        self, work: _Work, payload: bytes, contact: bytes | None
    ) -> tuple[int, Session] | None:
        """Row and state of the session that a payload is of; None if it begins one."""
        known = opening_id(payload)
        if known is None:
            kept = work.sessions.of(contact)
            found = session_of(payload, [session for _, session in kept])
            return next((number, session) for number, session in kept if session is found)
        begun = work.sessions.begun_by(known)
        seen = "SELECT 1 FROM openings WHERE opening_id = ?"
        if begun is None and work.cursor.execute(seen, (known,)).fetchone():
            raise OpeningRefused("expected an opening that was not here before, got one again")
        return begun

    def _welcome(self, work: _Work, payload: bytes, now: float, contact: bytes | None) -> Session:
        """The session that somebody begins with us."""
        ring = PrekeyRing(work.cursor, self._database, self.identity)
        accepted = accept(self.identity, payload, lambda each: ring.find(each, now))
        if contact not in {None, accepted.peer.fingerprint}:
            raise OpeningRefused("expected an opening of the contact whose mailbox it came to")
        if accepted.one_time is not None:
            ring.destroy(accepted.one_time)
        ring.remember_opening(accepted.session.opening_id, now)
        work.contacts.meet(accepted.peer)
        return accepted.session

    def _take(self, work: _Work, known: Contact, opened: Opened, now: float) -> Received:
        """Do what an authentic message says, and answer that it came."""
        content, protection = opened.content, opened.protection
        padded = content.kind.is_padded
        if padded and known.policy is Policy.REQUIRE and not protection.is_one_time:
            _seal(work, known, _receipt(ContentKind.REFUSED, [content.content_id], now))
            return Received(known.contact, None, protection, is_new=False, refused=True)
        whole = gather(work.cursor, self._database, known.contact, content)
        if whole is None:
            return Received(known.contact, None, protection, is_new=False, refused=False)
        is_new = _apply(work, known, whole, protection, ours=False)
        if padded:
            _seal(work, known, _receipt(ContentKind.DELIVERED, [whole.content_id], now))
        return Received(known.contact, whole, protection, is_new=is_new, refused=False)


def _seal(work: _Work, known: Contact, content: Content) -> tuple[list[Outgoing], Protection]:
    """Put a content into the outbox, in as many parts as it needs."""
    sessions = work.sessions.of(known.contact)
    if not sessions:
        raise ContactUnknown(f"expected a session with {known.name}, got none yet")
    number, session = sessions[0]
    protections, outgoing = [], []
    for part in split(content):
        sealed = seal_message(session, part, work.shelf(known.contact), known.policy)
        session = sealed.session
        token = os.urandom(TOKEN_BYTES)
        work.cursor.execute(
            "INSERT INTO outbox (contact, content_id, token, payload) VALUES (?, ?, ?, ?)",
            (known.contact, content.content_id, token, sealed.payload),
        )
        place = work.cursor.lastrowid
        assert place is not None  # SQLite numbers each row
        outgoing.append(Outgoing(place, known.contact, token, sealed.payload))
        protections.append(sealed.protection)
    work.sessions.update(number, session)
    return outgoing, _together(protections)


def _apply(
    work: _Work, known: Contact, content: Content, protection: Protection, *, ours: bool
) -> bool:
    """Let a content count in the history; whether that changed anything."""
    contact, target = known.contact, content.target
    match content.kind:
        case ContentKind.TEXT | ContentKind.REPLY:
            timer_s = known.timer_s if content.timer_s is None else content.timer_s
            return work.history.add(contact, content, protection, ours=ours, timer_s=timer_s)
        case ContentKind.EDIT if target is not None:
            return work.history.edit(contact, target, content.text.decode(), ours=ours)
        case ContentKind.DELETE if target is not None:
            return work.history.delete(contact, target, ours=ours)
        case ContentKind.TIMER if content.timer_s is not None:
            work.contacts.set_timer(contact, content.timer_s)
            return True
        case ContentKind.DELIVERED | ContentKind.READ | ContentKind.REFUSED if not ours:
            text, state = content.text, State[content.kind.name]
            ids = (text[at : at + ID_BYTES] for at in range(0, len(text), ID_BYTES))
            changed = [work.history.mark(contact, each, state, ours=True) for each in ids]
            return any(changed)
    return False


def _receipt(kind: ContentKind, ids: list[bytes], now: float) -> Content:
    return Content(kind, os.urandom(ID_BYTES), int(now * 1000), b"".join(ids))


def _together(protections: list[Protection]) -> Protection:
    """What a content in several parts was protected by: by pad only if all parts were."""
    padded = all(each.is_one_time for each in protections)
    return Protection(
        protections[0].pad_source if padded else None,
        sum(each.pad_bytes for each in protections),
        protections[0].mixed_source,
    )
