"""Single instructions on words of 64 bits that Numba has no name for; LLVM has them everywhere."""

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_ONE = np.uint64(1)

Operation = Callable[..., Any]
"""What Numba's `intrinsic` makes; its own annotation counts LLVM's context as an argument."""


@intrinsic
def _popcount(_typing: Any, word: Any) -> Any:
    def generate(_context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
        return b.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def _trailing_zeros(_typing: Any, word: Any) -> Any:
    def generate(_context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
        return b.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def _leading_zeros(_typing: Any, word: Any) -> Any:
    def generate(_context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
        return b.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


popcount: Operation = _popcount
"""How many bits of a word are set."""

trailing_zeros: Operation = _trailing_zeros
"""Number of the lowest bit that is set in a word; 64 if none is."""


leading_zeros: Operation = _leading_zeros
"""How many bits above the highest that is set in a word are not; 64 if none is set."""


@intrinsic
def _fetch_ahead(_typing: Any, array: Any, at: Any) -> Any:
    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        kind, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        words, at = arguments
        data = context.make_array(signature.args[0])(context, b, words).data
        pointer = b.bitcast(b.gep(data, [at]), kind)
        instruction = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            b.module,
            ir.FunctionType(ir.VoidType(), [kind, number, number, number]),
            "llvm.prefetch.p0",
        )
        to_write, near, data_not_code = 1, 3, 1
        b.call(
            instruction,
            [pointer, *(ir.Constant(number, i) for i in (to_write, near, data_not_code))],
        )
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


fetch_ahead: Operation = _fetch_ahead
"""fetch_ahead(array, at): have element `at` of the flat array in the cache soon, to be changed."""


def _has_extract() -> bool:
    try:
        return bool(llvmlite.binding.get_host_cpu_features().get("bmi2"))
    except RuntimeError:  # LLVM does not know this system's way to tell
        return False


EXTRACTS = _has_extract()
"""Whether `extract` is one instruction here; LLVM ends the process where there is none."""


@intrinsic
def _extract_at_once(_typing: Any, word: Any, mask: Any) -> Any:
    def generate(_context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64), ir.IntType(64)])
        instruction = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            b.module, kind, "llvm.x86.bmi.pext.64"
        )
        return b.call(instruction, list(arguments))

    return types.uint64(types.uint64, types.uint64), generate


extract_at_once: Operation = _extract_at_once
"""`extract` by BMI2's instruction; only where `EXTRACTS`."""


@njit(cache=True, nogil=True)
def extract_in_steps(word: np.uint64, mask: np.uint64) -> np.uint64:
    """`extract` on any processor: bits move by 1, 2, 4 … 32 places as each needs.

    Source: Warren, "Hacker's Delight", 2nd ed. (2012), section 7-4.
    """
    kept: Any = word & mask
    gaps: Any = ~mask << _ONE
    for step in range(6):
        odd = gaps
        for shift in (1, 2, 4, 8, 16, 32):
            odd ^= odd << np.uint64(shift)
        moving = odd & mask
        mask = (mask ^ moving) | (moving >> np.uint64(1 << step))
        moved = kept & moving
        kept = (kept ^ moved) | (moved >> np.uint64(1 << step))
        gaps &= ~odd
    return kept  # type: ignore[no-any-return]


extract: Operation = extract_at_once if EXTRACTS else extract_in_steps
"""The bits of a word where a mask has ones, moved together to the lowest places."""
