"""One handshake over datagrams, at either end: knock, fragments, and what is said again.

What either wire keeps before the handshake is through is one message, of at most 7,345 bytes.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import Callable, Sequence
from typing import Final

from bellwire.channel.errors import HandshakeFailed
from bellwire.channel.fragments import (
    Assembly,
    Fragment,
    Knock,
    cookie_for,
    cut,
    knock_of,
    make_knock,
    parse_fragment,
)
from bellwire.channel.handshake import Policy
from bellwire.channel.macs import HELLOS, NO_MAC
from bellwire.channel.messages import DIGEST_BYTES, MAC_BYTES, Kind, Suite
from bellwire.channel.session import Session
from bellwire.iot.datagram_line import DatagramLine
from bellwire.iot.keys import KeySource

FIRST_AGAIN_S: Final = 0.5
MAX_AGAIN_S: Final = 4.0
_ANSWERS: Final = frozenset({Kind.ANSWER, Kind.RESUME_ANSWER, Kind.ALERT, Kind.UNKNOWN})
MAX_INBOX: Final = 4
"""Messages that may wait to be read."""


class CallingWire:
    """The initiator's wire.

    Args:
        carry: Sends a datagram to the responder, or loses it.
        responder_public: The pinned public key.
        datagram_bytes: The largest datagram that may be.
    """

    def __init__(
        self,
        carry: Callable[[bytes], None],
        responder_public: bytes,
        *,
        datagram_bytes: int,
    ) -> None:
        self._carry = carry
        self._public = responder_public
        self._datagram_bytes = datagram_bytes
        self._jitter = random.SystemRandom().random
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(MAX_INBOX)
        self._assembly = Assembly()
        self._knock = Knock(Suite.AES_256_GCM, b"", b"")
        self._cookie = b""
        self._say: Sequence[bytes] = ()
        self._pause = FIRST_AGAIN_S
        self._timer: asyncio.TimerHandle | None = None
        self._line: DatagramLine | None = None

    async def find(self, suite: Suite) -> None:
        """Wait until the responder answers a knock that belongs to no hello yet."""
        self._knock_with(Knock(suite, os.urandom(DIGEST_BYTES), os.urandom(MAC_BYTES)))
        await self._inbox.get()

    async def write(self, message: bytes) -> None:
        """Knock for a hello; else send it in fragments. It is repeated until an answer comes."""
        if message[0] in HELLOS and message[-MAC_BYTES:] == NO_MAC:
            self._knock_with(knock_of(message))
            return
        self._say = cut(message, self._knock.digest, self._cookie, self._datagram_bytes)
        self._pause = FIRST_AGAIN_S
        if message[0] == Kind.CONFIRM:
            self._rest()  # it goes with the session's first records
        else:
            self._speak()

    async def read(self) -> bytes:
        """The responder's next message."""
        return await self._inbox.get()

    def line(self, session: Session, *, policy: Policy, keys: KeySource | None) -> DatagramLine:
        """The session, which sends the confirmation before its records until it is heard."""
        self._line = DatagramLine(
            session.over_datagrams(),
            self._carry,
            datagram_bytes=self._datagram_bytes,
            policy=policy,
            keys=keys,
            before=self._say,
        )
        return self._line

    def feed(self, datagram: bytes) -> None:
        """Take a datagram that came; what does not belong here is dropped."""
        if self._line is not None:
            self._line.feed(datagram)
            return
        with contextlib.suppress(HandshakeFailed, asyncio.QueueFull):
            if datagram[:1] == bytes([Kind.RETRY]):
                self._take_retry(datagram)
            else:
                self._take_fragment(parse_fragment(datagram))

    def close(self) -> None:
        """Be silent; close the session if there is one."""
        self._rest()
        if self._line is not None:
            self._line.close()

    def _knock_with(self, knock: Knock) -> None:
        self._knock, self._cookie = knock, b""
        self._say = (make_knock(knock, self._public),)
        self._pause = FIRST_AGAIN_S
        self._speak()

    def _take_retry(self, retry: bytes) -> None:
        if not self._cookie:
            self._cookie = cookie_for(self._knock, retry, self._public)
            self._hear(retry)

    def _take_fragment(self, fragment: Fragment) -> None:
        if (fragment.digest, fragment.cookie) != (self._knock.digest, self._cookie):
            return
        message = self._assembly.add(fragment)
        # What we said ourselves comes back where somebody reflects it.
        if message is not None and message[0] in _ANSWERS:
            self._hear(message)

    def _hear(self, message: bytes) -> None:
        self._rest()
        self._inbox.put_nowait(message)

    def _speak(self) -> None:
        self._rest()
        for each in self._say:
            self._carry(each)
        self._timer = self._loop.call_later(self._pause * (0.75 + self._jitter() / 2), self._speak)
        self._pause = min(MAX_AGAIN_S, 2 * self._pause)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class AnsweringWire:
    """The responder's wire to one sender; its fragments have shown their cookie before.

    Args:
        carry: Sends a datagram to the initiator, or loses it.
        datagram_bytes: The largest datagram that may be.
        establish: Makes the line of a session, for which records are looked up from then on.
    """

    def __init__(
        self,
        carry: Callable[[bytes], None],
        *,
        datagram_bytes: int,
        establish: Callable[[Session, Policy, KeySource | None, bytes], DatagramLine],
    ) -> None:
        self._carry = carry
        self._datagram_bytes = datagram_bytes
        self._establish = establish
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(MAX_INBOX)
        self._assembly = Assembly()
        self._digest = self._cookie = self._hello = b""
        self._answer: Sequence[bytes] = ()

    async def read(self) -> bytes:
        """The initiator's next message."""
        return await self._inbox.get()

    async def write(self, message: bytes) -> None:
        """Answer, in fragments; the same hello again gets the same answer."""
        self._answer = cut(message, self._digest, self._cookie, self._datagram_bytes)
        for each in self._answer:
            self._carry(each)

    def line(self, session: Session, *, policy: Policy, keys: KeySource | None) -> DatagramLine:
        """The session."""
        return self._establish(session, policy, keys, self._digest)

    def feed(self, fragment: Fragment) -> None:
        """Take a fragment; HandshakeFailed, and nothing else, if it does not count."""
        message = self._assembly.add(fragment)
        if message is None:
            return
        if message[0] in HELLOS:
            if message == self._hello:
                for each in self._answer:
                    self._carry(each)
                return
            if message[-MAC_BYTES:] == NO_MAC or knock_of(message).digest != fragment.digest:
                raise HandshakeFailed("expected a hello with its cookie, got one without")
            self._check_room()  # before it is known: else its repetition would be dropped
            self._hello, self._answer = message, ()
            self._digest, self._cookie = fragment.digest, fragment.cookie
        elif message[0] != Kind.CONFIRM or fragment.digest != self._digest:
            raise HandshakeFailed("expected a message of this handshake, got another's")
        else:
            self._check_room()
        self._inbox.put_nowait(message)

    def _check_room(self) -> None:
        if self._inbox.full():
            raise HandshakeFailed("expected what was said to be read first, got more")
