"""Work that is done to its end, whoever loses patience meanwhile."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


async def to_its_end(work: Awaitable[Result]) -> Result:
    """Do it to its end, however often we are cancelled meanwhile, and only then be cancelled.

    For what reaches the disk in a thread, which nobody can cancel: a store that was closed, or a
    secret that was wiped, by who no longer waited for it would go while the thread still uses it.
    It has to end by itself, and soon.

    Raises:
        CancelledError: we were cancelled; with the work's own error, if it had one, as its cause.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])  # which leaves it alone when we are cancelled
    except asyncio.CancelledError as cancelled:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise cancelled from (None if task.cancelled() else task.exception())
    return task.result()
