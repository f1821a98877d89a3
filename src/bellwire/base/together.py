"""Works that belong together: the first that ends ends the others."""

import asyncio
from collections.abc import Awaitable


async def until_one_ends(*works: Awaitable[object]) -> None:
    """Work at all until one ends, and raise what it raised; what it returned nobody gets.

    Tasks that run already may be among them; all have ended afterwards.

    Not a TaskGroup: an error that ends one hides a cancellation that comes with it, and in
    Python 3.11.2 the task that had one keeps a cancellation that no later time limit gets over.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
