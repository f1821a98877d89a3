"""What browsers ask a console for: `/api`, by the table of `console_contract`.

Who asks is known by his cookie, or, if it is a program, by his token. What changes anything is
taken from our own pages alone; roles are those of the table.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from bellwire import __version__
from bellwire.console.accounts import Accounts
from bellwire.console.errors import RecordRefused, SignInRefused
from bellwire.console.experiments import OFFERS, Experiments, LabOffer, TooManyExperiments
from bellwire.console.record import Record, Wanted
from bellwire.console.sessions import Sessions
from bellwire.console.views import (
    About,
    Blocks,
    Done,
    Events,
    EveView,
    MadeSession,
    Me,
    SessionList,
    StatusRecords,
    StatusRecordView,
    Stocks,
)
from bellwire.console.views_chat import ChatView, OverheardMessage, OverheardMessages
from bellwire.console.watching import Hand, Watch
from bellwire.web.api import SECURITY, Answered
from bellwire.web.callers import Callers
from bellwire.web.console_contract import OPERATIONS, WATCHERS, Operation
from bellwire.web.console_devices import SiteDevices
from bellwire.web.console_pads import PagePads
from bellwire.web.console_relay import SiteRelay
from bellwire.web.console_ways import Rider, Ways
from bellwire.web.errors import RequestRefused
from bellwire.web.heads import JSON
from bellwire.web.plain import for_verb, read_body, require_pace
from bellwire.web.rates import Rates
from bellwire.web.reader import Asked
from bellwire.web.requests import query_pairs, split_target
from bellwire.web.sign_in import Caller, SignIn

STREAMS_OF_SESSION = 8
STREAMS = 128
"""Live streams of one browser, and of all: each holds a connection."""

API_POLICY = SECURITY + b"cross-origin-resource-policy: same-origin\r\n"
_STREAM = b"content-type: text/event-stream\r\ncache-control: no-store\r\nx-accel-buffering: no\r\n"

EXPERIMENTS_PER_S = 5.0
EXPERIMENTS_BURST = 30.0
"""Of an account: what somebody asks for who moves a slider all the time."""

FLEETING = frozenset({b"/api/lab/run"})
"""What is of no use any more when who asked is gone."""

Histories = Callable[[float, int], Awaitable[list[StatusRecordView]]]

Overhear = Callable[[str, int], Awaitable[list[OverheardMessage]]]
"""What crossed the public channel of a session, above a running number."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of a browser that passed the table.

    Attributes:
        asked: As it came.
        address: Of the client.
        who: Who asks; None where everybody may, and nobody looked.
        body: Of the table's type.
        given: Parameters of the query.
    """

    asked: Asked
    address: str
    who: Caller | None
    body: Any
    given: dict[str, Any]

    @property
    def caller(self) -> Caller:
        """Who asks for what the table has roles for."""
        assert self.who is not None
        return self.who

    @property
    def watcher(self) -> bool:
        """Whether he sees what concerns others."""
        return self.caller.account.role.value in WATCHERS

    def sees(self, watchers: bool, names: frozenset[str]) -> bool:
        """Whether he may see what is for watchers alone, or concerns people of these names."""
        return not watchers or self.watcher or self.caller.account.name in names


_Handler = Callable[[Ask], Awaitable[Answered]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is behind `/api`.

    Attributes:
        signing: Who is signed in.
        accounts: Of the site.
        sessions: Of its members.
        watch: What the console sees.
        histories: How the link was.
        hand: The lab's on the link; None outside the lab.
        experiments: Of the lab, which have no link.
        record: The log that is shown; None where there is none.
        devices: Of the site.
        relay: Of the site.
        ways: To the relays; without relays nobody talks.
        pads: Of who talks; None: they talk without.
        overhear: What crossed the public channel of sessions; None outside the lab.
        clock: Seconds of a clock that only advances.
    """

    signing: SignIn
    accounts: Accounts
    sessions: Sessions
    watch: Watch
    histories: Histories
    hand: Hand | None
    experiments: Experiments
    devices: SiteDevices
    relay: SiteRelay
    ways: Ways
    record: Record | None = None
    pads: PagePads | None = None
    overhear: Overhear | None = None
    clock: Callable[[], float] = time.monotonic


