"""Where people find each other: prekeys that their owners sign, handed out to whoever asks.

Who asks says nothing of who they are. What is handed out is one device's: the one that published
last. A one-time prekey is handed out once, and only so many in a time, so that nobody can use them
all up; without one, the lasting prekey is the last resort.

Source: spec/accounts.md, 5.
"""

from typing import Final

from bellwire.base.handles import is_canonical_prefix
from bellwire.chat.accounts import answers, requests
from bellwire.chat.accounts.fields import AccountReason, Visibility
from bellwire.chat.accounts.ledger import Ledger, Seat
from bellwire.chat.accounts.requests import claim_text
from bellwire.chat.accounts.rules import NotDone, Rules
from bellwire.chat.errors import BundleRefused
from bellwire.chat.identity import IdentityPublic
from bellwire.chat.prekeys import Prekey, PrekeyKind, read_prekey
from bellwire.crypto.labels import CHAT_HANDLE

FOUND_AT_MOST: Final = 10


class Directory:
    """What is asked of it, within one transaction; every call raises NotDone.

    Args:
        rules: To heed.
        source: What the address that asks is counted under.
        ledger: To read and write.
    """

    def __init__(self, rules: Rules, source: str, ledger: Ledger) -> None:
        self._rules, self._limits = rules, rules.limits
        self._source, self._ledger = source, ledger
        self._now = int(rules.now())

    def publish(self, seat: Seat, asked: requests.Publish) -> answers.Stock:
        """Keep what a device publishes; without anything, only say what there is."""
        account = self._ledger.account_of(seat)
        owner = IdentityPublic(account.identity)
        lasting = self._prekey(asked.lasting, owner, PrekeyKind.LASTING)
        one_time = [self._prekey(each, owner, PrekeyKind.ONE_TIME) for each in asked.one_time]
        signed = self._signed_card(asked, account.handle, owner)
        ours = account.publisher == seat.device
        if not ours and (lasting or one_time or signed):
            if lasting is None or signed is None:
                raise NotDone(AccountReason.MALFORMED)
            self._ledger.withdraw(seat.handle, seat.device)
            ours = True
        if lasting is not None and asked.lasting is not None:
            self._ledger.set_lasting(seat.handle, asked.lasting, lasting.not_after)
        if signed is not None:
            self._ledger.set_card(seat.handle, *signed)
        left = len(self._ledger.one_time(seat.handle, self._now))
        if left + len(one_time) > self._limits.one_time_prekeys:
            raise NotDone(AccountReason.FULL)
        for prekey, encoded in zip(one_time, asked.one_time, strict=True):
            assert prekey is not None
            self._ledger.add_one_time(seat.handle, prekey.prekey_id, prekey.not_after, encoded)
        return answers.Stock(
            ours=ours,
            lasting_until=self._ledger.account_of(seat).lasting_until,
            one_time=len(self._ledger.one_time(seat.handle, self._now)),
        )

    def _signed_card(
        self, asked: requests.Publish, handle: str, owner: IdentityPublic
    ) -> tuple[bytes, bytes] | None:
        """Card and claim, which go together."""
        if asked.card is None or asked.claim is None:
            if asked.card is not asked.claim:
                raise NotDone(AccountReason.MALFORMED)
            return None
        text = claim_text(self._rules.relay_id, handle, asked.card)
        try:
            owner.verify(asked.claim, text, CHAT_HANDLE)
        except BundleRefused:
            raise NotDone(AccountReason.UNSIGNED) from None
        return asked.card, asked.claim

    def _prekey(
        self, encoded: bytes | None, owner: IdentityPublic, kind: PrekeyKind
    ) -> Prekey | None:
        if encoded is None:
            return None
        try:
            # Whether it counts now is the next question; that it ever does is this one.
            prekey = read_prekey(encoded, owner, kind, 0)
        except BundleRefused:
            raise NotDone(AccountReason.UNSIGNED) from None
        if not self._now < prekey.not_after <= self._now + self._limits.prekey_s:
            raise NotDone(AccountReason.EXPIRED)
        return prekey

    def take(self, handle: str) -> answers.Taken:
        """The keys of somebody who can be found."""
        self._rules.admit("takes", self._source)
        account = self._ledger.find(handle)
        if (
            account is None
            or account.visibility == Visibility.HIDDEN
            or account.lasting is None
            or account.card is None
            or account.claim is None
            or self._now >= account.lasting_until
        ):
            raise NotDone(AccountReason.NOBODY)
        one_time = None
        if self._rules.is_admitted("one_time", handle):
            one_time = self._ledger.take_one_time(handle, self._now)
        return answers.Taken(
            account.identity, account.lasting, one_time, account.card, account.claim
        )

    def search(self, prefix: str) -> answers.Found:
        """Listed handles that begin so."""
        if not is_canonical_prefix(prefix):
            raise NotDone(AccountReason.MALFORMED)
        self._rules.admit("searches", self._source)
        return answers.Found(self._ledger.listed(prefix, FOUND_AT_MOST))
