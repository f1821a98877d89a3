"""Many cycles of a guard's rules on the kernel, drawn at random."""

import random
import time
from pathlib import Path

from tests.guard.spaces import OTHER_PORT, Spaces
from tests.guard.walls import Wall, run
from tests.patience import PATIENCE_S

LOOK_EVERY = 10
"""Cycles between two tries whether packets pass as they should."""


def torment(net: Spaces, wall: Wall, drawn: random.Random, cycles: int) -> list[str]:
    """What was not as it must be after so many cycles."""
    wall.add_foreign()
    before, files = wall.listed(), files_open()
    faults = []
    enforcer = wall.enforcer()
    enforcer.begin()
    ours = wall.listed()
    for number in range(cycles):
        action = drawn.choice(["permit", "forbid", "take over", "flush"])
        if action == "permit":
            enforcer.permit(60.0)
        elif action == "forbid":
            enforcer.forbid()
        elif action == "take over":
            enforcer = wall.enforcer()
            if not enforcer.begin():
                faults.append(f"cycle {number}: rules that were there were not taken over")
        else:
            _flush(wall)
            if enforcer.intact():
                faults.append(f"cycle {number}: rules that were flushed were not missed")
            enforcer.begin()
        enforcer.permit(60.0)
        if number % LOOK_EVERY == 0 and not (net.reaches() and net.reaches(port=OTHER_PORT)):
            faults.append(f"cycle {number}: what may pass does not")
        enforcer.forbid()
        if number % LOOK_EVERY == 0 and (net.reaches() or not net.reaches(port=OTHER_PORT)):
            faults.append(f"cycle {number}: what may not pass does")
    if sorted(wall.listed().splitlines()) != sorted(ours.splitlines()):
        faults.append("the rules are others than in the beginning")
    enforcer.remove()
    if wall.listed() != before:
        faults.append("something is left of the rules")
    if more := files_more_than(files):
        faults.append(f"{more} more files are open")
    return faults


def files_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def files_more_than(before: int) -> int:
    """How many more files than before stay open; connections' other ends close a moment later."""
    ends = time.monotonic() + PATIENCE_S
    while (more := files_open() - before) > 0 and time.monotonic() < ends:
        time.sleep(0.01)
    return max(0, more)


def _flush(wall: Wall) -> None:
    """Others take rules of ours away, and leave their own."""
    if wall.name == "nftables":
        wall.nft.run("flush chain inet bellwire_guard forward")
    else:
        run(wall.name, "-F", "BELLWIRE-GUARD")
