"""One client of a relay: its requests read, and answered in one write for each turn of the loop."""

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from bellwire.chat.accounts.service import Visit
from bellwire.chat.errors import BundleRefused, RelayMisbehaved
from bellwire.chat.identity import IdentityPublic
from bellwire.chat.relay.frames import (
    DROP_BYTES,
    NONCE_BYTES,
    Answer,
    Challenge,
    Close,
    FromAccounts,
    Listen,
    Login,
    Op,
    Open,
    Placed,
    Reason,
    Refused,
    Request,
    ToAccounts,
    deliver_head,
    done,
    encode,
    read_drop,
    read_request,
    read_safe,
)
from bellwire.chat.relay.jobs import (
    CloseMailbox,
    Fetch,
    Job,
    Mailboxes,
    OpenMailbox,
    Outcome,
    Parcel,
)
from bellwire.chat.relay.listening import WINDOW, Listening
from bellwire.chat.relay.rates import source_of
from bellwire.crypto.labels import CHAT_RELAY

if TYPE_CHECKING:
    from bellwire.chat.relay.doors import Door
    from bellwire.chat.relay.server import Relay

_BINARY: Final = WSMsgType.BINARY
_DROP, _SAFE = int(Op.DROP), int(Op.SAFE)

MAX_UNREAD_BYTES: Final = 4 << 20
"""Answers that a client may leave unread: more than all that may be under way to a listener."""


