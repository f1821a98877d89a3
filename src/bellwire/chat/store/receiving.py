"""What comes to a person: which session it is of, what it says, and what is answered at once.

`now` is in seconds since the epoch.
"""

from dataclasses import dataclass, replace

from bellwire.chat.content import OF_GROUPS, Content, ContentKind
from bellwire.chat.errors import OpeningRefused, StrangerRefused
from bellwire.chat.identity import Identity
from bellwire.chat.opening import accept, opening_id
from bellwire.chat.pads import Policy
from bellwire.chat.session import Opened, Protection, Session, open_message, session_of
from bellwire.chat.store import fanning, renewing
from bellwire.chat.store.carrying import ATTACHING
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.pads import NewPad
from bellwire.chat.store.parts import gather
from bellwire.chat.store.prekeys import PrekeyRing
from bellwire.chat.store.renewing import Renewal
from bellwire.chat.store.work import Work, receipt


@dataclass(frozen=True, slots=True)
class Received:
    """What a payload turned out to be.

    Attributes:
        contact: From whom.
        content: The whole content; None while parts of it are missing, or if it was refused.
        protection: What it was protected by.
        is_new: Whether it changed what is shown.
        refused: Whether our policy refused it for want of pad; it is then not shown.
        stranger: Whether they wait to be accepted.
        standing: Whether it came to the box for everybody.
        released: What had come before, and waited for this: the roster of its group.
        renewed: Why a new session has taken the place of the one before; None: none has.
    """

    contact: bytes
    content: Content | None
    protection: Protection
    is_new: bool
    refused: bool
    stranger: bool = False
    standing: bool = False
    released: "tuple[Received, ...]" = ()
    renewed: Renewal | None = None


def take_in(  # noqa: PLR0917 - as `Person.receive`
    work: Work,
    identity: Identity,
    payload: bytes,
    now: float,
    contact: bytes | None,
    mailbox: bytes | None,
    made: NewPad | None,
    held: int | None,
) -> Received:
    """Open a payload, keep what it says, and answer that it came; as `Person.receive`."""
    kept = kept_session(work, payload, contact)
    standing = mailbox is not None and work.standing.has(mailbox)
    renewed = None
    if kept is None:
        session, renewed = _welcome(work, identity, payload, now, contact, standing=standing)
        number = work.sessions.add(session)
        if renewed is Renewal.ANSWERED:
            work.sessions.supersede(session.peer, number)
    else:
        number, session = kept
    meant = None if mailbox is None else work.groups.meant_for(mailbox)
    if meant not in {None, session.peer}:
        raise OpeningRefused("expected who the link was made for, got somebody else")
    shelf = work.shelf(session.peer)
    if made is not None:
        shelf.lend(made, ours=False)
        work.keep_record(session.peer, made)
    opened = open_message(session, payload, shelf)
    shelf.take(opened.spent)
    shelf.keep_lent()
    if held is not None:
        work.held.remove(held)
    for pad_id in opened.protection.pad_ids:
        shelf.used(pad_id)
    work.sessions.update(number, opened.session)
    work.sessions.heard(number)
    if mailbox is not None and work.routes.accept(mailbox, session.peer, now):
        work.strangers.accept(session.peer)  # we gave the link to them
    taken = _take(work, identity, work.contacts.get(session.peer), opened, now)
    stranger = work.strangers.has(session.peer)
    renewed = taken.renewed or renewed
    return replace(taken, stranger=stranger, standing=standing, renewed=renewed)


def kept_session(work: Work, payload: bytes, contact: bytes | None) -> tuple[int, Session] | None:
    """Row and state of the session that a payload is of; None if it begins one.

    Raises:
        OpeningRefused: it begins one that was begun here before and is gone.
    """
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


