"""One sealed line to a relay's accounts: a request, and its answer or why there is none.

After anything but AccountRefused the line is over, and what was asked for may have been done or
not.
"""

import asyncio
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from bellwire.chat.accounts.answers import Answer, Refusal, read_answer
from bellwire.chat.accounts.fields import AccountReason
from bellwire.chat.accounts.line import Line, take_offer
from bellwire.chat.accounts.requests import Request
from bellwire.chat.errors import AccountRefused, RelayChanged, RelayMisbehaved
from bellwire.chat.relay.client import RelayClient

_A = TypeVar("_A", bound=Answer)


class Asking:
    """`connect` makes it, `close` ends it.

    Attributes:
        relay: Fingerprint of the relay's identity; keep it, and give it the next time.
    """

    def __init__(self, wire: RelayClient, line: Line, relay: bytes, relay_id: bytes) -> None:
        self.relay = relay
        self._wire, self._line, self._relay_id = wire, line, relay_id
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(cls, url: str, known: bytes | None = None) -> Self:
        """Connect to the accounts of the relay at `ws://HOST:PORT` or `wss://…`.

        Args:
            url: Where the relay is.
            known: Fingerprint of its identity, from its operator or from the first time; None takes
                whoever answers.

        Raises:
            RelayUnreachable: nothing answers there.
            RelayMisbehaved: what answers is no relay.
            RelayChanged: it is another relay, or somebody in between.
            RelayRefused: the relay keeps no accounts.
        """
        return await cls.over(await RelayClient.connect(url), known)

    @classmethod
    async def over(cls, wire: RelayClient, known: bytes | None) -> Self:
        """Talk to the accounts of the relay at the other end of a line, which is ours from now on.

        As `connect`; the line is closed where it raises.
        """
        try:
            return await cls._begin(wire, known)
        except BaseException:
            wire.close()
            raise

    @classmethod
    async def _begin(cls, wire: RelayClient, known: bytes | None) -> Self:
        challenge = await wire.challenge()
        offer = await wire.ask_accounts(b"")
        hello, line, relay = take_offer(offer, challenge.nonce, challenge.relay_id)
        if known is not None and relay.fingerprint != known:
            raise RelayChanged(
                f"expected the relay {known.hex()[:16]}…, got {relay.fingerprint.hex()[:16]}…",
                hint="Ask its operator. Until it is clear, say nothing to it.",
            )
        if line.inward.open(await wire.ask_accounts(hello)):
            raise RelayMisbehaved("expected an empty record first, got another")
        return cls(wire, line, relay.fingerprint, challenge.relay_id)

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
        """End the line; again is harmless. The session stays."""
        self._wire.close()

    async def ask(self, request: Request, expected: type[_A]) -> _A:
        """What the relay answers.

        Raises:
            AccountRefused: it says no.
            RelayMisbehaved: it answers something else than what was asked for.
        """
        async with self._turn:
            try:
                answer = await self._exchange(request)
                if isinstance(answer, expected):
                    return answer
            except BaseException:
                self.close()  # its records are counted: after one that is missing, none opens
                raise
        if isinstance(answer, Refusal):
            raise _refusal(answer.reason)
        self.close()
        raise RelayMisbehaved(f"expected {expected.__name__}, got {type(answer).__name__}")

    async def _exchange(self, request: Request) -> Answer:
        record = self._line.outward.seal(msgspec.msgpack.encode(request))
        return read_answer(self._line.inward.open(await self._wire.ask_accounts(record)))


_WORDS: Final = {
    AccountReason.WRONG: ("the handle or the password is wrong", None),
    AccountReason.TAKEN: (
        "the handle, or one that looks like it, is or was somebody's",
        "Choose another.",
    ),
    AccountReason.TOO_FAST: ("too many requests at once", "Try again in a few minutes."),
    AccountReason.NOBODY: ("nobody of that handle can be found", None),
    AccountReason.FULL: ("there is no room for more", None),
    AccountReason.FAILED: ("their store failed, nothing was done", "Try again."),
    AccountReason.UNSIGNED: ("a signature does not hold", None),
    AccountReason.SESSION_OVER: ("the session has ended", "Log in again."),
    AccountReason.EXPIRED: (
        "a prekey has expired, or expires too late",
        "Compare this machine's clock with the relay's.",
    ),
    AccountReason.NO_DEVICE: ("the account has no such device", None),
    AccountReason.MALFORMED: ("a name or a value is not permitted", None),
    AccountReason.UNINVITED: (
        "a new handle takes an invitation of the relay's operator, which serves once",
        "Give it with --invitation-from.",
    ),
    AccountReason.CLOSED: ("the relay gives no new handles", "Ask its operator."),
}


def _refusal(reason: AccountReason) -> AccountRefused:
    why, hint = _WORDS[reason]
    return AccountRefused(reason, why, hint=hint)
