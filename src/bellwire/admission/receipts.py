"""Receipts of registrations, made from the log when they are asked for, and kept nowhere.

Nobody waits for the log to be registered: who registered asks for the receipt a little later.
"""

import asyncio
from typing import Final

from bellwire.admission.register import Register
from bellwire.base.handles import canonical
from bellwire.ledger.reading import Fetch, LogReader
from bellwire.ledger.registered import make_receipt

MOST_AT_ONCE: Final = 8


class Receipts:
    """Makes receipts; for one event loop.

    Args:
        register: Who is registered, and where the log has it.
        fetch: The way to the log that is told; several threads use it.
    """

    def __init__(self, register: Register, fetch: Fetch) -> None:
        self._register = register
        self._reader = LogReader(fetch)
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    async def of(self, handle: str) -> bytes | None:
        """The receipt of a name's registration, a tlog-proof file; None: the log is not so far yet.

        Raises:
            HandleMalformed: it is no handle.
            RegistrationUnknown: nobody of that name was admitted, or no log was told.
            LedgerError: the log does not show it.
        """
        name = canonical(handle)
        number = self._register.number(name)
        found = self._register.find(name)
        if number is None or found is None:
            return None
        async with self._turns:
            made = await asyncio.to_thread(make_receipt, self._reader, number, name, found.keys)
        return None if made is None else made.encode()
