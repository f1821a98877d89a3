"""Members of a group who do not know each other come to do so, by way of one who knows both.

Of two such members the one with the lesser fingerprint makes a contact link for the other one
alone, and gives it to a member who knows both, the admin if it can be. Who is between sees the
link, and so the way to one mailbox; the session that begins by it is with nobody but the identity
that the signed roster names, at both ends, and each tells the other a mailbox of its own inside it.
Each call is within a transaction: what it says and what it keeps are durable together.
`now` is in seconds since the epoch.
Source: spec/chat.md, 9.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from bellwire.chat.accounts.somebody import Somebody
from bellwire.chat.card import Card, ContactLink, make_link, read_link
from bellwire.chat.content import ContentKind
from bellwire.chat.errors import LinkRefused
from bellwire.chat.identity import Identity
from bellwire.chat.messenger.requests import card_content, told_apart
from bellwire.chat.pads import Policy
from bellwire.chat.store import fanning, renewing
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.groups import Group
from bellwire.chat.store.prekeys import PrekeyRing
from bellwire.chat.store.work import Work

OFFER_AGAIN_S: Final = 86_400
"""A link that a member has not used for so long is made anew."""

MakeCard = Callable[[bytes], Card]

log = structlog.get_logger("chat")


@dataclass(frozen=True, slots=True)
class Met:
    """A member to whom there is a way now, what we call them, and the group's name."""

    contact: bytes
    name: str
    group: str


def offer(
    work: Work, own: Identity, card: MakeCard, kept: Group, member: bytes, *, now: float
) -> bool:
    """Make a link for a member to whom there is no way, if it is us who makes it."""
    me = own.public.fingerprint
    if member <= me or fanning.is_reachable(work, member) or work.strangers.is_blocked(member):
        return False
    if now - work.groups.offered_since(member) < OFFER_AGAIN_S:
        return False
    between = [kept.roster.admin.fingerprint, *kept.active()]
    others = [each for each in between if each not in {me, member}]
    known = next((each for each in others if fanning.is_reachable(work, each)), None)
    if known is None:
        return False
    bundle = PrekeyRing(work.cursor, work.database, own).invitation(now)
    box = work.routes.invite(now)
    work.groups.offered(member, kept.group, box.mailbox, now)
    text = me + member + make_link(bundle, card(box.right)).encode()
    content = fanning.about(ContentKind.INTRODUCTION, kept.group, text, now)
    fanning.tell(work, work.contacts.get(known), content)
    return True


def meet(
    work: Work,
    own: Identity,
    card: MakeCard,
    found: ContactLink | Somebody,
    name: str,
    *,
    now: float,
) -> tuple[Contact, bool]:
    """Know who gave a link or has a handle, begin with them, and tell them how we are reached.

    Returns:
        Them, and whether a session has begun; False: one had by the same keys, and goes on.

    Raises:
        LinkRefused, ChatMisuse: as `renewing.meet`, or the name cannot be used.
    """
    known = work.contacts.keep(name, found.bundle.identity)
    contact = known.contact
    begun = renewing.meet(work, own, found.bundle)
    work.strangers.accept(contact)
    route = work.routes.get(contact)
    if begun or route is None or route.card is None:
        work.routes.learn(contact, found.card, now)  # that of a link of before may be out of date
    right = work.routes.ensure(contact, now).box.right
    work.seal(known, card_content(card(right).encode(), now), Policy.OFF)
    return known, begun


def use_links(work: Work, own: Identity, card: MakeCard, now: float) -> list[Met]:
    """Begin with members whose links have come."""
    found = []
    for member, group, link in work.groups.links():
        kept = work.groups.get(group)
        work.groups.met(member)
        if kept is None or not kept.has(own.public.fingerprint) or not kept.has(member):
            continue
        if fanning.is_reachable(work, member) or work.strangers.is_blocked(member):
            continue
        try:
            read = _link_of(member, link, now)
            name = told_apart(work, read.card.name, member)
            known, _ = meet(work, own, card, read, name, now=now)
        except LinkRefused as error:
            log.warning("an introduction was refused", why=str(error))
            continue
        fanning.catch_up(work, own.public.fingerprint, member)
        found.append(Met(member, known.name, kept.roster.name))
    return found


def _link_of(member: bytes, link: str, now: float) -> ContactLink:
    """A link, which must be of the identity that the roster names; LinkRefused."""
    found = read_link(link, now)
    if found.bundle.identity.fingerprint != member:
        raise LinkRefused("expected the link of a member, got another's")
    return found
