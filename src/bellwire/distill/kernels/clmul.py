"""Arithmetic of GF(2⁶⁴) eight elements at a time, by the processor's carry-less multiply.

An element is a polynomial over GF(2) of degree below 64, its coefficients the bits of a word; the
field is modulo x⁶⁴ + x⁴ + x³ + x + 1. Numba has no such operation, so these functions are written
in LLVM's own terms: eight words of an array are loaded, worked on in registers and stored.

Eight words fill one register of AVX-512; on processors whose multiply takes four words or two,
the code is the same and the multiply is done in parts. Where there is no such multiply at all,
`AVAILABLE` is false and nothing here may be called: LLVM ends the process at an instruction that
the processor has not.
"""

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_INSTRUCTIONS = {
    2: "llvm.x86.pclmulqdq",
    4: "llvm.x86.pclmulqdq.256",
    8: "llvm.x86.pclmulqdq.512",
}


def _native_lanes() -> int:
    """Words that one multiply instruction of this processor takes; 0 if it has none."""
    try:
        features = llvmlite.binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this system's way to tell
        return 0
    if features.get("vpclmulqdq"):
        return 8 if features.get("avx512f") else 4
    return 2 if features.get("pclmul") else 0


NATIVE = _native_lanes()
AVAILABLE = NATIVE > 0


def _vector(lanes: int) -> ir.VectorType:
    return ir.VectorType(_I64, lanes)


def _constant(value: int) -> ir.Constant:
    return ir.Constant(_vector(LANES), [value] * LANES)


def _pick(b: Any, x: Any, y: Any, lanes: Sequence[int]) -> Any:
    """Lanes of x (0 …) and y (then on) by number."""
    numbers = ir.Constant(ir.VectorType(_I32, len(lanes)), list(lanes))
    return b.shuffle_vector(x, y, numbers)


def _splat(b: Any, word: Any) -> Any:
    first = b.insert_element(ir.Constant(_vector(LANES), ir.Undefined), word, ir.Constant(_I32, 0))
    return _pick(b, first, first, [0] * LANES)


def _products(b: Any, x: Any, y: Any, odd: int, lanes: int) -> Any:
    """128-bit products of the even words, or of the odd ones: low and high word in their place."""
    if lanes > NATIVE:
        half = lanes // 2
        parts = []
        for part in (range(half), range(half, lanes)):
            xs, ys = (_pick(b, each, each, list(part)) for each in (x, y))
            parts.append(_products(b, xs, ys, odd, half))
        return _pick(b, parts[0], parts[1], list(range(lanes)))
    kind = ir.FunctionType(_vector(lanes), [_vector(lanes), _vector(lanes), _I8])
    instruction = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        b.module, kind, _INSTRUCTIONS[lanes]
    )
    return b.call(instruction, [x, y, ir.Constant(_I8, 0x11 * odd)])


def _multiply(b: Any, x: Any, y: Any) -> Any:
    """Lane by lane, x·y in the field.

    x⁶⁴ = x⁴ + x³ + x + 1 folds the high word H of a product onto the low one; the few bits that
    shifting H pushes out are folded first, which no more pushes any out.
    """
    even, odd = (_products(b, x, y, which, LANES) for which in (0, 1))
    low = _pick(b, even, odd, [lane for k in range(0, LANES, 2) for lane in (k, k + LANES)])
    high = _pick(
        b, even, odd, [lane for k in range(0, LANES, 2) for lane in (k + 1, k + 1 + LANES)]
    )
    folded = high
    for shift in (60, 61, 63):
        folded = b.xor(folded, b.lshr(high, _constant(shift)))
    result = b.xor(low, folded)
    for shift in (1, 3, 4):
        result = b.xor(result, b.shl(folded, _constant(shift)))
    return result


def _pointer(context: Any, b: Any, kind: Any, array: Any, at: Any) -> Any:
    data = context.make_array(kind)(context, b, array).data
    return b.bitcast(b.gep(data, [at]), _vector(LANES).as_pointer())


def _load(b: Any, pointer: Any) -> Any:
    words = b.load(pointer)
    words.align = 8
    return words


def _store(b: Any, words: Any, pointer: Any) -> None:
    b.store(words, pointer).align = 8


Operation = Callable[..., None]
"""What Numba's `intrinsic` makes; its own annotation counts LLVM's context as an argument."""


def _butterfly(*, inverse: bool) -> Operation:
    """Makes low += w·high, high += low on eight pairs, or what undoes it."""

    @intrinsic
    def work(_typing: Any, array: Any, low: Any, high: Any, table: Any, at: Any, plus: Any) -> Any:
        signature = types.void(array, types.int64, types.int64, table, types.int64, types.uint64)

        def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
            words, low, high, factors, at, plus = arguments
            kind, factors_kind = signature.args[0], signature.args[3]
            to_low, to_high = (_pointer(context, b, kind, words, each) for each in (low, high))
            x, y = _load(b, to_low), _load(b, to_high)
            w = _load(b, _pointer(context, b, factors_kind, factors, at))
            w = b.xor(w, _splat(b, plus))
            if inverse:
                y = b.xor(y, x)
                x = b.xor(x, _multiply(b, y, w))
            else:
                x = b.xor(x, _multiply(b, y, w))
                y = b.xor(y, x)
            _store(b, x, to_low)
            _store(b, y, to_high)
            return context.get_dummy_value()

        return signature, generate

    return work


butterfly = _butterfly(inverse=False)
"""butterfly(a, low, high, table, at, plus): with w = table[at …] + plus, eight words each,
a[low …] += w·a[high …], then a[high …] += a[low …]."""

inverse_butterfly = _butterfly(inverse=True)
"""Undoes `butterfly` with the same arguments."""


@intrinsic
def _add_into(_typing: Any, array: Any, to: Any, at: Any) -> Any:
    signature = types.void(array, types.int64, types.int64)

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        words, *places = arguments
        to, at = (_pointer(context, b, signature.args[0], words, place) for place in places)
        _store(b, b.xor(_load(b, to), _load(b, at)), to)
        return context.get_dummy_value()

    return signature, generate


add_into: Operation = _add_into
"""add_into(array, to, at): array[to …] += array[at …], eight words that do not overlap."""


@intrinsic
def _multiply_into(_typing: Any, target: Any, factors: Any, at: Any) -> Any:
    signature = types.void(target, factors, types.int64)

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        words, factors, at = arguments
        kinds = signature.args
        into = _pointer(context, b, kinds[0], words, at)
        other = _load(b, _pointer(context, b, kinds[1], factors, at))
        _store(b, _multiply(b, _load(b, into), other), into)
        return context.get_dummy_value()

    return signature, generate


multiply_into: Operation = _multiply_into
"""multiply_into(target, factors, at): target[at …] *= factors[at …], eight words."""


@intrinsic
def _multiply_add(_typing: Any, target: Any, one: Any, other: Any, at: Any) -> Any:
    signature = types.void(target, one, other, types.int64)

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        *arrays, at = arguments
        into, x, y = (
            _pointer(context, b, kind, array, at)
            for kind, array in zip(signature.args[:3], arrays, strict=True)
        )
        product = _multiply(b, _load(b, x), _load(b, y))
        _store(b, b.xor(_load(b, into), product), into)
        return context.get_dummy_value()

    return signature, generate


multiply_add: Operation = _multiply_add
"""multiply_add(target, one, other, at): target[at …] += one[at …]·other[at …], eight words."""
