"""Session keys for two members: of one site, or of two.

For each pair one console decides, so that there is no race: that of their site, or, of two sites,
that of site a. Whoever calls first, at whichever site, the deciding console sees the calls of a
pair one after the other. It draws the key of a new session at its own key server for the other
console, and tells that one the id; the other console fetches the key at its own key server. No key
ever goes from one console to the other.
"""

import contextlib
import time
import uuid
from asyncio import Lock
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.console.accounts import Accounts, Member, other_site, read_member
from bellwire.console.book import Book, Opened, Pair
from bellwire.console.errors import (
    KeysAbsent,
    MemberUnknown,
    NoKeyNow,
    PeerConsoleAbsent,
    PeerRefused,
    SessionRefused,
)
from bellwire.console.sealed import (
    KEY_BITS,
    Answer,
    Call,
    Given,
    Known,
    Knows,
    Refused,
    Request,
    open_answer,
    open_request,
    read_envelope,
    seal_answer,
    seal_request,
)
from bellwire.console.site_keys import LinkNow
from bellwire.crypto.randomness.source import RandomSource
from bellwire.etsi014.exchange import Key

LOCAL = "local"
"""The source of keys that no link has carried."""

DECIDES = "a"
"""The site whose console decides for pairs of two sites."""

REMEMBERED_S = 60.0
MOST_REMEMBERED = 10_000
"""Members of the other site that need not be asked after again, and for how long."""

log = structlog.get_logger()


class Keys(Protocol):
    """The keys of this site: `site_keys.SiteKeys`."""

    async def link(self) -> LinkNow:
        """The link between the sites now."""

    async def draw(self) -> Key:
        """A new key, which the other console can fetch."""

    async def fetch(self, key_id: str) -> Secret:
        """The key that the other console drew."""


