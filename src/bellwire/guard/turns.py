"""How soon this process has the processor when a word has come for it.

A scheduler of Linux that goes by virtual deadlines (EEVDF) prefers, among those of equal claim, who
asked for shorter turns. A guard computes for a fraction of a millisecond at a time. On two cores
with a dozen processes that want them, asking for the shortest turn that there is took the 90th
percentile of the time from the node's word to the cut from 6.8 to 3.3 ms. It takes nothing from
others, and needs no right. Kernels and machines that do not know of it go on as before.

Source: the kernel's Documentation/scheduler/sched-eevdf.rst.
"""

import ctypes
import os
import platform
import struct
import sys

TURN_NS = 100_000
"""The shortest that the kernel takes."""

_SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274}  # sched_setattr, asm/unistd.h
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # sched_attr, linux/sched/types.h
_OTHER = 0  # SCHED_OTHER


def take_turns_soon() -> bool:
    """Ask for short turns of the processor; whether the kernel took it."""
    number = _SET_ATTRIBUTES.get(platform.machine())
    if number is None or sys.maxsize < 1 << 32:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    words = _ATTRIBUTES.pack(_ATTRIBUTES.size, _OTHER, 0, nice, 0, TURN_NS, 0, 0)
    failed: int = ctypes.CDLL(None).syscall(number, 0, words, 0)
    return not failed