def _welcome(
    work: Work,
    identity: Identity,
    payload: bytes,
    now: float,
    contact: bytes | None,
    *,
    standing: bool,
) -> tuple[Session, Renewal | None]:
    """The session that somebody begins with us, and why, if there is one with them already."""
    ring = PrekeyRing(work.cursor, work.database, identity)
    accepted = accept(identity, payload, lambda each: ring.find(each, now))
    if contact not in {None, accepted.peer.fingerprint}:
        raise OpeningRefused("expected an opening of the contact whose mailbox it came to")
    peer = accepted.peer.fingerprint
    if work.strangers.is_blocked(peer):
        raise OpeningRefused("expected an opening of somebody who is heard, got a blocked one")
    if accepted.one_time is not None:
        ring.destroy(accepted.one_time)
    ring.remember_opening(accepted.session.opening_id, now)
    is_known = work.contacts.knows(peer)
    work.contacts.meet(accepted.peer)
    if standing and not is_known:
        work.strangers.admit(peer, now)
    if renewing.is_answer(work, peer, accepted.one_time):
        return accepted.session, Renewal.ANSWERED
    if not work.sessions.of(peer) or work.strangers.has(peer):
        return accepted.session, None
    renewing.met(work, peer)
    return accepted.session, Renewal.MET


def _take(work: Work, own: Identity, known: Contact, opened: Opened, now: float) -> Received:
    """Do what an authentic message says, and answer that it came."""
    content, protection = opened.content, opened.protection
    padded = content.kind.is_padded
    stranger = work.strangers.has(known.contact)
    if content.kind in {ContentKind.TEXT, ContentKind.REPLY}:
        work.strangers.check_room(known.contact)
    if stranger and content.kind in ATTACHING:
        raise StrangerRefused("expected words before they are accepted, got an attachment")
    if stranger and content.kind is ContentKind.RENEW:
        raise StrangerRefused("expected words before they are accepted, got another wish")
    if stranger and content.group is not None:
        raise StrangerRefused("expected words before they are accepted, got a group's")
    if padded and known.policy is Policy.REQUIRE and not protection.is_one_time:
        if not stranger:
            work.seal(known, receipt(ContentKind.REFUSED, [content.content_id], now))
        return Received(known.contact, None, protection, is_new=False, refused=True)
    gathered = gather(work.cursor, work.database, known.contact, content, protection)
    if gathered is None:
        return Received(known.contact, None, protection, is_new=False, refused=False)
    return _take_whole(work, own, known, *gathered, now)


def _take_whole(  # noqa: PLR0917 - as `_take`, once all parts are here
    work: Work, own: Identity, known: Contact, whole: Content, protection: Protection, now: float
) -> Received:
    me = own.public.fingerprint
    if whole.kind is ContentKind.RENEW:
        renewing.answer(work, own, known, whole, now)
        return Received(
            known.contact, whole, protection, is_new=True, refused=False, renewed=Renewal.ASKED
        )
    if whole.kind in OF_GROUPS:
        taken = fanning.take(work, me, known, whole, now)
        released = tuple(
            _count(work, work.contacts.get(contact), each, under, now)
            for contact, each, under in taken.released
        )
        return Received(
            known.contact, whole, protection, taken.is_new, refused=False, released=released
        )
    if whole.kind is ContentKind.TYPING and whole.group is not None:
        shown = whole if fanning.types(work, me, known.contact, whole.group) else None
        return Received(known.contact, shown, protection, is_new=True, refused=False)
    in_group = whole.group is not None
    if in_group and fanning.judge(work, me, known.contact, whole) is fanning.Verdict.HOLD:
        fanning.ask_for_rosters(work, known, whole, now)
        work.groups.hold(known.contact, whole, protection, now)
        return Received(known.contact, None, protection, is_new=False, refused=False)
    return _count(work, known, whole, protection, now)


def _count(
    work: Work, known: Contact, content: Content, protection: Protection, now: float
) -> Received:
    """Let a whole content count, and answer that it came."""
    is_new = work.apply(known, content, protection, now, ours=False)
    if content.kind.is_padded and not work.strangers.has(known.contact):
        work.seal(known, receipt(ContentKind.DELIVERED, [content.content_id], now))
    return Received(known.contact, content, protection, is_new=is_new, refused=False)
