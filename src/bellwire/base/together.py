"""Works that belong together: the first that ends ends the others."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Work at all until one ends, and raise what it raised.

    Not a TaskGroup: an error that ends one hides a cancellation that comes with it, and in
    Python 3.11.2 the task that had one keeps a cancellation that no later time limit gets over.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
