"""A client's line to a relay: the owner's side and the sender's side.

Use two lines: one on which the owner logs in and listens, and one, without a login, on which
payloads are dropped; otherwise the relay could tell whose payloads they are.
"""

import asyncio
import contextlib
import hashlib
import itertools
import socket
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from picows import (
    WSError,
    WSFrame,
    WSListener,
    WSMsgType,
    WSParsedURL,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    ws_connect,
)

from bellwire.chat.errors import RelayMisbehaved, RelayRefused, RelayUnreachable
from bellwire.chat.identity import Identity
from bellwire.chat.relay.frames import (
    BUNDLES,
    MAX_ANSWER_BYTES,
    PROTOCOL_HEADER,
    Answer,
    Challenge,
    Close,
    Deliver,
    DeliverBundle,
    Done,
    Drop,
    DropBundle,
    FromAccounts,
    Listen,
    Login,
    Open,
    Placed,
    Reason,
    Refused,
    Request,
    Safe,
    SafeUpTo,
    ToAccounts,
    encode,
    read_answer,
)
from bellwire.crypto.labels import CHAT_RELAY

ANSWER_WITHIN_S: Final = 10.0

IDLE_PING_S: Final = 5.0
"""A line that brings nothing for so long is asked whether it lives: one that a guard cut while only
the relay had something to say would else never end here. As long again for the answer."""


HANG_UP_TURNS: Final = 20
"""Of the loop, for a transport to find that its connection has ended, and to close it: a few."""


class _Frames(WSListener):
    """Hands whole frames on, and says when the line has ended."""

    def __init__(self, take: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        super().__init__()
        self._take = take
        self._ended = ended

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._ended()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.BINARY:
            self._take(frame.get_payload_as_bytes())


async def _dial(to: WSParsedURL) -> socket.socket:
    """A connection to the first of a name's addresses that takes one.

    Raises:
        OSError: none does; what the last one said.
    """
    loop = asyncio.get_running_loop()
    fault: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        to.host, to.port, type=socket.SOCK_STREAM
    ):
        made = socket.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            fault = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise fault or OSError("no address")


