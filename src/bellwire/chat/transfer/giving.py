"""Write what was said, and whom we know, into a sealed file for another device of ours.

The store is read page by page, so that a chat that is open goes on meanwhile. The file has its name
only once it is whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.private import whole_file
from bellwire.base.secret import Secret
from bellwire.chat.errors import HistoryRefused, HistoryUnusable
from bellwire.chat.store.messages import Leaving
from bellwire.chat.store.passing import Passing
from bellwire.chat.store.person import Person
from bellwire.chat.store.work import Work
from bellwire.chat.transfer.code import draw_code
from bellwire.chat.transfer.records import (
    MAX_MESSAGES,
    MAX_PEOPLE,
    About,
    End,
    Record,
    Said,
    Somebody,
    decode,
    encode,
)
from bellwire.chat.transfer.sealed import SealedWriter

PAGE: Final = 256


@dataclass(frozen=True, slots=True)
class Given:
    """What a file has.

    Attributes:
        code: That opens it, and is nowhere else. Secret.
        people: How many contacts.
        messages: How many messages.
        attachments: How many of these are attachments, of which only name and size are there.
        not_sent: Messages of ours that stay here, because they were not sent yet.
    """

    code: Secret
    people: int
    messages: int
    attachments: int
    not_sent: int


def give(
    person: Person,
    path: Path,
    now: float,
    advance: Callable[[int], None] = lambda _: None,
) -> Given:
    """Export a person's history.

    Args:
        person: Whose; a messenger may have it open.
        path: Where there is no file yet.
        now: Seconds since the epoch.
        advance: Is told of messages that were written.

    Raises:
        HistoryUnusable: the file is there, cannot be written, or would be too large; nothing is
            left of it.
        StoreUnusable, StoreCorrupt: the store cannot be read.
    """
    code = draw_code()
    people = messages = attachments = 0
    try:
        with whole_file(path, replace=False) as file:
            writer = SealedWriter(file, code)
            writer.add(_checked(About(person.identity.public.fingerprint, int(now * 1000))))
            with person.working() as work:
                not_sent, until = _passing(work).not_sent_yet(), _passing(work).last()
                known = list(_people(work, person.identity.public.fingerprint))
            for each in known:
                people += 1
                writer.add(_checked(each))
            for page in _pages(person, until, now):
                for said in page:
                    messages += 1
                    attachments += said.size is not None
                    writer.add(_checked(said))
                advance(len(page))
                if messages > MAX_MESSAGES:
                    raise _too_many("messages", MAX_MESSAGES)
            if people > MAX_PEOPLE:
                raise _too_many("people", MAX_PEOPLE)
            writer.add(_checked(End(people, messages)))
            writer.finish()
    except FileExistsError as error:
        raise HistoryUnusable(
            f"expected a new file at {path}, got one that is there", hint="Name another."
        ) from error
    except OSError as error:
        raise HistoryUnusable(f"expected to write {path}, got: {error.strerror}") from error
    return Given(code, people, messages, attachments, not_sent)


def _passing(work: Work) -> Passing:
    return Passing(work.cursor, work.database)


def _people(work: Work, me: bytes) -> Iterator[Somebody]:
    for each in work.contacts.all():
        if each.contact != me and not work.strangers.has(each.contact):
            yield Somebody(
                each.identity.public_bytes,
                each.name,
                each.policy.value,
                each.mode,
                each.timer_s,
                work.strangers.is_blocked(each.contact),
            )


def _pages(person: Person, until: int, now: float) -> Iterator[list[Said]]:
    after = 0
    while True:
        with person.working() as work:
            page = _passing(work).leaving(after, until, PAGE)
            said = [
                _said(work, each) for each in page if each.gone_at is None or each.gone_at > now
            ]
        if not page:
            return
        yield said
        after = page[-1].number


def _said(work: Work, each: Leaving) -> Said:
    kept = each.kept
    file = work.files.get(each.contact, each.content_id, ours=each.ours)
    return Said(
        each.contact,
        each.ours,
        each.content_id,
        each.state,
        kept.kind,
        kept.sent_ms,
        kept.text,
        kept.group,
        kept.target,
        kept.timer_s,
        each.gone_at,
        kept.edited,
        kept.pad_source,
        kept.pad_bytes,
        kept.mixed_source,
        kept.pad_ids,
        None if file is None else file.size,
        tuple(work.records.get(name) for name in kept.pad_ids),
    )


def _checked(record: Record) -> bytes:
    """Bytes that will be read again: a file that no device takes is not written."""
    data = encode(record)
    try:
        decode(data)
    except HistoryRefused as error:
        raise HistoryUnusable(
            f"expected {type(record).__name__.lower()} as a history may have it, got another"
        ) from error
    return data


def _too_many(what: str, most: int) -> HistoryUnusable:
    return HistoryUnusable(f"expected at most {most:,} {what} in a history, got more")
