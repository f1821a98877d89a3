"""Bring what another device of ours has into this one's store: all of a file, or nothing.

What is here already stays as it is, so that the same file again changes nothing. This device has an
identity of its own: whom the other one knows is known here by name, without a session, a way or a
mark that safety numbers were compared, until we begin anew with them.

Source: spec/history.md, 4.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from bellwire.base.secret import Secret
from bellwire.chat.content import ContentKind
from bellwire.chat.errors import BundleRefused, ChatMisuse, HistoryRefused, HistoryUnusable
from bellwire.chat.identity import IdentityPublic
from bellwire.chat.pads import Policy
from bellwire.chat.store.contacts import MAX_NAME_BYTES, NOTES
from bellwire.chat.store.messages import FILES, Kept, Leaving, State
from bellwire.chat.store.order import interleave
from bellwire.chat.store.passing import Passing
from bellwire.chat.store.person import Person
from bellwire.chat.store.work import Work
from bellwire.chat.transfer.records import (
    KINDS,
    MAX_MESSAGES,
    MAX_PEOPLE,
    About,
    End,
    Record,
    Said,
    Somebody,
    decode,
)
from bellwire.chat.transfer.sealed import MAX_FILE_BYTES, read_sealed

_NAME_BYTES: Final = MAX_NAME_BYTES - len(" (01234567)")


@dataclass(slots=True)
class Taken:
    """What came of a file.

    Attributes:
        people: Contacts that are new here.
        messages: Messages that are new here.
        known: Messages that were here already.
        attachments: New messages that are attachments; the files are not here.
        expired: Messages whose time had run out.
        left_out: Messages of conversations that are not taken: with this device itself, or with
            somebody who waits here to be accepted.
    """

    people: int = 0
    messages: int = 0
    known: int = 0
    attachments: int = 0
    expired: int = 0
    left_out: int = 0


def take(
    person: Person,
    path: Path,
    code: Secret,
    now: float,
    advance: Callable[[int], None] = lambda _: None,
) -> Taken:
    """Import a history, in one transaction.

    Args:
        person: Into whose store; no messenger has it open.
        path: The file of `giving.give`.
        code: Of that file.
        now: Seconds since the epoch.
        advance: Is told of bytes that were read.

    Raises:
        HistoryUnusable: the file cannot be read.
        HistoryRefused: it is none, was cut or changed, or the code is another's; nothing was taken.
        StoreUnusable, StoreCorrupt: the store cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check(path, os.fstat(descriptor))
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return _take(person, file, code, now, advance)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HistoryUnusable(f"expected to read {path}, got: {error.strerror}") from error


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise HistoryUnusable(f"expected a plain file at {path}, got something else")
    if found.st_size > MAX_FILE_BYTES:
        raise HistoryRefused(
            f"expected a history of at most {MAX_FILE_BYTES >> 20} MiB, got "
            f"{found.st_size >> 20} MiB"
        )


def _take(
    person: Person, file: BinaryIO, code: Secret, now: float, advance: Callable[[int], None]
) -> Taken:
    with person.working() as work:
        passing = Passing(work.cursor, work.database)
        since = passing.last()
        taking = _Taking(work, passing, person.identity.public, now)
        for record in read_sealed(file, code, advance):
            taking.add(decode(record))
        taking.check_end()
        interleave(work.cursor, passing, since, now)
    return taking.taken


