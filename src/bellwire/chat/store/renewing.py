"""A session begun anew inside the old one, by who cannot open what comes on it any more.

Who has lost pad that the peer's keys were mixed with is still heard on the old session. There they
give keys to begin with: signed by their identity, made for this peer, for one session. The peer
begins it, sends on it from then on, and says again, under the same ids, what was not confirmed; so
does who asked, once the new session is heard. What comes twice so counts once. No pad of before
serves either of them any more. Each call is part of one transaction. Source: spec/chat.md, 2.10.

`now` is in seconds since the epoch.
"""

import hmac
import os
from typing import Final

from bellwire.chat.content import ID_BYTES, Content, ContentKind
from bellwire.chat.errors import BundleRefused, ContentMalformed
from bellwire.chat.identity import Identity
from bellwire.chat.opening import begin
from bellwire.chat.pads import Policy
from bellwire.chat.prekeys import read_bundle
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.messages import State
from bellwire.chat.store.prekeys import PrekeyRing
from bellwire.chat.store.work import Work, receipt

_TABLE: Final = "about"


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
    work.sessions.supersede(known.contact, work.sessions.add(begin(identity, bundle)))
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
