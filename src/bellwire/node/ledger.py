"""What a service of this site tells its log, put together: where it goes, and how it stands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from bellwire.ledger.outbox.carrier import Carrier, log_tls
from bellwire.ledger.outbox.delivery import Delivery
from bellwire.ledger.outbox.outbox import Noted, Outbox, Transaction
from bellwire.ledger.service.writers import read_token
from bellwire.node.settings_ledger import LedgerSettings


def open_carrier(settings: LedgerSettings) -> Carrier | None:
    """The way to the log; None where nothing is recorded.

    Raises:
        LogUnusable: the authorities cannot be read.
        UsageError, PathUnusable, PathExposed: there is no token, or others may read it.
    """
    if not settings.url or settings.token is None:
        return None
    return Carrier(settings.url, read_token(settings.token), log_tls(settings.authority))


def delivering(
    settings: LedgerSettings, transaction: Transaction, noted: Noted | None = None
) -> AbstractAsyncContextManager[Delivery | None]:
    """Bring what waits in a store to the log, for as long as this lasts.

    Args:
        settings: Which log, and who we are there.
        transaction: Of the store, which is closed afterwards only.
        noted: As `Outbox` has it.

    Raises:
        BellwireError: as `open_carrier`, at once.
    """
    return _delivering(open_carrier(settings), Outbox(transaction, settings.writer, noted))


@contextlib.asynccontextmanager
async def _delivering(carrier: Carrier | None, outbox: Outbox) -> AsyncIterator[Delivery | None]:
    if carrier is None:
        yield None
        return
    async with carrier:
        delivery = Delivery(outbox, carrier)
        running = asyncio.create_task(delivery.run())
        try:
            yield delivery
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