Carry = Callable[[bytes], Awaitable[bytes]]
"""Brings a request to the other console, and its answer back; raises PeerConsoleAbsent."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a member gets.

    Attributes:
        session: Its id, the same for both members.
        key: 32 bytes, the same for both members. Secret.
        source: Where the key comes from.
        link: The link at that time.
    """

    session: str
    key: Secret
    source: str
    link: LinkNow


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a session, for who watches; never its key.

    Attributes:
        session: Its id.
        caller: Who asked.
        other: With whom.
        source: Where the key comes from.
        link: The link at that time.
        joined: Whether both have it now; None where the other console decides, and does not say.
    """

    session: str
    caller: Member
    other: Member
    source: str
    link: LinkNow
    joined: bool | None


def _nobody(_: Told) -> None:
    """Watches."""


class Sessions:
    """The sessions of one console; used in one event loop.

    Args:
        site: Ours.
        accounts: Its members.
        keys: Its key server.
        random: For keys of two members of this site.
        carry: The way to the other console.
        book: Open sessions.
        monotonic: Seconds of a clock that only advances.
        tell: Called with what becomes of each session.
    """

    def __init__(
        self,
        site: str,
        accounts: Accounts,
        keys: Keys,
        random: RandomSource,
        carry: Carry,
        *,
        book: Book | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        tell: Callable[[Told], None] = _nobody,
    ) -> None:
        self._tell = tell
        self._site = site
        self._peer = other_site(site)
        self._accounts = accounts
        self._keys = keys
        self._random = random
        self._carry = carry
        self._book = Book() if book is None else book
        self._monotonic = monotonic
        self._deciding: dict[Pair, tuple[Lock, int]] = {}
        self._remembered: dict[str, float] = {}

    @property
    def site(self) -> str:
        """Ours."""
        return self._site

    async def session(self, name: str, peer: str) -> Session:
        """A session of our member `name` with `peer`: a new one, or the one that `peer` opened.

        Args:
            name: Of a member of this site, who is authenticated.
            peer: NAME or NAME@SITE.

        Raises:
            MemberUnknown, SessionRefused: with nobody, or with himself.
            NoKeyNow: the link is RED.
            KeysAbsent, PeerConsoleAbsent: not now; a key may have been lost, none was given.
        """
        caller = Member(name, self._site)
        other = read_member(peer, here=self._site, has=self._accounts)
        if other == caller:
            raise SessionRefused("expected another member as peer_id, got the caller")
        link = await self._keys.link()
        link.require_flow()
        if self._site not in {other.site, DECIDES}:
            given = await self._ask(Call(name, other.name))
            if not isinstance(given, Given):
                raise _refusal(given, other)
            key = await self._keys.fetch(given.key_id)
            self._tell(Told(given.session, caller, other, given.source, link, None))
            return Session(given.session, key, given.source, link)
        if other.site != self._site:
            await self._require_known(other)
        session, mine, _ = await self._decide(caller, other, link)
        assert mine is not None  # the caller is of this site
        return Session(session.session, mine, session.source, link)

    async def answer(self, body: bytes) -> bytes:
        """The answer to what came from the other console, or from somebody who would be it.

        Raises:
            PeerRefused: it is not the other console's.
            KeysAbsent: the key server cannot say now.
        """
        envelope = read_envelope(body)
        key = await self._keys.fetch(envelope.key_id)
        request = open_request(envelope, key, self._peer)
        return seal_answer(await self._reply(request), envelope.key_id, key, self._site)

    def expire(self) -> None:
        """Overwrite the keys of sessions that nobody joined in time."""
        self._book.expire(self._monotonic())

    # -- the console that decides ------------------------------------------------------------

    async def _decide(
        self, caller: Member, other: Member, link: LinkNow
    ) -> tuple[Opened, Secret | None, str | None]:
        """The session that `caller` joins or opens; its key if he is ours, else the key's id."""
        async with self._alone(frozenset((caller, other))):
            found = self._book.take(caller, other, self._monotonic())
            if found is not None:
                log.info("session joined", session=found.session, member=str(caller))
                self._tell(Told(found.session, caller, other, found.source, link, joined=True))
                return found, found.key, found.key_id
            session = str(uuid.uuid4())
            if caller.site == other.site:
                key_id, key = None, Secret(self._random.draw(KEY_BITS // 8))
            else:
                drawn = await self._keys.draw()
                key_id, key = drawn.key_id, drawn.key
            kept = Secret(key.reveal()) if other.site == self._site else None
            source = LOCAL if key_id is None else link.source
            opened = Opened(session, other, key_id, kept, source)
            self._book.put(caller, opened, self._monotonic())
            log.info("session opened", session=session, member=str(caller), peer=str(other))
            self._tell(Told(session, caller, other, source, link, joined=False))
            return opened, key if caller.site == self._site else None, key_id

    @contextlib.asynccontextmanager
    async def _alone(self, pair: Pair) -> AsyncIterator[None]:
        """Let the calls of a pair through one after the other."""
        lock, waiting = self._deciding.get(pair, (Lock(), 0))
        self._deciding[pair] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._deciding.pop(pair)
            if waiting > 1:
                self._deciding[pair] = (lock, waiting - 1)

    async def _reply(self, request: Request) -> Answer:
        if isinstance(request, Knows):
            return Known(self._accounts.has(request.name))
        if self._site != DECIDES:
            return Refused("unknown", "this console does not decide")
        if not self._accounts.has(request.peer):
            return Refused("unknown", f"site {self._site} has no member {request.peer}")
        caller, other = Member(request.caller, self._peer), Member(request.peer, self._site)
        try:
            link = await self._keys.link()
            link.require_flow()
            opened, _, key_id = await self._decide(caller, other, link)
        except NoKeyNow as error:
            return Refused("red", str(error)[:500])
        except BellwireError as error:
            return Refused("later", str(error)[:500])
        assert key_id is not None  # the two are of two sites
        return Given(opened.session, key_id, opened.source)

    # -- the other console -------------------------------------------------------------------

    async def _require_known(self, other: Member) -> None:
        """Let a member of the other site pass.

        Raises:
            MemberUnknown: there is none of that name.
            KeysAbsent, PeerConsoleAbsent: nobody can say.
        """
        now = self._monotonic()
        if now <= self._remembered.get(other.name, -1.0):
            return
        answer = await self._ask(Knows(other.name))
        if not isinstance(answer, Known):
            raise PeerConsoleAbsent("the other site's console gave another answer")
        if not answer.known:
            raise MemberUnknown(f"site {other.site} has no member {other.name}")
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[other.name] = now + REMEMBERED_S

    async def _ask(self, request: Request) -> Answer:
        drawn = await self._keys.draw()
        sealed = await self._carry(seal_request(request, drawn.key_id, drawn.key, self._site))
        try:
            return open_answer(sealed, drawn.key_id, drawn.key, self._peer)
        except PeerRefused as error:
            raise PeerConsoleAbsent(
                "what answers at the other console's address is not that console"
            ) from error


def _refusal(answer: Answer, other: Member) -> BellwireError:
    if not isinstance(answer, Refused):
        return PeerConsoleAbsent("the other site's console gave another answer")
    match answer.kind:
        case "unknown":
            return MemberUnknown(f"site {other.site} has no member {other.name}")
        case "red":
            return NoKeyNow(answer.reason)
        case "later":
            return KeysAbsent(f"the other site's console: {answer.reason}")
