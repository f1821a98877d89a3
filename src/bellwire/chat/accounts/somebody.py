"""Whom a relay says that a handle is, and what it takes to believe that."""

from dataclasses import dataclass

from bellwire.chat.accounts.answers import Taken
from bellwire.chat.accounts.requests import claim_text
from bellwire.chat.card import Card, make_link, read_card
from bellwire.chat.errors import IdentityChanged
from bellwire.chat.identity import IdentityPublic
from bellwire.chat.prekeys import Bundle, join_bundle, read_bundle
from bellwire.crypto.labels import CHAT_HANDLE


@dataclass(frozen=True, slots=True)
class Somebody:
    """Whom a relay says that a handle is; the identity says the same.

    Attributes:
        handle: Their name at this relay.
        bundle: To begin a session with; verified, and without a one-time prekey if it is the last
            resort.
        card: Where a first message is dropped.
    """

    handle: str
    bundle: Bundle
    card: Card

    @property
    def is_last_resort(self) -> bool:
        """Whether the session is open to who steals the lasting prekey before it is destroyed."""
        return self.bundle.one_time is None

    def link(self) -> str:
        """The contact link that says the same, for `Messenger.add`."""
        return make_link(self.bundle, self.card)


def read_taken(
    handle: str, taken: Taken, relay_id: bytes, known: bytes | None, now: float
) -> Somebody:
    """Whom a relay's answer is about, once the identity in it says the same.

    Args:
        handle: Who was asked for.
        taken: What the relay answered.
        relay_id: Of the connection's challenge.
        known: Fingerprint of their identity, if we know it.
        now: Seconds since the epoch.

    Raises:
        IdentityChanged: it is another identity than `known`.
        BundleRefused: the keys are not signed by it, or have expired.
        ContentMalformed: what it says of how it is reached is no card.
    """
    identity = IdentityPublic(taken.identity)
    if known is not None and identity.fingerprint != known:
        raise IdentityChanged(handle, known, identity.fingerprint)
    identity.verify(taken.claim, claim_text(relay_id, handle, taken.card), CHAT_HANDLE)
    encoded = join_bundle(identity, taken.lasting, taken.one_time)
    return Somebody(handle, read_bundle(encoded, identity.fingerprint, now), read_card(taken.card))
