"""Where registrations are written down and certified: those that come together, together.

A disk's sync costs as much for many as for one, so while one group is being written the next one
gathers. What always holds: nobody is told of a registration or a certificate that is not durable.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bellwire.admission.channel import ChannelDesk, ChannelGiven
from bellwire.admission.possession import p256_key
from bellwire.admission.register import Entry, Register, Registration, Standing
from bellwire.base.errors import BellwireError
from bellwire.pki.authority import Authority

MOST_AT_ONCE: Final = 64
CERTIFICATE_DAYS: Final = 7.0
SAE_PREFIX: Final = "registered:"
"""Begins the SAE id of whoever registered, so that no name can be that of another SAE."""


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate for a registered P-256 key.

    Attributes:
        sae: Its SAE id.
        certificate: PEM, with what leads to an older authority.
        authorities: PEM: whom it believes to sign the key server's.
        not_after: Its last second, since the epoch.
    """

    sae: str
    certificate: bytes
    authorities: bytes
    not_after: int


def sae_of(handle: str) -> str:
    """The SAE id of who registered by that handle."""
    return SAE_PREFIX + handle


Done = tuple[Registration, Certified | None, ChannelGiven | None]


class Desk:
    """Writes registrations down; for one event loop.

    Args:
        register: Who is registered.
        authority: Signs certificates of who is admitted; None gives none.
        channel: Gives certificates of the channel; None gives none.

    Attributes:
        turn: Held by whoever uses what writes in the register.
    """

    def __init__(
        self, register: Register, authority: Authority | None, channel: ChannelDesk | None = None
    ) -> None:
        self._register = register
        self._authority = authority
        self._channel = channel
        self._waiting: list[tuple[Entry, asyncio.Future[Done]]] = []
        self._work: asyncio.Task[None] | None = None
        self.turn = asyncio.Lock()

    async def enter(self, entry: Entry) -> Done:
        """Register one, and certify it if it is admitted.

        Raises:
            BellwireError: as `Register.enter` says, or what the authority raises.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Done] = loop.create_future()
        self._waiting.append((entry, done))
        if self._work is None:
            self._work = loop.create_task(self._write())
        return await done

    async def _write(self) -> None:
        while self._waiting:
            group = self._waiting[:MOST_AT_ONCE]
            del self._waiting[:MOST_AT_ONCE]
            entries = [entry for entry, _ in group]
            outcomes: Sequence[Done | BaseException]
            try:
                async with self.turn:
                    outcomes = await asyncio.to_thread(self._done, entries)
            except Exception as error:
                outcomes = [error] * len(group)
            for (_, done), outcome in zip(group, outcomes, strict=True):
                if done.cancelled():
                    continue
                if isinstance(outcome, BaseException):
                    done.set_exception(outcome)
                else:
                    done.set_result(outcome)
        self._work = None

    def _done(self, entries: Sequence[Entry]) -> list[Done | BaseException]:
        found = self._register.enter(entries)
        entered = [each for each in found if not isinstance(each, BellwireError)]
        certified = self._certified(entered)
        given = {} if self._channel is None else self._channel.give(entered)
        return [
            each
            if isinstance(each, BellwireError)
            else (each, certified.get(each.handle), given.get(each.handle))
            for each in found
        ]

    def _certified(self, found: Sequence[Registration]) -> dict[str, Certified]:
        if self._authority is None:
            return {}
        wanted = {
            each.handle: p256_key(each.keys["p-256"])
            for each in found
            if each.standing is Standing.ADMITTED and "p-256" in each.keys
        }
        if not wanted:
            return {}
        asked = [(sae_of(handle), public) for handle, public in wanted.items()]
        made = self._authority.certify(asked, days=CERTIFICATE_DAYS)
        authorities = self._authority.trusted()
        return {
            handle: Certified(sae_of(handle), chain, authorities, record.issued.not_after)
            for handle, (chain, record) in zip(wanted, made, strict=True)
        }
