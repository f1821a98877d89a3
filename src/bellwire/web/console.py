"""The API of a site's console: session keys for members, status, and Eve for the lab's operators.

It says who asks, bounds and reads what is asked, and puts answers and errors into words of HTTP;
what members get is decided in `console.sessions`. The fields are those that simple clients of
session keys have always had: `client_id`, `peer_id`, `aes_key` in hexadecimal digits.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta

from bellwire.base.errors import BellwireError, UnreachableError, UsageError
from bellwire.base.private import PathUnusable
from bellwire.console.accounts import Accounts, Role
from bellwire.console.errors import (
    AccountsDamaged,
    KeysAbsent,
    MemberUnknown,
    NoKeyNow,
    PeerConsoleAbsent,
    PeerRefused,
    SessionRefused,
)
from bellwire.console.guards import GuardReport, Guards
from bellwire.console.sessions import Sessions
from bellwire.console.status import Status
from bellwire.console.views import EveView
from bellwire.console.watching import Hand
from bellwire.web.api import Answered
from bellwire.web.callers import Callers
from bellwire.web.console_browser import BrowserApi
from bellwire.web.console_openapi import describe
from bellwire.web.console_pages import Page, serve
from bellwire.web.errors import RequestRefused
from bellwire.web.plain import for_verb, read_body
from bellwire.web.reader import Asked
from bellwire.web.requests import split_target
from bellwire.web.settings import DoorLimits

CONSOLE_LIMITS = DoorLimits(
    head_bytes=16 << 10,
    body_bytes=32 << 10,
    connections=400,
    connections_per_caller=256,
    requests_per_s=50.0,
    burst=100.0,
)
"""Of a console: requests are few and small, the largest a payload of 16 KiB in base64; rates are of
an account, or of an address without."""

MAX_ID = 80
_PEERS_AT_ONCE = 8
_RETRY_S = 1

log = structlog.get_logger()

Text = Annotated[str, Meta(max_length=MAX_ID)]


class SessionRequest(msgspec.Struct, frozen=True):
    """What a member asks for; members that we do not know are ignored."""

    client_id: Text
    peer_id: Text


class AttackRequest(msgspec.Struct, frozen=True):
    """Which Eve; without a word, one who measures and resends everything."""

    kind: Text = "intercept-resend"
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0


_Route = Callable[[Asked, str], Awaitable[Answered]]


class ConsoleApi:
    """What a console answers; `api.Handler` is its `answer`.

    Args:
        accounts: Of the site.
        sessions: Of its members.
        status: The link now, to whoever asks.
        lab: None where the lab is not enabled.
        clock: Seconds of a clock that only advances.
        limits: Rates of an account, and of an address without one.
        guards: Of the site; its own without them.
        browser: What browsers ask for; None for programs alone.
        pages: What browsers show, by path.
    """

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        status: Callable[[], Awaitable[Status]],
        lab: Hand | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        limits: DoorLimits = CONSOLE_LIMITS,
        guards: Guards | None = None,
        browser: BrowserApi | None = None,
        pages: Mapping[bytes, Page] | None = None,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._status = status
        self._lab = lab
        self._guards = Guards(clock) if guards is None else guards
        self._browser = browser
        self._pages = pages or {}
        self._callers = Callers(accounts, limits, clock)
        self._peers = asyncio.Semaphore(_PEERS_AT_ONCE)
        self._description = msgspec.json.encode(describe(browser=browser is not None))
        self._routes: dict[bytes, dict[bytes, _Route]] = {
            b"/get_session_key": {b"POST": self._session_key},
            b"/link_status": {b"GET": self._link_status},
            b"/force_attack": {b"POST": self._force_attack},
            b"/reset": {b"POST": self._reset},
            b"/guard_state": {b"POST": self._guard_state},
            b"/guards": {b"GET": self._show_guards},
            b"/peer": {b"POST": self._peer},
            b"/healthz": {b"GET": self._health},
            b"/openapi.json": {b"GET": self._openapi},
        }

    async def answer(self, asked: Asked, address: str) -> Answered:
        """The answer to a request.

        Raises:
            RequestRefused: any other code than 200.
        """
        path, _ = split_target(asked.target)
        try:
            if self._browser is not None and path.startswith(b"/api/"):
                return await self._browser.answer(asked, address, self._callers)
            if path in self._pages:
                self._callers.slow_down(address)
                return serve(self._pages, path, asked)
            return await for_verb(self._routes.get(path), asked.verb)(asked, address)
        except RequestRefused:
            raise
        except BellwireError as error:
            raise _refusal(error) from error

    # What there is

    async def _session_key(self, asked: Asked, address: str) -> Answered:
        account = self._callers.account(asked, address)
        if not account.role.is_member:
            raise RequestRefused(403, "this is for members")
        wanted = read_body(asked.body, SessionRequest)
        if wanted.client_id not in {account.name, f"{account.name}@{self._sessions.site}"}:
            raise RequestRefused(403, "client_id: expected the member whose token this is")
        session = await self._sessions.session(account.name, wanted.peer_id)
        body = msgspec.json.encode(
            {
                "session_id": session.session,
                "aes_key": session.key.reveal().hex(),
                "qber": session.link.qber,
                "link_status": session.link.status,
                "source": session.source,
            }
        )
        session.key.wipe()
        return Answered(body)

    async def _link_status(self, _: Asked, address: str) -> Answered:
        # Without a token: what it says is computed from what crosses the public channel.
        self._callers.slow_down(address)
        return _json(_shown(await self._status()))

    async def _force_attack(self, asked: Asked, address: str) -> Answered:
        lab, name = self._lab_of(asked, address)
        wanted = read_body(asked.body or b"{}", AttackRequest)
        return await self._told(await lab.let_in(EveView(wanted.kind, wanted.share)), name)

    async def _reset(self, asked: Asked, address: str) -> Answered:
        lab, name = self._lab_of(asked, address)
        return await self._told(await lab.send_away(), name)

    async def _guard_state(self, asked: Asked, address: str) -> Answered:
        account = self._callers.account(asked, address)
        if account.role is not Role.GUARD:
            raise RequestRefused(403, "this is for guards")
        report = read_body(asked.body, GuardReport)
        changed = self._guards.tell(account.name, report)
        if self._browser is not None:
            self._browser.watch.tell_guard(account.name, report, changed=changed)
        if changed:
            log.info(
                "a guard tells", guard=account.name, packets=report.packets, reason=report.reason
            )
        return _json({})

    async def _show_guards(self, asked: Asked, address: str) -> Answered:
        if self._callers.account(asked, address).role not in {Role.OPERATOR, Role.AUDITOR}:
            raise RequestRefused(403, "this is for operators and auditors")
        return _json({"guards": self._guards.shown(self._accounts.has_guard)})

    async def _peer(self, asked: Asked, address: str) -> Answered:
        self._callers.slow_down(address)
        if self._peers.locked():
            raise _later("too many messages between consoles at once")
        async with self._peers:
            return Answered(await self._sessions.answer(asked.body))

    async def _health(self, _: Asked, __: str) -> Answered:
        return _json({"status": "alive"})

    async def _openapi(self, _: Asked, __: str) -> Answered:
        return Answered(self._description)

    # Who asks

    def _lab_of(self, asked: Asked, address: str) -> tuple[Hand, str]:
        """The lab's hand, and which operator moves it."""
        account = self._callers.account(asked, address)
        if account.role is not Role.OPERATOR:
            raise RequestRefused(403, "this is for operators")
        if self._lab is None:
            raise RequestRefused(403, "the lab is not enabled: start the console with --lab")
        return self._lab, account.name

    async def _told(self, eve: EveView | None, name: str) -> Answered:
        if self._browser is not None:
            self._browser.watch.tell_eve(eve, name)
        attack = None if eve is None else msgspec.to_builtins(eve)
        return _json({"attack": attack, "simulated": True, **_shown(await self._status())})


def _shown(now: Status) -> dict[str, object]:
    return {
        "status": now.status,
        "qber": now.qber,
        "history": list(now.history),
        "reason": now.reason,
    }


def _refusal(error: BellwireError) -> RequestRefused:
    match error:
        case MemberUnknown():
            return RequestRefused(404, f"peer_id: {error}")
        case NoKeyNow():
            return RequestRefused(503, str(error), details=[{"link_status": "RED"}])
        case PeerRefused():
            return RequestRefused(403, str(error))
        case AccountsDamaged() | PathUnusable():
            pass  # a file of ours: the client cannot mend it, and need not know its name
        case KeysAbsent() | PeerConsoleAbsent() | UnreachableError():
            return _later(str(error))
        case SessionRefused() | UsageError():
            return RequestRefused(400, str(error))
    log.error("request failed", kind=type(error).__name__)
    return RequestRefused(500, "the console failed")


def _later(why: str) -> RequestRefused:
    return RequestRefused(503, why, headers=[("retry-after", str(_RETRY_S))])


def _json(content: object) -> Answered:
    return Answered(msgspec.json.encode(content))
