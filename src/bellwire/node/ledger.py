"""What a service of this site tells its log, put together: where it goes, and how it stands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from bellwire.base.clock import Clock, system_clock
from bellwire.ledger.outbox.carrier import Carrier, log_tls
from bellwire.ledger.outbox.delivery import Delivery
from bellwire.ledger.outbox.outbox import Outbox, Transaction
from bellwire.ledger.service.writers import read_token
from bellwire.node.settings_ledger import LedgerSettings
from bellwire.web.figures import Reading


def open_carrier(settings: LedgerSettings) -> Carrier | None:
    """The way to the log; None where nothing is recorded.

    Raises:
        LogUnusable: the authorities cannot be read.
        UsageError, PathUnusable, PathExposed: there is no token, or others may read it.
    """
    if not settings.url or settings.token is None:
        return None
    return Carrier(settings.url, read_token(settings.token), log_tls(settings.authority))


@contextlib.asynccontextmanager
async def delivering(
    settings: LedgerSettings, transaction: Transaction
) -> AsyncIterator[Delivery | None]:
    """Bring what waits in a store to the log, for as long as this lasts.

    Args:
        settings: Which log, and who we are there.
        transaction: Of the store, which is closed afterwards only.

    Raises:
        BellwireError: as `open_carrier`.
    """
    carrier = open_carrier(settings)
    if carrier is None:
        yield None
        return
    async with carrier:
        delivery = Delivery(Outbox(transaction, settings.writer), carrier)
        running = asyncio.create_task(delivery.run())
        try:
            yield delivery
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def readings_of(delivery: Delivery | None, clock: Clock = system_clock) -> Iterable[Reading]:
    """What metrics say of a delivery."""
    if delivery is None:
        return
    state = delivery.state
    age_s = 0.0 if state.oldest_at is None else max(0.0, clock() - state.oldest_at)
    yield Reading("ledger_waiting", "Entries that wait for the log.", state.waiting)
    yield Reading("ledger_oldest_seconds", "How long the first of them waits.", age_s)
    yield Reading("ledger_failing", "1 while the log takes nothing.", int(bool(state.problem)))
    yield Reading("ledger_delivered", "Entries that the log took.", delivery.delivered)