class _Taking:
    """The records of one file, in their order."""

    def __init__(self, work: Work, passing: Passing, me: IdentityPublic, now: float) -> None:
        self.taken = Taken()
        self._work, self._passing, self._me, self._now = work, passing, me, now
        self._owner: bytes | None = None
        self._with: dict[bytes, bytes | None] = {}
        self._names = {each.name.casefold() for each in work.contacts.all()}
        self._people = self._messages = 0
        self._is_over = False

    def add(self, record: Record) -> None:
        """Bring one record; HistoryRefused if none may stand there."""
        if self._is_over or isinstance(record, About) is not (self._owner is None):
            raise _malformed("records in their order")
        match record:
            case About(owner):
                self._owner = owner
                self._with[owner] = self._me.fingerprint
                if not self._work.contacts.knows(self._me.fingerprint):
                    self._work.contacts.keep(NOTES, self._me)
            case Somebody():
                self._people += 1
                self._somebody(record)
            case Said():
                self._messages += 1
                self._said(record)
            case End(people, messages):
                if (people, messages) != (self._people, self._messages):
                    raise _malformed("as many records as its end counts")
                self._is_over = True
        if self._people > MAX_PEOPLE or self._messages > MAX_MESSAGES:
            raise _malformed(f"at most {MAX_PEOPLE:,} people and {MAX_MESSAGES:,} messages")

    def check_end(self) -> None:
        """Return only if the end was there."""
        if not self._is_over:
            raise _malformed("its end")

    def _somebody(self, record: Somebody) -> None:
        identity = IdentityPublic(record.identity)
        contact = identity.fingerprint
        if contact in self._with:
            raise _malformed("everybody once")
        contacts, strangers = self._work.contacts, self._work.strangers
        if contact == self._me.fingerprint or strangers.has(contact):
            self._with[contact] = None
            return
        self._with[contact] = contact
        if contacts.knows(contact):
            return
        try:
            contacts.keep(self._told_apart(record.name, contact), identity)
            if record.is_blocked:
                strangers.block(contact)
        except (ChatMisuse, BundleRefused) as error:
            raise _malformed("people as a store has them") from error
        contacts.set_policy(contact, Policy(record.policy))
        contacts.set_mode(contact, record.mode)
        contacts.set_timer(contact, record.timer_s)
        self.taken.people += 1

    def _told_apart(self, name: str, contact: bytes) -> str:
        if name.casefold() in self._names:
            name = name.encode()[:_NAME_BYTES].decode(errors="ignore") + f" ({contact.hex()[:8]})"
        self._names.add(name.casefold())
        return name

    def _said(self, record: Said) -> None:
        if record.contact not in self._with:
            raise _malformed("messages with people who are in it")
        _check_said(record, is_note=record.contact == self._owner)
        contact = self._with[record.contact]
        if contact is None:
            self.taken.left_out += 1
        elif record.gone_at is not None and record.gone_at <= self._now:
            self.taken.expired += 1
        elif self._passing.bring(_leaving(record, contact)):
            self.taken.messages += 1
            if record.size is not None:
                self.taken.attachments += 1
                self._work.files.bring(
                    contact, record.content_id, record.text, record.size, ours=record.ours
                )
            for name, session in zip(record.pad_ids, record.sessions, strict=True):
                if session is not None:
                    self._work.records.bring(contact, name, session)
        else:
            self.taken.known += 1


def _check_said(record: Said, *, is_note: bool) -> None:
    """Return only if it is a message that a store may have; HistoryRefused."""
    states = set(State) - {State.DELETED}
    if record.ours:
        states -= {State.WAITING, State.NOT_SENT, State.QUEUED}
    holds = (
        record.kind in KINDS
        and record.state in states
        and (record.ours or not is_note)
        and (record.target is not None) == (record.kind == ContentKind.REPLY)
        and (record.size is None or record.kind in FILES)
        and len(record.pad_ids) == len(record.sessions)
    )
    if not holds:
        raise _malformed("messages as a store has them")


def _leaving(record: Said, contact: bytes) -> Leaving:
    kept = Kept(
        record.kind,
        record.sent_ms,
        record.text,
        record.group,
        record.target,
        record.timer_s,
        record.edited,
        record.pad_source,
        record.pad_bytes,
        record.mixed_source,
        record.pad_ids,
    )
    state = State(record.state)
    return Leaving(0, contact, record.ours, record.content_id, state, record.gone_at, kept)


def _malformed(expected: str) -> HistoryRefused:
    return HistoryRefused(f"expected a history to have {expected}, got another")