class RelayClient:
    """One line; `RelayClient.connect` makes it, `close` ends it.

    After anything but RelayRefused the line is over, and what was asked for may have been done or
    not: connect again, and ask again with the same token.

    Attributes:
        bundles: Whether the relay takes and gives several payloads at once.
        notice: The last one of where the relay is, as it came; empty: none.
        noticed: Set whenever one has come.
    """

    def __init__(self) -> None:
        self._transport: WSTransport | None = None
        self._requests = itertools.count(1)
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._challenge: asyncio.Future[Challenge] = asyncio.get_running_loop().create_future()
        self._came: asyncio.Queue[Deliver | None] = asyncio.Queue()
        self._last = 0  # of the numbers of what was delivered
        self._in_a_row = True  # whether none was left out, or came again
        self._not_safe: set[int] = set()
        self._fault: Exception | None = None
        self.bundles = False
        self.notice = b""
        self.noticed = asyncio.Event()

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Connect to the relay at `ws://HOST:PORT` or `wss://…`.

        Raises:
            RelayUnreachable: nothing answers there.
            RelayMisbehaved: what answers is no relay.
        """
        line = cls()
        dialled: list[socket.socket] = []

        async def dial(to: WSParsedURL) -> socket.socket:
            dialled.append(await _dial(to))
            return dialled[0]

        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                line._transport, _ = await ws_connect(
                    line._agree,
                    url,
                    extra_headers={PROTOCOL_HEADER: BUNDLES},
                    socket_factory=dial,
                    max_frame_size=MAX_ANSWER_BYTES,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=IDLE_PING_S,
                    auto_ping_reply_timeout=IDLE_PING_S,
                )
                await asyncio.shield(line._challenge)
        except (OSError, WSError, ValueError) as error:
            await line._give_up(dialled)
            raise RelayUnreachable(
                "no relay answers at that address", hint="Is it up, and is the address right?"
            ) from error
        except BaseException:
            await line._give_up(dialled)
            raise
        return line

    def _agree(self, _: WSUpgradeRequest, response: WSUpgradeResponse) -> _Frames:
        """The server has chosen what we speak."""
        chosen = response.headers.get(PROTOCOL_HEADER, "")
        self.bundles = chosen == BUNDLES
        if chosen not in {"", BUNDLES}:
            self._fault = RelayMisbehaved(
                "expected a relay, got a server that speaks another protocol"
            )
            self._ended()
        return _Frames(self._take, self._ended)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the line; again is harmless."""
        if self._transport is not None:
            self._transport.disconnect()
        self._ended()

    async def _give_up(self, dialled: Iterable[socket.socket]) -> None:
        """End what was begun: picows leaves open a connection whose handshake is cancelled."""
        self.close()
        for each in dialled:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            for _ in range(HANG_UP_TURNS):
                if each.fileno() < 0:
                    break
                await asyncio.sleep(0)
            else:
                each.close()  # no transport has it

    async def login(self, account: Identity) -> None:
        """Say who owns the mailboxes; `account` is a key for this relay alone.

        Raises:
            RelayRefused, RelayUnreachable, RelayMisbehaved: see `errors`.
        """
        challenge = await self._challenge
        signature = account.sign(challenge.nonce + challenge.relay_id, CHAT_RELAY)
        await self._ask(lambda n: Login(n, account.public.public_bytes, signature))

    async def open_mailbox(self, mailbox: bytes, right: bytes) -> None:
        """Have a mailbox, into which whoever has `right` may drop; again is harmless."""
        right_hash = hashlib.sha256(right).digest()
        await self._ask(lambda n: Open(n, mailbox, right_hash))

    async def close_mailbox(self, mailbox: bytes) -> None:
        """Give a mailbox up, with what is in it."""
        await self._ask(lambda n: Close(n, mailbox))

    async def drop(self, right: bytes, token: bytes, ttl_s: int, payload: bytes) -> None:
        """Leave a payload; on return it is durable at the relay."""
        await self._ask(lambda n: Drop(n, right, token, ttl_s, payload))

    async def drop_bundle(
        self, right: bytes, ttl_s: int, tokens: Sequence[bytes], payloads: Sequence[bytes]
    ) -> None:
        """Leave payloads of one size, in this order; on return all are durable at the relay.

        For relays with `bundles` alone; at most `MAX_BUNDLE`, of `MAX_BUNDLE_BYTES` together.

        Raises:
            RelayRefused: none after one that was not taken was.
            RelayUnreachable, RelayMisbehaved: see `errors`.
        """
        kept = tuple(tokens), tuple(payloads)
        await self._ask(lambda n: DropBundle(n, right, ttl_s, *kept))

    async def challenge(self) -> Challenge:
        """What the relay began the line with."""
        return await asyncio.shield(self._challenge)

    async def ask_accounts(self, body: bytes) -> bytes:
        """Hand something to the relay's accounts; what they answer."""
        return await self._ask(lambda n: ToAccounts(n, body))

    async def listen(self) -> None:
        """Have what comes delivered, from now on; once on a line."""
        await self._ask(Listen)

    async def next(self) -> Deliver:
        """The next payload; call `safe` once it is durable here.

        Raises:
            RelayUnreachable, RelayMisbehaved: the line has ended.
        """
        delivered = await self._came.get()
        if delivered is None:
            self._came.put_nowait(None)
            raise self._fault or self._gone()
        return delivered

    async def next_ones(self) -> list[Deliver]:
        """The next payload, and those behind it that have come by now; as `next`."""
        found = [await self.next()]
        while not self._came.empty():
            each = self._came.get_nowait()
            if each is None:
                self._came.put_nowait(None)
                break
            found.append(each)
        return found

    def safe(self, *numbers: int) -> None:
        """The relay may forget these."""
        self._not_safe.difference_update(numbers)
        if self.bundles and self._in_a_row and len(numbers) > 1:
            last = max(numbers)
            if last < min(self._not_safe, default=last + 1):
                self._send(SafeUpTo(last))
                return
        for each in numbers:
            self._send(Safe(each))

    async def _ask(self, make: Callable[[int], Request]) -> bytes:
        if self._fault is not None:
            raise self._fault
        number = next(self._requests) & 0xFFFFFFFF
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = answered
        try:
            self._send(make(number))
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await answered
        except TimeoutError:
            raise RelayUnreachable("the relay did not answer in time") from None
        finally:
            self._asked.pop(number, None)

    def _send(self, request: Request) -> None:
        if self._transport is not None and self._fault is None:
            self._transport.send(WSMsgType.BINARY, encode(request))

    def _take(self, data: bytes) -> None:
        try:
            self._heard(read_answer(data))
        except RelayMisbehaved as error:
            self._fault = self._fault or error
            self.close()

    def _heard(self, answer: Answer) -> None:
        match answer:
            case Deliver(_, number, _):
                self._count(number, 1)
                self._came.put_nowait(answer)
            case DeliverBundle(mailbox, first, payloads):
                self._count(first, len(payloads))
                for number, payload in enumerate(payloads, first):
                    self._came.put_nowait(Deliver(mailbox, number, payload))
            case Done(request):
                self._settle(request, b"")
            case FromAccounts(request, body):
                self._settle(request, body)
            case Refused(0, reason):
                self._fault = _refusal(reason)
                self.close()
            case Refused(request, reason):
                self._settle(request, _refusal(reason))
            case Placed(notice):
                self.notice = notice
                self.noticed.set()
            case Challenge() if not self._challenge.done():
                self._challenge.set_result(answer)

    def _count(self, first: int, count: int) -> None:
        """So many came; what did not is not said to be safe with what did."""
        self._in_a_row = self._in_a_row and first == self._last + 1
        self._last = first + count - 1
        self._not_safe.update(range(first, first + count))

    def _settle(self, request: int, outcome: bytes | Exception) -> None:
        asked = self._asked.get(request)
        if asked is None or asked.done():
            return
        if isinstance(outcome, Exception):
            asked.set_exception(outcome)
        else:
            asked.set_result(outcome)

    def _ended(self) -> None:
        self._fault = self._fault or self._gone()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(self._fault)
        if not self._challenge.done():
            self._challenge.set_exception(self._fault)
            self._challenge.exception()  # seen, should nobody wait for it
        self._came.put_nowait(None)

    @staticmethod
    def _gone() -> RelayUnreachable:
        return RelayUnreachable("the line to the relay has ended")


_WORDS: Final = {
    Reason.NOT_LOGGED_IN: "the account is not logged in, or its signature does not hold",
    Reason.NO_MAILBOX: "there is no such mailbox",
    Reason.FULL: "the mailbox, or the account's number of mailboxes, is full",
    Reason.TOO_FAST: "too many requests at once",
    Reason.TAKEN: "the mailbox, or the right to drop, is in use",
    Reason.FAILED: "its store failed",
    Reason.ELSEWHERE: "another connection of the account listens now",
    Reason.NO_ACCOUNTS: "it keeps no accounts",
}


def _refusal(reason: Reason) -> RelayRefused:
    return RelayRefused(reason, _WORDS[reason])
