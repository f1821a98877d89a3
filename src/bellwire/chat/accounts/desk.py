"""Where a relay's connections bring what they ask of accounts: one thread, and a bounded queue.

Signatures are verified and the disk is waited for beside the loop, so that payloads do not wait.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bellwire.chat.accounts.service import AccountService, Visit
from bellwire.chat.errors import RelayMisbehaved

MAX_WAITING: Final = 1024
"""Requests of all connections that may wait."""

MAX_OF_ONE: Final = 16
"""Requests of one connection that may wait."""

MAX_OF_SOURCE: Final = 128
"""Requests of one source that may wait, so that the others find room."""

Answered = Callable[[bytes | None], None]


class AccountDesk:
    """Asks one service, from one event loop; `close` it before the service's store."""

    def __init__(self, service: AccountService) -> None:
        self.fingerprint = service.fingerprint
        self._service = service
        self._thread = ThreadPoolExecutor(1, "accounts")
        self._waiting: Counter[Visit | str] = Counter()
        self._count = 0

    def ask(self, visit: Visit, body: bytes, answered: Answered) -> bool:
        """Have a request answered, in order; False if too many wait.

        `answered` is given the answer, or None if the connection must end.
        """
        waiting = self._waiting
        if (
            waiting[visit] >= MAX_OF_ONE
            or waiting[visit.source] >= MAX_OF_SOURCE
            or self._count >= MAX_WAITING
        ):
            return False
        waiting.update((visit, visit.source))
        self._count += 1
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(self._thread, self._service.serve, visit, body)
        asking.add_done_callback(lambda done: self._finish(visit, done, answered))
        return True

    def _finish(self, visit: Visit, done: "asyncio.Future[bytes]", answered: Answered) -> None:
        self._count -= 1
        self._waiting.subtract((visit, visit.source))
        for each in (visit, visit.source):
            if not self._waiting[each]:
                del self._waiting[each]
        error = None if done.cancelled() else done.exception()
        answered(None if done.cancelled() or error is not None else done.result())
        if error is not None and not isinstance(error, RelayMisbehaved):
            raise error  # a fault of ours: the loop says so

    def close(self) -> None:
        """Finish what is under way, and take nothing more."""
        self._thread.shutdown(wait=True, cancel_futures=True)
