"""A connection to a NATS server, made within a time, and never made anew by the library.

Left to itself the library tries a server for ever, or keeps its caller waiting for one that takes
connections and says nothing. Here whoever needs the connection decides when to try again, and what
failed on the way is in the error, where the library hands it to a callback.

Needs nats-py, the extra `nats`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from nats.aio.client import Client
from nats.errors import Error as NatsError

CONNECT_WITHIN_S: Final = 5.0


async def connect_once(
    url: str,
    options: Mapping[str, Any],
    *,
    within_s: float = CONNECT_WITHIN_S,
    closed: Callable[[], Awaitable[None]] | None = None,
) -> Client:
    """Connect; once the connection has ended it stays so.

    Args:
        url: `nats://HOST:PORT` or `tls://HOST:PORT`.
        options: More for `nats.connect`: credentials, TLS, pings.
        within_s: Seconds for all of it.
        closed: Called when the connection has ended.

    Raises:
        ConnectionError: the server does not answer in time, or does not take us; it says which.
    """
    said: list[str] = []

    async def failed(error: Exception) -> None:
        said.append(str(error))

    client = Client()
    try:
        async with asyncio.timeout(within_s):
            await client.connect(
                url,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=max(1, round(within_s)),
                error_cb=failed,
                closed_cb=closed,
                **options,
            )
        heed_cancellation()
    except BaseException as error:
        await leave(client)
        if isinstance(error, NatsError | OSError | TimeoutError):
            heed_cancellation()
            why = next(filter(None, (*reversed(said), str(error))), "no answer")
            raise ConnectionError(f"the NATS server cannot be reached: {why}") from error
        raise
    return client


async def leave(client: Client) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(NatsError, OSError, TimeoutError):
        await client.close()


def heed_cancellation() -> None:
    """Raise CancelledError if this task was told to end and the library lost it.

    It waits by `asyncio.wait_for`, which returns what came together with a cancellation (Python
    3.11), and its `close` takes a cancellation of its caller for that of its own tasks. To be
    called after it was waited for, wherever a task would go on for ever otherwise; not while
    things are closed at a task's end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
