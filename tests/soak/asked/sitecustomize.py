"""In every program of a soak: SIGUSR2 has it say on standard error what each of its tasks awaits.

A soak asks this of a program that does not end, before it is made to; Python reads the file by
itself, from the path that the soak gives.
"""

import signal
import sys
from types import FrameType


def _say(_number: int, _frame: FrameType | None) -> None:
    import asyncio
    import gc

    # By type: `isinstance` asks proxies for the object that they stand for, which may be gone.
    for each in [found for found in gc.get_objects() if issubclass(type(found), asyncio.Task)]:
        if not each.done():
            sys.stderr.write(f"\n{each!r}, asked to end {each.cancelling()} times\n")
            each.print_stack(file=sys.stderr)
            _chain(each)
    sys.stderr.flush()


def _chain(task: object) -> None:
    """Each await within the other, down to what does not come."""
    awaited = task.get_coro()  # type: ignore[attr-defined]
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
        sys.stderr.write(f"    awaits {awaited!r} {place}\n")
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)


signal.signal(signal.SIGUSR2, _say)
