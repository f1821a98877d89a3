"""A session begun anew with somebody with whom there is one, or was.

Who has lost pad that the peer's keys were mixed with is still heard on the old session. There they
give keys to begin with: signed by their identity, made for this peer, for one session. The peer
begins it, sends on it from then on, and says again, under the same ids, what was not confirmed; so
does who asked, once the new session is heard. What comes twice so counts once. No pad of before
serves either of them any more.

Who meets somebody by a link once more begins likewise, since the other side may have forgotten the
session that is here. Whether it has is not known, so what it says on that one, and under pads of
before, is opened all the same. Each call is part of one transaction. Source: spec/chat.md, 2.10 and
2.11.

`now` is in seconds since the epoch.
"""

import hmac
import os
from enum import Enum
from typing import Final

from bellwire.chat.content import ID_BYTES, Content, ContentKind
from bellwire.chat.errors import BundleRefused, ContentMalformed, LinkRefused
from bellwire.chat.identity import Identity
from bellwire.chat.opening import begin
from bellwire.chat.pads import Policy
from bellwire.chat.prekeys import Bundle, read_bundle
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.messages import State
from bellwire.chat.store.prekeys import PrekeyRing
from bellwire.chat.store.work import TYPING_TTL_S, Work, receipt

_TABLE: Final = "about"


class Renewal(Enum):
    """Why a session has taken the place of the one before."""

    ASKED = "they asked for it"
    ANSWERED = "we asked for it"
    MET = "they met us anew"


def meet(work: Work, identity: Identity, bundle: Bundle) -> bool:
    """Begin a session with somebody we know by keys that they gave, and go on there.

    Returns:
        Whether it has begun; False: one had begun by these keys before, and all stays as it is.

    Raises:
        ContactUnknown: we do not know them.
        LinkRefused: one had begun by these keys before, and there is none with them any more.
        ChatMisuse: it is ourselves.
    """
    contact = work.contacts.get(bundle.identity.fingerprint).contact
    ring = PrekeyRing(work.cursor, work.database, identity)
    if bundle.one_time is not None and not ring.use(contact, bundle.one_time):
        if work.sessions.of(contact):
            return False
        raise LinkRefused(
            "expected a contact link that was not used yet, got one by which a session had begun "
            "that is here no more; a link serves once",
            hint="Ask for a new one: bellwire chat link.",
        )
    _begin(work, identity, bundle)
    met(work, contact)
    return True


def met(work: Work, contact: bytes) -> None:
    """Somebody goes on in another session, and may have nothing of before any more.

    What they did not confirm waits once more, and no pad of before serves what we say.
    """
    work.shelf(contact).retire(ours=True)
    # That we type was only true then.
    work.cursor.execute(
        "DELETE FROM outbox WHERE contact = ? AND ttl_s = ?", (contact, TYPING_TTL_S)
    )
    _say_again(work, contact)


def ask(work: Work, identity: Identity, contact: bytes, now: float) -> None:
    """Ask somebody to begin a new session with us.

    Raises:
        ContactUnknown: nobody of that fingerprint, or there is no session with them.
        ChatMisuse: they wait to be accepted.
    """
    known = work.contacts.get(contact)
    bundle = PrekeyRing(work.cursor, work.database, identity).invitation(now)
    assert bundle.one_time is not None  # an invitation has one
    work.shelf(contact).retire(ours=True)
    asked = Content(ContentKind.RENEW, os.urandom(ID_BYTES), int(now * 1000), bundle.encode())
    work.seal(known, asked, Policy.OFF)
    name = _name(contact)
    sealed = work.database.seal(_TABLE, name.encode(), bundle.one_time.prekey_id)
    work.cursor.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, sealed))


def answer(work: Work, identity: Identity, known: Contact, asked: Content, now: float) -> None:
    """Begin a new session with somebody who asks for it, and go on there.

    Raises:
        ContentMalformed: they ask with keys that are not theirs, or do not count.
    """
    try:
        bundle = read_bundle(asked.text, known.contact, now)
    except BundleRefused as error:
        raise ContentMalformed("expected keys of who asks for a session, got others") from error
    work.shelf(known.contact).give_up()
    _begin(work, identity, bundle)
    _say_again(work, known.contact)
    # What begins the session is durable with it, and goes also if there is nothing else to say.
    work.seal(known, receipt(ContentKind.DELIVERED, [asked.content_id], now), Policy.OFF)


def is_answer(work: Work, contact: bytes, one_time: bytes | None) -> bool:
    """Whether a session that somebody begins with this prekey is the one that we asked for.

    Then what we said and they did not confirm waits once more.
    """
    name = _name(contact)
    row = work.cursor.execute("SELECT sealed FROM about WHERE name = ?", (name,)).fetchone()
    if row is None or one_time is None:
        return False
    asked = work.database.open(_TABLE, name.encode(), row[0])
    if not hmac.compare_digest(asked.reveal(), one_time):
        return False
    work.cursor.execute("DELETE FROM about WHERE name = ?", (name,))
    work.shelf(contact).retire(ours=False)
    _say_again(work, contact)
    return True


def _begin(work: Work, identity: Identity, bundle: Bundle) -> None:
    """Have a session by somebody's keys, and send on it alone."""
    session = begin(identity, bundle)
    work.sessions.supersede(session.peer, work.sessions.add(session))


def _say_again(work: Work, contact: bytes) -> None:
    """Have what was sealed and not confirmed wait once more; what they refused stays refused."""
    for content_id in work.waiting.unconfirmed(contact):
        entry = work.history.entry(contact, content_id, ours=True)
        if entry is not None and entry.state is State.REFUSED:
            continue
        work.waiting.anew(contact, content_id, None if entry is None else entry.text)
        work.history.wait(contact, content_id)
        work.cursor.execute(
            "DELETE FROM outbox WHERE contact = ? AND content_id = ?", (contact, content_id)
        )


def _name(contact: bytes) -> str:
    return f"session asked for with {contact.hex()}"
