"""The accounts of a relay, as one connection after the other asks for something.

A request is one transaction; its answer leaves once that is durable.

Sans-I/O: bytes and times in, bytes out. Source: spec/accounts.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bellwire.chat.accounts import requests
from bellwire.chat.accounts.admission import Admission
from bellwire.chat.accounts.answers import Answer, Refusal
from bellwire.chat.accounts.asked import Asked
from bellwire.chat.accounts.fields import AccountReason
from bellwire.chat.accounts.ledger import Ledger
from bellwire.chat.accounts.limits import AccountLimits
from bellwire.chat.accounts.line import HELLO_BYTES, Line, Offer, answer_hello, make_offer
from bellwire.chat.accounts.requests import Request
from bellwire.chat.accounts.rules import NotDone, Rules
from bellwire.chat.accounts.store import AccountStore
from bellwire.chat.errors import RelayMisbehaved, StoreUnusable
from bellwire.chat.identity import Identity

OFFER_S: Final = 3600.0
EXPIRE_EVERY_S: Final = 600.0


@dataclass(slots=True, eq=False)
class Visit:
    """One connection's state.

    Attributes:
        nonce: Of its challenge.
        source: What its address is counted under.
    """

    nonce: bytes
    source: str
    offer: Offer | None = field(default=None, repr=False)
    line: Line | None = field(default=None, repr=False)


class AccountService:
    """All accounts of one relay; not for use by two threads at once.

    Args:
        store: Open.
        relay_id: As in the relay's challenges.
        limits: Of sources, and of each account.
        admission: Decides on new handles; None: anybody may have one.
        now: Seconds since the epoch.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        store: AccountStore,
        relay_id: bytes,
        limits: AccountLimits | None = None,
        *,
        admission: Admission | None = None,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._store, self._relay_id = store, relay_id
        self._relay = Identity(store.relay_seed)
        self._admission = admission or Admission()
        self._rules = Rules(relay_id, limits or AccountLimits(), now, clock)
        self._offer: tuple[float, Offer] | None = None
        self._expired_at: float | None = None

    @property
    def fingerprint(self) -> bytes:
        """What the relay is known by to those who have accounts at it."""
        return self._relay.public.fingerprint

    def serve(self, visit: Visit, body: bytes) -> bytes:
        """Answer what a connection said.

        Raises:
            RelayMisbehaved: it said nothing that is to be answered; the connection must end.
        """
        if len(body) in {0, HELLO_BYTES} and not self._rules.is_admitted("lines", visit.source):
            raise RelayMisbehaved("expected fewer new lines from one source")
        if not body:
            visit.offer, visit.line = self._offered(), None
            return visit.offer.encoded
        if len(body) == HELLO_BYTES:
            if visit.offer is None:
                raise RelayMisbehaved("expected to be asked for an offer first, got a hello")
            visit.line = answer_hello(visit.offer, body, visit.nonce, self._relay_id)
            visit.offer = None
            return visit.line.outward.seal(b"")
        if visit.line is None:
            raise RelayMisbehaved("expected a hello first, got a record")
        request = requests.read_request(visit.line.inward.open(body))
        return visit.line.outward.seal(
            msgspec.msgpack.encode(self._answer(visit, visit.line, request))
        )

    def _offered(self) -> Offer:
        now = self._rules.clock()
        if self._offer is None or now >= self._offer[0]:
            self._offer = (now + OFFER_S, make_offer(self._relay, self._relay_id))
        return self._offer[1]

    def _answer(self, visit: Visit, line: Line, request: Request) -> Answer:
        try:
            self._rules.admit("requests", visit.source)
            with self._store.transaction() as ledger:
                self._expire(ledger)
                return self._asked(visit, line, ledger).do(request)
        except NotDone as refused:
            return Refusal(refused.reason)
        except StoreUnusable:
            return Refusal(AccountReason.FAILED)

    def _asked(self, visit: Visit, line: Line, ledger: Ledger) -> Asked:
        return Asked(self._rules, visit.source, line.binding, ledger, self._admission)

    def _expire(self, ledger: Ledger) -> None:
        clock = self._rules.clock()
        if self._expired_at is None or clock - self._expired_at >= EXPIRE_EVERY_S:
            ledger.expire(int(self._rules.now()))
            self._expired_at = clock
