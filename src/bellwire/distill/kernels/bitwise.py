"""Single instructions on words of 64 bits that Numba has no name for; LLVM has them everywhere."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

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


popcount: Operation = _popcount
"""How many bits of a word are set."""

trailing_zeros: Operation = _trailing_zeros
"""Number of the lowest bit that is set in a word; 64 if none is."""
