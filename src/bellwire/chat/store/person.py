"""One person's side of all conversations, durable at each step.

Every call is one transaction: what a message changed (the ratchet's state, pad taken, history, the
payload to send) is durable together, or not at all; bytes of pad that served are overwritten right
after. Payloads wait in the outbox until whoever carries them says that they are safe there, and are
sent again after a crash as they were, byte for byte: nothing is ever sealed twice.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bellwire.base.closing import Closing
from bellwire.base.secret import Secret
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import MessageRefused, OpeningRefused
from bellwire.chat.identity import SEED_BYTES, Identity
from bellwire.chat.pads import Policy
from bellwire.chat.store.carrying import ask
from bellwire.chat.store.contacts import Contacts
from bellwire.chat.store.database import Database
from bellwire.chat.store.files import Files, FileState
from bellwire.chat.store.history import History
from bellwire.chat.store.messages import Entry, State
from bellwire.chat.store.pads import NewPad, PadFiles, erase_served
from bellwire.chat.store.prekeys import PrekeyRing
from bellwire.chat.store.receiving import Received, kept_session, take_in
from bellwire.chat.store.relays import Relays
from bellwire.chat.store.work import NO_PROTECTION, Outgoing, Work, receipt
from bellwire.crypto.kek.source import KekSource

_READ_AT_ONCE: Final = 256


class Person(Closing):
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
                self.identity = Identity(self._drawn(cursor, "identity", SEED_BYTES))
                erase_served(cursor, self._files)
                Files(cursor, self._database).forget_unsaid()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Give the store up; again is harmless."""
        self._database.close()

    def _drawn(self, cursor: sqlite3.Cursor, name: str, length: int) -> Secret:
        row = cursor.execute("SELECT sealed FROM about WHERE name = ?", (name,)).fetchone()
        if row is not None:
            return self._database.open("about", name.encode(), row[0])
        drawn = os.urandom(length)
        sealed = self._database.seal("about", name.encode(), drawn)
        cursor.execute("INSERT INTO about VALUES (?, ?)", (name, sealed))
        return Secret(drawn)

    def kept(self, name: str) -> bytes | None:
        """A value of ours by its name, sealed at rest; None if there is none."""
        with self._database.transaction() as cursor:
            row = cursor.execute("SELECT sealed FROM about WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            return self._database.open("about", name.encode(), row[0]).reveal()

    def keep(self, name: str, value: bytes | None) -> None:
        """Keep a value under a name, in the place of another; None: keep none."""
        with self._database.transaction() as cursor:
            if value is None:
                cursor.execute("DELETE FROM about WHERE name = ?", (name,))
                return
            sealed = self._database.seal("about", name.encode(), value)
            cursor.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, sealed))

    def kept_secret(self, name: str, length: int) -> bytes:
        """Random bytes that are drawn once and then stay; secret."""
        with self._database.transaction() as cursor:
            return self._drawn(cursor, name, length).reveal()

    @property
    def fingerprint(self) -> bytes:
        """Of our own identity, 32 bytes."""
        return self.identity.public.fingerprint

    @contextmanager
    def working(self) -> Iterator[Work]:
        """A transaction; once it is durable, what it took of pads is overwritten.

        Raises:
            StoreUnusable: it cannot be used, and nothing was changed.
        """
        with self._database.transaction() as cursor:
            work = Work(cursor, self._database, self._files)
            yield work
        work.overwrite()

    # What is kept.

    @contextmanager
    def prekeys(self) -> Iterator[PrekeyRing]:
        """Our prekeys, within one transaction."""
        with self._database.transaction() as cursor:
            yield PrekeyRing(cursor, self._database, self.identity)

    @contextmanager
    def relays(self) -> Iterator[Relays]:
        """What we know of relays, within one transaction."""
        with self._database.transaction() as cursor:
            yield Relays(cursor, self._database)

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

    def keep_made(self, contact: bytes, made: NewPad) -> None:
        """Keep a pad that a session gave for one message of theirs, with the session's record.

        Raises:
            ChatMisuse: it was here before, or is no pad.
            ContactUnknown: nobody of that fingerprint.
        """
        with self.working() as work:
            work.contacts.get(contact)
            work.keep_record(contact, made)
            shelf = work.shelf(contact)
            shelf.lend(made, ours=False)
            shelf.keep_lent()

    def offer_pad(
        self, contact: bytes, pad_id: bytes, pad: Secret, source: str, offer: Content
    ) -> None:
        """Keep a pad under which we send, and tell them of it, both or neither.

        Raises:
            ChatMisuse: it was here before, or is no pad.
            ContactUnknown: nobody of that fingerprint, or there is no session with them yet.
        """
        with self.working() as work:
            known = work.contacts.get(contact)
            work.shelf(contact).add(pad_id, pad, source, ours=True, confirmed=False)
            work.seal(known, offer, Policy.OFF)

    def take_pad(self, contact: bytes, pad_id: bytes, pad: Secret, source: str) -> None:
        """Keep a pad that they offered; again is harmless."""
        with self.working() as work:
            shelf = work.shelf(contact)
            if not shelf.knows(pad_id):
                shelf.add(pad_id, pad, source, ours=False)
            work.offers.done(pad_id)

    # Sending.

    def has_session(self, contact: bytes) -> bool:
        """Whether something can be said to somebody without their bundle."""
        with self.working() as work:
            return bool(work.sessions.of(contact))

    def send(self, contact: bytes, content: Content) -> list[Outgoing]:
        """Seal a content of any permitted length, and keep it in history and outbox.

        Raises:
            ContactUnknown: nobody of that fingerprint, or no session with them yet.
            PadExhausted: the policy is `require`, and there is too little pad; nothing was kept.
        """
        with self.working() as work:
            known = work.contacts.get(contact)
            outgoing, protection = work.seal(known, content)
            work.apply(known, content, protection, content.sent_ms / 1000, ours=True)
        return outgoing

    def say(self, contact: bytes, content: Content) -> None:
        """Keep a content until `seal` has a pad for it; it counts in our history at once.

        Raises:
            ContactUnknown: nobody of that fingerprint.
            ChatMisuse: they wait to be accepted.
        """
        with self.working() as work:
            known = work.contacts.get(contact)
            work.strangers.check_known(contact)
            now = content.sent_ms / 1000
            work.apply(known, content, NO_PROTECTION, now, ours=True, state=State.WAITING)
            work.waiting.add(contact, content)

    def seal(
        self,
        contact: bytes,
        content: Content,
        *,
        policy: Policy | None = None,
        fresh: Sequence[NewPad] = (),
    ) -> bool:
        """Seal what waits, and put it into the outbox; False if it was taken back meanwhile.

        Args:
            contact: With whom.
            content: As `say` was given it.
            policy: In the place of the conversation's.
            fresh: Pads for this content alone; nothing is left of them afterwards.

        Raises:
            ContactUnknown: there is no session with them yet.
            PadExhausted: the policy is `require`, and there is too little pad.
        """
        with self.working() as work:
            if work.waiting.get(contact, content.content_id) is None:
                return False
            known = work.contacts.get(contact)
            _, protection = work.seal(known, content, policy, fresh)
            work.waiting.sealed(contact, content.content_id, protection.pad_ids)
            work.history.seal_as(contact, content.content_id, protection, State.QUEUED)
        return True

    def outbox(self, *, after: int = 0, limit: int = 1 << 30) -> list[Outgoing]:
        """What has not been handed over yet, in order, behind a place."""
        with self._database.transaction() as cursor:
            rows = cursor.execute(
                "SELECT number, contact, token, payload, ttl_s FROM outbox WHERE number > ?"
                " ORDER BY number LIMIT ?",
                (after, limit),
            ).fetchall()
        return [Outgoing(*row) for row in rows]

    def handed_over(self, *numbers: int) -> list[tuple[bytes, bytes]]:
        """Payloads are safe with who carries them; again is harmless.

        Returns:
            With whom, and the id, of each content that has now been sent whole.
        """
        found: list[tuple[bytes, bytes]] = []
        with self.working() as work:
            for number in numbers:
                row: tuple[bytes, bytes] | None = work.cursor.execute(
                    "DELETE FROM outbox WHERE number = ? RETURNING contact, content_id", (number,)
                ).fetchone()
                if row is None:
                    continue
                left = work.cursor.execute(
                    "SELECT 1 FROM outbox WHERE contact = ? AND content_id = ?", row
                ).fetchone()
                if left is None:
                    work.history.mark(row[0], row[1], State.SENT, ours=True)
                    found.append(row)
        return found

    # Receiving.

    def receive(
        self,
        payload: bytes,
        now: float,
        contact: bytes | None = None,
        mailbox: bytes | None = None,
        *,
        made: NewPad | None = None,
        held: int | None = None,
    ) -> Received:
        """Open a payload, keep what it says, and answer that it came.

        Args:
            payload: As it was carried.
            now: Seconds since the epoch.
            contact: From whom it must be; None: from anybody, known or not.
            mailbox: Where it came; an invitation's becomes the mailbox for who used it, and who
                writes first to the box for everybody waits to be accepted.
            made: A pad that a session gave for it; kept with the session's record.
            held: Its number among those that waited, and do no more.

        Raises:
            MessageRefused, OpeningRefused: it is not shown, and nothing was changed.
        """
        with self.working() as work:
            return take_in(work, self.identity, payload, now, contact, mailbox, made, held)

    def sender_of(self, payload: bytes) -> bytes | None:
        """Of whose session a payload is, by its outside; None if it begins one, or is of none."""
        try:
            with self.working() as work:
                kept = kept_session(work, payload, None)
        except (MessageRefused, OpeningRefused):
            return None
        return None if kept is None else kept[1].peer

    def mark_read(self, conversation: bytes, now: float) -> list[Outgoing]:
        """Count what others said in a conversation as read, and tell them."""
        with self.working() as work:
            told: list[Outgoing] = []
            if work.groups.get(conversation) is None:
                work.contacts.get(conversation)
            if work.strangers.has(conversation):
                return told  # who was not accepted does not hear that we look
            read: dict[bytes, list[bytes]] = {}
            for contact, content_id in work.history.read(conversation, now):
                read.setdefault(contact, []).append(content_id)
            for contact, ids in read.items():
                if not work.sessions.of(contact):
                    continue  # we hear them no more
                for at in range(0, len(ids), _READ_AT_ONCE):
                    told_read = receipt(ContentKind.READ, ids[at : at + _READ_AT_ONCE], now)
                    told += work.seal(work.contacts.get(contact), told_read)[0]
        return told

    def ask_again(self, contact: bytes, file_id: bytes, now: float) -> None:
        """Ask for what is missing of an attachment, of which nothing has come for a while."""
        with self.working() as work:
            kept = work.files.get(contact, file_id, ours=False)
            if kept is not None and kept.state is FileState.COMING:
                ask(work, work.contacts.get(contact), kept, work.files.missing(kept), now)

    def shrink(self) -> bool:
        """Give room back that is free since something large went; whether there is more."""
        return self._database.shrink()

    def disappear(self, now: float) -> int:
        """Forget the words of messages whose time has run out; how many."""
        with self.working() as work:
            gone = work.history.disappear(now)
            work.waiting.forget_deleted()
            work.files.forget_deleted()
        return gone