class BrowserApi:
    """What a console answers under `/api`.

    Args:
        parts: What is behind it.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._signing = parts.signing
        self.watch = parts.watch
        self._streams = 0
        self._rates = Rates(EXPERIMENTS_PER_S, EXPERIMENTS_BURST)
        self._by_path: dict[bytes, dict[bytes, Operation]] = {}
        for each in OPERATIONS:
            self._by_path.setdefault(each.path, {})[each.verb] = each
        self._handlers: dict[str, _Handler] = {
            each.name: getattr(self, f"_{each.name}") for each in OPERATIONS
        }

    async def answer(self, asked: Asked, address: str, callers: Callers) -> Answered:
        """The answer to a request.

        Raises:
            RequestRefused: any other code than 200.
            BellwireError: what is put into words of HTTP by who calls.
        """
        path, query = split_target(asked.target)
        operation = for_verb(self._by_path.get(path), asked.verb)
        who = self._caller(operation, asked, address, callers)
        body = None if operation.body is None else read_body(asked.body, operation.body)
        ask = Ask(asked, address, who, body, _parameters(operation, query))
        return await self._handlers[operation.name](ask)

    def _caller(
        self, operation: Operation, asked: Asked, address: str, callers: Callers
    ) -> Caller | None:
        """Who asks; None where everybody may.

        Raises:
            RequestRefused: 401, 403, 429.
        """
        program = any(name == b"authorization" for name, _ in asked.fields)
        for_pages = operation.verb == b"POST" and not program
        self._signing.origin.check_host(asked)
        if not operation.roles:
            if for_pages:
                self._signing.origin.check_page(asked)
            callers.slow_down(address)
            return None
        if program:
            found: Caller | None = Caller(callers.account(asked, address), None)
        else:
            found = self._signing.find(asked)
        if found is None:
            callers.slow_down(address)
            raise RequestRefused(401, "expected somebody who is signed in")
        if for_pages:
            self._signing.origin.check_page(asked)
        if found.session is not None:
            callers.slow_account(found.account.name)
        if found.account.role.value not in operation.roles:
            raise RequestRefused(403, f"this is for {_listed(operation.roles)}")
        return found

    # Signing in and out

    async def _about(self, _: Ask) -> Answered:
        return _json(
            About(
                site=self.watch.site,
                version=__version__,
                lab=self._parts.hand is not None,
                first_operator=self._parts.accounts.awaits_operator,
                record=self._parts.record is not None,
                chat=bool(self._parts.ways.relays),
            )
        )

    async def _me(self, ask: Ask) -> Answered:
        return _json(self._signing.me(ask.caller))

    async def _sign_in(self, ask: Ask) -> Answered:
        return await _signed_in(self._signing.by_password(ask.body, ask.address), ask)

    async def _sign_in_by_token(self, ask: Ask) -> Answered:
        return await _signed_in(self._signing.by_token(ask.body, ask.address), ask)

    async def _sign_in_by_link(self, ask: Ask) -> Answered:
        return await _signed_in(self._signing.by_link(ask.body, ask.address), ask)

    async def _set_password(self, ask: Ask) -> Answered:
        if ask.caller.session is None:
            raise RequestRefused(403, "a password is chosen in a browser")
        changed = self._signing.set_password(ask.caller, ask.body, ask.address)
        return await _signed_in(changed, ask)

    async def _sign_out(self, ask: Ask) -> Answered:
        return _json(Done(), self._signing.sign_out(ask.asked, ask.caller, everywhere=False))

    async def _sign_out_everywhere(self, ask: Ask) -> Answered:
        return _json(Done(), self._signing.sign_out(ask.asked, ask.caller, everywhere=True))

    # What is done

    async def _make_session(self, ask: Ask) -> Answered:
        name = ask.caller.account.name
        session = await self._parts.sessions.session(name, ask.body.peer)
        made = MadeSession(self.watch.session(session.session), session.key.reveal().hex())
        answered = _json(made)
        session.key.wipe()
        return answered

    async def _attack(self, ask: Ask) -> Answered:
        return self._told(ask, await self._hand.let_in(ask.body))

    async def _reset(self, ask: Ask) -> Answered:
        return self._told(ask, await self._hand.send_away())

    async def _run_experiment(self, ask: Ask) -> Answered:
        name = ask.caller.account.name
        require_pace(self._rates.wait_s(name, self._parts.clock()))
        try:
            return _json(await self._parts.experiments.run(name, ask.body))
        except TooManyExperiments as error:
            raise RequestRefused(429, str(error), headers=[("retry-after", "1")]) from error

    @property
    def _hand(self) -> Hand:
        if self._parts.hand is None:
            raise RequestRefused(403, "the lab is not enabled: start the console with --lab")
        return self._parts.hand

    def _told(self, ask: Ask, now: EveView | None) -> Answered:
        name = ask.caller.account.name
        log.info("an operator sets Eve", account=name, kind=now and now.kind)
        return _json(self.watch.tell_eve(now, name))

    # What is shown

    async def _experiments(self, _: Ask) -> Answered:
        return _json(LabOffer(OFFERS))

    async def _network(self, ask: Ask) -> Answered:
        return _json(self.watch.network(watcher=ask.watcher))

    async def _stock(self, ask: Ask) -> Answered:
        since = ask.given["since"]
        return _json(Stocks([each for each in self.watch.samples if each.at >= since]))

    async def _history(self, ask: Ask) -> Answered:
        found = await self._parts.histories(ask.given["since"], ask.given["limit"])
        return _json(StatusRecords(found))

    async def _blocks(self, ask: Ask) -> Answered:
        after, before, most = ask.given.get("after"), ask.given.get("before"), ask.given["limit"]
        found = [
            each
            for each in self.watch.blocks
            if (after is None or each.seq > after) and (before is None or each.seq < before)
        ]
        return _json(Blocks(found[-most:], more=len(found) > most))

    async def _events(self, ask: Ask) -> Answered:
        before, most = ask.given.get("before"), ask.given["limit"]
        found = [
            view
            for view, names in self.watch.events
            if (before is None or view.seq < before) and ask.sees(view.watchers, names)
        ]
        return _json(Events(found[-most:], more=len(found) > most))

    async def _sessions(self, ask: Ask) -> Answered:
        whose = None if ask.watcher else ask.caller.account.name
        return _json(SessionList(self.watch.sessions(whose, ask.given["limit"])))

    async def _record(self, _: Ask) -> Answered:
        return await _of_log(self._log.now())

    async def _record_entries(self, ask: Ask) -> Answered:
        return await _of_log(self._log.entries(Wanted(**ask.given)))

    async def _record_consistency(self, ask: Ask) -> Answered:
        return await _of_log(self._log.consistency(ask.given["old"], ask.given.get("size")))

    @property
    def _log(self) -> Record:
        if self._parts.record is None:
            raise RequestRefused(404, "this console shows no log: set console.log_policy")
        return self._parts.record

    # The relay, and devices

    async def _relay(self, _: Ask) -> Answered:
        return _json(await self._parts.relay.look())

    async def _move_relay(self, ask: Ask) -> Answered:
        there = await self._parts.relay.move(ask.body)
        who = ask.caller.account.name
        log.info("an operator moves the relay", account=who, level=there.level)
        return _json(there)

    async def _devices(self, ask: Ask) -> Answered:
        return _json(await self._parts.devices.devices(*_sought(ask)))

    async def _device_readings(self, ask: Ask) -> Answered:
        device = bytes.fromhex(ask.given["device"])
        return _json(await self._parts.devices.readings(device, ask.given["limit"]))

    async def _device_messages(self, ask: Ask) -> Answered:
        return _json(await self._parts.devices.routes(ask.given["limit"]))

    async def _invite_device(self, ask: Ask) -> Answered:
        made = await self._parts.devices.invite(ask.body)
        invitation = made.invitation
        who = ask.caller.account.name
        log.info("a device is invited", account=who, device=invitation.name, id=invitation.id)
        return _json(made)

    async def _cancel_invitation(self, ask: Ask) -> Answered:
        await self._parts.devices.cancel(ask.body)
        log.info("an invitation is taken back", account=ask.caller.account.name, id=ask.body.id)
        return _json(Done())

    async def _remove_device(self, ask: Ask) -> Answered:
        await self._parts.devices.remove(ask.body)
        log.info(
            "a device is taken off the list",
            account=ask.caller.account.name,
            fingerprint=ask.body.fingerprint[:16],
        )
        return _json(Done())

    async def _newcomers(self, ask: Ask) -> Answered:
        return _json(await self._parts.devices.newcomers(*_sought(ask)))

    async def _decide(self, ask: Ask) -> Answered:
        found = await self._parts.devices.decide(ask.body)
        who, decision = ask.caller.account.name, ask.body.decision
        log.info("an operator decides", account=who, handle=found.handle, decision=decision)
        return _json(found)

    async def _door(self, _: Ask) -> Answered:
        return _json(await self._parts.devices.door())

    async def _register_challenge(self, ask: Ask) -> Answered:
        return _json(await self._parts.devices.challenge(ask.body, ask.address))

    async def _register_echo(self, ask: Ask) -> Answered:
        return _json(await self._parts.devices.echo(ask.body, ask.address))

    async def _register(self, ask: Ask) -> Answered:
        found = await self._parts.devices.register(ask.body, ask.address)
        who, handle = ask.caller.account.name, found.username
        log.info("a name is registered", account=who, handle=handle, standing=found.status)
        return _json(found)

    # What is said

    async def _chat(self, _: Ask) -> Answered:
        pads = self._parts.pads
        return _json(ChatView(self._parts.ways.relays, "" if pads is None else pads.sae))

    async def _chat_way(self, ask: Ask) -> Answered:
        ways, rider = self._parts.ways, _rider(ask)
        ways.check_room(rider)
        stream = ways.open(rider, lambda: self._is_alive(ask.caller))
        return Answered(kind=_STREAM, policy=API_POLICY, stream=stream)

    async def _chat_send(self, ask: Ask) -> Answered:
        self._parts.ways.send(_rider(ask), ask.body)
        return _json(Done())

    async def _chat_line(self, ask: Ask) -> Answered:
        self._parts.ways.line(_rider(ask), ask.body)
        return _json(Done())

    async def _chat_draw(self, ask: Ask) -> Answered:
        return _json(await self._pads.draw(ask.caller.account.name, ask.body))

    async def _chat_make(self, ask: Ask) -> Answered:
        return _json(await self._pads.make(ask.caller.account.name, ask.body))

    async def _chat_fetch(self, ask: Ask) -> Answered:
        return _json(await self._pads.fetch(ask.caller.account.name, ask.body))

    async def _chat_session(self, ask: Ask) -> Answered:
        return _json(await self._pads.session(ask.caller.account.name, ask.body))

    async def _chat_overheard(self, ask: Ask) -> Answered:
        overhear = self._parts.overhear
        if overhear is None:
            raise RequestRefused(403, "the lab is not enabled: nothing is overheard")
        found = await overhear(ask.given["session"], ask.given.get("after", 0))
        return _json(OverheardMessages(found))

    @property
    def _pads(self) -> PagePads:
        if self._parts.pads is None:
            raise RequestRefused(404, "this console's pages are nobody to the key server")
        return self._parts.pads

    # What happens

    async def _live(self, ask: Ask) -> Answered:
        session = ask.caller.session
        if self._streams >= STREAMS or (session and session.streams >= STREAMS_OF_SESSION):
            raise RequestRefused(429, "too many pages listen", headers=[("retry-after", "5")])
        last = [value for name, value in ask.asked.fields if name == b"last-event-id"]
        last_id = last[0].decode("latin-1") if len(last) == 1 else ""
        return Answered(kind=_STREAM, policy=API_POLICY, stream=self._listen(ask, last_id))

    async def _listen(self, ask: Ask, last_id: str) -> AsyncGenerator[bytes, None]:
        """The feed as somebody may see it, counted while he listens."""
        session = ask.caller.session
        listening = self.watch.feed.listen(
            last_id,
            lambda: self.watch.network(watcher=ask.watcher),
            lambda each: ask.sees(each.watchers, each.names),
            lambda: self._is_alive(ask.caller),
        )
        self._streams += 1
        if session is not None:
            session.streams += 1
        try:
            async for words in listening:
                yield words
        finally:
            await listening.aclose()
            self._streams -= 1
            if session is not None:
                session.streams -= 1

    def _is_alive(self, who: Caller) -> bool:
        """Whether somebody who listens may still do so."""
        if who.session is not None:
            return self._signing.browsers.lives(who.session)
        now = self._parts.accounts.find(who.account.name)
        return now is not None and now.stamp == who.account.stamp


def _rider(ask: Ask) -> Rider:
    return Rider(ask.caller.account.name, ask.caller.session)


def _sought(ask: Ask) -> tuple[str, int]:
    return ask.given.get("find", ""), ask.given["limit"]


async def _signed_in(work: Awaitable[tuple[Me, bytes]], ask: Ask) -> Answered:
    try:
        me, cookie = await work
    except SignInRefused as error:
        log.warning("sign-in refused", address=ask.address)
        raise RequestRefused(401, str(error)) from error
    return _json(me, cookie)


async def _of_log(work: Awaitable[msgspec.Struct]) -> Answered:
    try:
        return _json(await work)
    except RecordRefused as error:
        log.warning("the record is refused", reason=str(error))
        raise RequestRefused(502, str(error)) from error


def _listed(roles: frozenset[str]) -> str:
    *most, last = (f"{each}s" for each in sorted(roles))
    return f"{', '.join(most)} and {last}" if most else last


def _parameters(operation: Operation, query: bytes) -> dict[str, Any]:
    """Parameters of a query, bounded; others are ignored.

    Raises:
        RequestRefused: 400, one is not what is asked for.
    """
    given: dict[str, Any] = {}
    pairs = query_pairs(query) if query else []
    for each in operation.query:
        texts = [text for name, text in pairs if name == each.name]
        if not texts:
            if each.pattern is not None:
                raise RequestRefused(400, f"{each.name}: expected {each.about}, got nothing")
            if each.default is not None:
                given[each.name] = each.default
            continue
        if len(texts) > 1:
            raise RequestRefused(400, f"{each.name}: expected once in the query, got it twice")
        given[each.name] = each.read(texts[0])
    return given


def _json(content: msgspec.Struct, more: bytes = b"") -> Answered:
    return Answered(msgspec.json.encode(content), kind=JSON + more, policy=API_POLICY)
