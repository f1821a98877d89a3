"""One client of a relay: what came at once is read at once, and answered in one write.

Requests are gathered until nothing more is in the buffer, and answers until the loop's turn is
over; so what costs the same for one message as for many (clocks, limits, writes) is paid once.
"""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from bellwire.chat.accounts.service import Visit
from bellwire.chat.errors import BundleRefused, RelayMisbehaved
from bellwire.chat.identity import IdentityPublic
from bellwire.chat.relay.bundles import Bundle, alike
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
    binary_header,
    deliver_bundle_head,
    deliver_head,
    done,
    encode,
    read_bundle,
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

MAX_UNREAD_BYTES: Final = 4 << 20
"""Answers that a client may leave unread: more than all that may be under way to a listener."""

MAX_RIGHTS: Final = 256
"""Rights of which a connection remembers the hash: a hash costs more than all else of a drop."""


class Connection(WSListener):
    """One client, which came in by one door.

    Attributes:
        bundles: Whether it understands them.
        listening: What is delivered to it; None: nothing.
    """

    def __init__(self, relay: "Relay", door: "Door", *, bundles: bool) -> None:
        super().__init__()
        self._relay = relay
        self.door = door
        self.bundles = bundles
        self._transport: WSTransport | None = None
        self._in: list[bytes] = []
        self._out: list[bytes | memoryview] = []
        self._hashes: dict[bytes, bytes] = {}
        self._over = False
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
        """One request, or several; whatever is none ends the connection."""
        if frame.msg_type == _BINARY and frame.fin:
            self._in.append(frame.get_payload_as_bytes())
            if frame.last_in_buffer:
                self._read()
            return
        self._read()
        self._control(transport, frame)

    def _read(self) -> None:
        """Do what came, in order."""
        frames, self._in = self._in, []
        if self._over or not frames:
            return
        relay = self._relay
        clock, now = relay.clock(), int(relay.now())
        self._drops.refill(clock)
        for data in frames:
            op = data[0] if data else 0
            take = self._OFTEN.get(op)
            if take is not None and take(self, data, clock, now):
                continue
            try:
                request_read = read_request(data)
            except RelayMisbehaved:
                self.hang_up()
                return
            self._take(request_read)
            if self._is_over():
                return

    def _drop(self, data: bytes, clock: float, now: int) -> bool:
        """Take a payload; whether it is one."""
        drop = read_drop(data)
        if drop is None:
            return False
        request, right, token, ttl_s = drop
        right_hash = self._hashes.get(right) or self._hash(right)
        payload = data[DROP_BYTES:]
        parcel = Parcel(right_hash, token, now + ttl_s, payload, self, request, clock)
        if not (self._drops.take() and self._relay.put(parcel)):
            self._relay.counted.refused[Reason.TOO_FAST] += 1
            self.refused(request, Reason.TOO_FAST)
        return True

    def _drop_bundle(self, data: bytes, clock: float, now: int) -> bool:
        """Take payloads that are together; whether they are such."""
        drop = read_bundle(data)
        if drop is None:
            return False
        request, right, ttl_s, tokens, payloads, size = drop
        right_hash = self._hashes.get(right) or self._hash(right)
        bundle = Bundle(right_hash, tokens, now + ttl_s, payloads, size, self, request, clock)
        if not (self._drops.take(len(tokens)) and self._relay.put_bundle(bundle)):
            self._relay.counted.refused[Reason.TOO_FAST] += len(tokens)
            self.refused(request, Reason.TOO_FAST)
        return True

    def _safe(self, data: bytes, clock: float, now: int) -> bool:
        """The owner has a payload; whether it says so."""
        number = read_safe(data)
        if number is None:
            return False
        listening = self.listening
        if listening is not None:
            self._take_safe(listening, number)
            if not listening.caught_up:
                self._catch_up(listening)
        return True

    def _safe_up_to(self, data: bytes, clock: float, now: int) -> bool:
        """The owner has all payloads up to one; whether it says so."""
        number = read_safe(data)
        if number is None:
            return False
        listening = self.listening
        if listening is not None:
            while (bundle := listening.take_bundle(number)) is not None:
                self._relay.safe_bundle(bundle)
            for each in [one for one in listening.flying if one <= number]:
                self._take_safe(listening, each)
            if not listening.caught_up:
                self._catch_up(listening)
        return True

    def _take_safe(self, listening: Listening, number: int) -> None:
        parcel = listening.take(number)
        if parcel is not None:
            self._relay.safe(parcel)

    _OFTEN: Final = {
        int(Op.DROP): _drop,
        int(Op.DROP_BUNDLE): _drop_bundle,
        int(Op.SAFE): _safe,
        int(Op.SAFE_UP_TO): _safe_up_to,
    }

    def _is_over(self) -> bool:
        return self._over

    def _hash(self, right: bytes) -> bytes:
        if len(self._hashes) >= MAX_RIGHTS:
            self._hashes.clear()
        self._hashes[right] = found = hashlib.sha256(right).digest()
        return found

    def _control(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.flush()
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type not in {WSMsgType.PING, WSMsgType.PONG}:
            self.hang_up()

    def hang_up(self) -> None:
        """End the connection, after what there was to say; what else comes on it does not count."""
        self._over = True
        if self._transport is not None:
            self.flush()
            self._transport.disconnect()

    # What others of the relay tell it

    def send(self, answer: Answer) -> None:
        """Say something with the next write."""
        data = encode(answer)
        self._write(binary_header(len(data)) + data)

    def done(self, request: int) -> None:
        """Say that it was done."""
        self._write(done(request))

    def refused(self, request: int, reason: Reason) -> None:
        """Say that it was not."""
        self.send(Refused(request, reason))

    def _write(self, *parts: bytes | memoryview) -> None:
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
        payload = parcel.payload
        self._write(deliver_head(parcel.mailbox, listening.add(parcel), len(payload)), payload)

    def deliver_bundle(self, number: int, bundle: Bundle) -> None:
        """Send what is under way from this number on."""
        payloads = bundle.payloads
        head = deliver_bundle_head(bundle.mailbox, number, len(bundle.tokens), len(payloads))
        self._write(head, payloads)

    def _deliver_all(self, listening: Listening, parcels: Sequence[Parcel]) -> None:
        """Send what was stored, as much of it together as goes."""
        for some in alike(parcels) if self.bundles else [[each] for each in parcels]:
            if len(some) == 1:
                self.deliver(listening, some[0])
                continue
            first, *_ = [listening.add(each) for each in some]
            size = len(some) * len(some[0].payload)
            head = deliver_bundle_head(some[0].mailbox, first, len(some), size)
            self._write(head, *(each.payload for each in some))

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
        if self.listening is not None:
            self._relay.store_lingering(self.listening)
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
            if self.listening is not None:
                self._relay.store_lingering(self.listening)
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
        if self.listening is not None:
            self._relay.store_lingering(self.listening)
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
            self._relay.store_lingering(listening)
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
        parcels = [each for each in outcome if isinstance(each, Parcel)]
        for each in parcels:
            listening.highest = max(listening.highest, each.number)
        self._deliver_all(listening, parcels)
        listening.caught_up = len(outcome) < room and not listening.again
        listening.again = False
        self._catch_up(listening)

    def _catch_up(self, listening: Listening) -> None:
        behind = not listening.caught_up and not listening.fetching
        if behind and listening.room >= WINDOW // 2:
            self.fetch()