class Connection(WSListener):
    """One client, which came in by one door."""

    def __init__(self, relay: "Relay", door: "Door") -> None:
        super().__init__()
        self._relay = relay
        self.door = door
        self._transport: WSTransport | None = None
        self._out: list[bytes] = []
        self._source = ""
        self._nonce = os.urandom(NONCE_BYTES)
        self._account: bytes | None = None
        self._visit: Visit | None = None
        self.listening: Listening | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin with a challenge, if there is room."""
        self._transport = transport
        peer = transport.underlying_transport.get_extra_info("peername")
        self._source = source_of(peer[0] if peer else "")
        if not self._relay.entered(self, self._source):
            self.hang_up()
            return
        self._drops = self._relay.drops.bucket(self._source, self._relay.clock())
        self.send(Challenge(self._nonce, self._relay.relay_id))
        if self._relay.notice:
            self.send(Placed(self._relay.notice))
        if self.door.only_tells:
            self.hang_up()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget the client; what it had not said to be safe stays."""
        self._transport = None
        self._stop_listening()
        self._relay.left(self, self._source)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One request; whatever is none ends the connection."""
        if frame.msg_type != _BINARY or not frame.fin:
            self._control(transport, frame)
            return
        data = frame.get_payload_as_bytes()
        op = data[0] if data else 0
        if op == _DROP:
            drop = read_drop(data)
            if drop is not None:
                self._drop(*drop, data[DROP_BYTES:])
                return
        elif op == _SAFE:
            number = read_safe(data)
            if number is not None:
                self._safe(number)
                return
        try:
            request = read_request(data)
        except RelayMisbehaved:
            self.hang_up()
            return
        self._take(request)

    def _control(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.flush()
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type not in {WSMsgType.PING, WSMsgType.PONG}:
            self.hang_up()

    def hang_up(self) -> None:
        """End the connection, after what there was to say."""
        if self._transport is not None:
            self.flush()
            self._transport.disconnect()

    # What others of the relay tell it

    def send(self, answer: Answer) -> None:
        """Say something with the next write."""
        data = encode(answer)
        self._write(_header(len(data)) + data)

    def done(self, request: int) -> None:
        """Say that it was done."""
        self._write(_DONE_HEADER + done(request))

    def _write(self, *parts: bytes) -> None:
        if self._transport is not None:
            if not self._out:
                self._relay.write_soon(self)
            self._out += parts

    def flush(self) -> None:
        """Write all that there is to say."""
        out, self._out = self._out, []
        if self._transport is None or not out:
            return
        below = self._transport.underlying_transport
        with contextlib.suppress(ConnectionError):
            below.write(b"".join(out))
            if below.get_write_buffer_size() > MAX_UNREAD_BYTES:
                below.abort()

    def offer(self, parcel: Parcel) -> None:
        """Deliver what is stored now, if the listener has all that is older, and room."""
        listening = self.listening
        if listening is None or not listening.caught_up or parcel.number <= listening.highest:
            return
        if listening.room:
            self.deliver(listening, parcel)
        else:
            listening.caught_up = False

    def deliver(self, listening: Listening, parcel: Parcel) -> None:
        """Send it, whether it is stored yet or not."""
        number = listening.add(parcel)
        head = deliver_head(parcel.mailbox, number)
        payload = parcel.payload
        self._write(_header(len(head) + len(payload)) + head, payload)

    def fetch(self) -> None:
        """There may be more in the store than the listener got, or a claim that is newer."""
        listening = self.listening
        if listening is None:
            return
        listening.caught_up = False
        if self._relay.company is not None and not listening.claim:
            return  # it is fetched with the claim
        if listening.fetching:
            listening.again = True
            return
        listening.fetching = True
        room = listening.room
        self._relay.ask(
            Fetch(listening.account, list(listening.flying.values()), room, listening.claim),
            lambda outcome: self._fetched(listening, room, outcome),
        )

    def wake(self) -> None:
        """Something was stored for the listener: fetch it, once there is room."""
        listening = self.listening
        if listening is None:
            return
        listening.caught_up = False
        if listening.room:
            self.fetch()

    def superseded(self) -> None:
        """Another connection of the account listens now."""
        self.listening = None
        self.send(Refused(0, Reason.ELSEWHERE))
        self.hang_up()

    # Requests

    def _take(self, request: Request) -> None:
        match request:
            case Login():
                self._login(request)
            case Open() | Close() | Listen() if self._account is None:
                self.send(Refused(request.request, Reason.NOT_LOGGED_IN))
            case Open(number, mailbox, right_hash):
                assert self._account is not None
                self._ask(number, OpenMailbox(self._account, mailbox, right_hash))
            case Close(number, mailbox):
                assert self._account is not None
                self._ask(number, CloseMailbox(self._account, mailbox))
            case Listen(number):
                self._listen(number)
            case ToAccounts(number, body):
                self._ask_accounts(number, body)

    def _drop(self, request: int, right: bytes, token: bytes, ttl_s: int, payload: bytes) -> None:
        relay = self._relay
        if self._drops.admit(relay.clock()):
            parcel = Parcel(
                hashlib.sha256(right).digest(),
                token,
                int(relay.now()) + ttl_s,
                payload,
                [(self, request)],
            )
            if relay.put(parcel):
                return
        relay.counted.refused[Reason.TOO_FAST] += 1
        self.send(Refused(request, Reason.TOO_FAST))

    def _ask(self, request: int, job: Job) -> None:
        def finish(outcome: Outcome) -> None:
            if isinstance(outcome, Reason):
                self.send(Refused(request, outcome))
                return
            self.done(request)
            shared = self._relay.company is not None
            if isinstance(job, OpenMailbox) and self.listening is not None and not shared:
                self._relay.know(job.right_hash, job.mailbox, job.account)
                self.fetch()

        if isinstance(job, CloseMailbox):
            self._relay.unknow(job.account, job.mailbox)
        if not self._relay.ask(job, finish):
            self.send(Refused(request, Reason.TOO_FAST))

    def _login(self, login: Login) -> None:
        if not self._relay.logins.admit(self._source, self._relay.clock()):
            self.send(Refused(login.request, Reason.TOO_FAST))
            return
        account = IdentityPublic(login.public)
        try:
            account.verify(login.signature, self._nonce + self._relay.relay_id, CHAT_RELAY)
        except BundleRefused:
            self.send(Refused(login.request, Reason.NOT_LOGGED_IN))
            return
        self._stop_listening()
        self._account = hashlib.sha256(login.public).digest()
        self.done(login.request)

    def _ask_accounts(self, request: int, body: bytes) -> None:
        accounts = self._relay.accounts
        if accounts is None:
            self.send(Refused(request, Reason.NO_ACCOUNTS))
            return
        self._visit = self._visit or Visit(self._nonce, self._source)

        def answered(answer: bytes | None) -> None:
            if answer is None:
                self.hang_up()
            else:
                self.send(FromAccounts(request, answer))

        if not accounts.ask(self._visit, body, answered):
            self.hang_up()  # its records are counted: none can be left out

    def _listen(self, request: int) -> None:
        assert self._account is not None
        self.listening = listening = Listening(self._account)
        self._relay.begin_listening(self, self._account)
        self.done(request)
        if self._relay.company is not None:
            self._relay.company.claim(self, listening)
            return

        def known(outcome: Outcome) -> None:
            if listening is not self.listening:
                return
            if isinstance(outcome, Reason):
                self.hang_up()
                return
            assert isinstance(outcome, list)
            for each in outcome:
                assert isinstance(each, tuple)
                mailbox, right_hash = each
                self._relay.know(right_hash, mailbox, listening.account)
            # Only now: whoever drops from here on is seen to drop for this listener.
            self.fetch()

        self._relay.ask(Mailboxes(self._account), known)

    def _stop_listening(self) -> None:
        listening, self.listening = self.listening, None
        if listening is not None:
            self._relay.end_listening(self, listening.account)
            if self._relay.company is not None:
                self._relay.company.release(listening.account, listening.claim)

    def _fetched(self, listening: Listening, room: int, outcome: Outcome) -> None:
        listening.fetching = False
        if listening is not self.listening:
            return
        if outcome is Reason.ELSEWHERE:
            self._relay.end_listening(self, listening.account)
            self.superseded()
            return
        if isinstance(outcome, Reason):
            self.hang_up()  # the store failed: the client comes again
            return
        assert isinstance(outcome, list)
        for each in outcome:
            assert isinstance(each, Parcel)
            listening.highest = max(listening.highest, each.number)
            self.deliver(listening, each)
        listening.caught_up = len(outcome) < room and not listening.again
        listening.again = False
        self._catch_up(listening)

    def _safe(self, number: int) -> None:
        listening = self.listening
        parcel = None if listening is None else listening.take(number)
        if listening is not None and parcel is not None:
            self._relay.safe(parcel)
            self._catch_up(listening)

    def _catch_up(self, listening: Listening) -> None:
        behind = not listening.caught_up and not listening.fetching
        if behind and listening.room >= WINDOW // 2:
            self.fetch()


def _header(size: int) -> bytes:
    """What precedes a binary frame of a server (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((0x82, size))
    if size < 1 << 16:
        return b"\x82\x7e" + size.to_bytes(2, "big")
    return b"\x82\x7f" + size.to_bytes(8, "big")


_DONE_HEADER: Final = _header(len(done(0)))
