"""Steps that reach the disk run to their end, whoever loses patience meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def whole(durable: Coroutine[Any, Any, Result]) -> Result:
    """Let a durable step run to its end even if we are cancelled: what follows relies on it."""
    task = asyncio.ensure_future(durable)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
