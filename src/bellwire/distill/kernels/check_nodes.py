"""Belief propagation through parity checks, 64 or 128 checks at a time, one byte a message.

A belief about a bit is a signed byte: how much more likely it is 0 than 1, in units of a quarter of
a natural logarithm. A check over several bits tells each of them what the others say: the sign is
the product of the others' signs (and of the check's syndrome bit), the magnitude

    a ⊞ b = min(a, b) - ⌊max(0, 10 - |a - b|) / 4⌋

folded over the others: -ln tanh⁻¹-free belief propagation, whose exact rule a ⊞ b = min(a, b) -
ln(1 + e^-|a-b|) + ln(1 + e^-(a+b)) it follows to within a unit. Lanes are checks: lane i of every
vector belongs to check i. Numba has no vectors, so this is written in LLVM's own terms, of
operations that it has on every processor; where registers are shorter it splits them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 64
HIGHEST = 127
"""Belief in a bit that is known; more is cut off."""

CLIP = 45
"""Largest magnitude that a check is told: a few wrong messages of it cannot overrule a belief that
was cut off at `HIGHEST`."""

_NEAR = 10
_SHIFT = 2

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_I8, LANES)

Operation = Callable[..., Any]
"""What Numba's `intrinsic` makes; its own annotation counts LLVM's context as an argument."""


def _all(value: int) -> ir.Constant:
    return ir.Constant(_VECTOR, [value] * LANES)


def _data(context: Any, b: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, b, array).data


def _place(b: Any, data: Any, at: Any) -> Any:
    return b.bitcast(b.gep(data, [at]), _VECTOR.as_pointer())


def _load(b: Any, data: Any, at: Any) -> Any:
    lanes = b.load(_place(b, data, at))
    lanes.align = 1
    return lanes


def _store(b: Any, lanes: Any, data: Any, at: Any) -> None:
    b.store(lanes, _place(b, data, at)).align = 1


def _call(b: Any, name: str, x: Any, y: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR])
    operation = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        b.module, kind, f"llvm.{name}.v{LANES}i8"
    )
    return b.call(operation, [x, y])


def _fold(b: Any, x: Any, y: Any) -> Any:
    """Both magnitudes, one after the other: x ⊞ y; HIGHEST changes nothing."""
    low, high = _call(b, "umin", x, y), _call(b, "umax", x, y)
    near = _call(b, "usub.sat", _all(_NEAR), b.sub(high, low))
    return _call(b, "usub.sat", low, b.lshr(near, _all(_SHIFT)))


def _magnitude(b: Any, x: Any) -> Any:
    both = _call(b, "smax", x, _call(b, "ssub.sat", _all(0), x))
    return _call(b, "umin", both, _all(CLIP))


def _forward(b: Any, blocks: int, state: Any, arrays: Any) -> None:
    """Take off every bit's belief what this check said before; fold the magnitudes up to it."""
    beliefs, said, said_from, places, asked, before, degree = arrays
    signs, hard, folded = state
    with cgutils.for_range(b, degree) as loop:
        for u in range(blocks):
            edge = b.add(b.mul(loop.index, ir.Constant(_I64, blocks)), ir.Constant(_I64, u))
            at = b.mul(edge, ir.Constant(_I64, LANES))
            belief = _load(b, beliefs, b.load(b.gep(places, [edge])))
            b.store(b.xor(b.load(hard[u]), belief), hard[u])
            others = _call(b, "ssub.sat", belief, _load(b, said, b.add(said_from, at)))
            _store(b, others, asked, at)
            b.store(b.xor(b.load(signs[u]), others), signs[u])
            up_to = b.load(folded[u])
            _store(b, up_to, before, at)
            b.store(_fold(b, up_to, _magnitude(b, others)), folded[u])


def _backward(b: Any, blocks: int, state: Any, arrays: Any) -> None:
    """Fold the magnitudes from the end on, and tell every bit what the others say."""
    beliefs, said, said_from, places, asked, before, degree = arrays
    signs, folded = state
    with cgutils.for_range(b, degree) as loop:
        number = b.sub(b.sub(degree, ir.Constant(_I64, 1)), loop.index)
        for u in range(blocks):
            edge = b.add(b.mul(number, ir.Constant(_I64, blocks)), ir.Constant(_I64, u))
            at = b.mul(edge, ir.Constant(_I64, LANES))
            others = _load(b, asked, at)
            behind = b.load(folded[u])
            size = _fold(b, _load(b, before, at), behind)
            negative = b.icmp_signed("<", b.xor(signs[u], others), _all(0))
            message = b.select(negative, b.sub(_all(0), size), size)
            _store(b, message, said, b.add(said_from, at))
            belief = _call(b, "sadd.sat", others, message)
            _store(b, belief, beliefs, b.load(b.gep(places, [edge])))
            b.store(_fold(b, behind, _magnitude(b, others)), folded[u])


def _update(blocks: int) -> Operation:
    """Makes the update of `blocks` times 64 checks, side by side to keep the processor busy."""

    @intrinsic
    def work(
        _typing: Any,
        beliefs: Any,
        said: Any,
        said_from: Any,
        syndrome: Any,
        check: Any,
        places: Any,
        asked: Any,
        before: Any,
        degree: Any,
        unsatisfied: Any,
    ) -> Any:
        signature = types.void(
            beliefs,
            said,
            types.int64,
            syndrome,
            types.int64,
            places,
            asked,
            before,
            types.int64,
            unsatisfied,
        )

        def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
            data = [
                argument if isinstance(kind, types.Integer) else _data(context, b, kind, argument)
                for kind, argument in zip(signature.args, arguments, strict=True)
            ]
            beliefs, said, said_from, syndrome, check, places, asked, before, degree, wrong = data
            arrays = (beliefs, said, said_from, places, asked, before, degree)
            odd = [
                _load(b, syndrome, b.add(check, ir.Constant(_I64, LANES * u)))
                for u in range(blocks)
            ]
            signs = _variables(b, odd)
            hard = _variables(b, odd)
            _forward(
                b, blocks, (signs, hard, folded := _variables(b, [_all(HIGHEST)] * blocks)), arrays
            )
            seen = _load(b, wrong, ir.Constant(_I64, 0))
            for u in range(blocks):
                seen = b.or_(seen, b.load(hard[u]))
                b.store(_all(HIGHEST), folded[u])
            _store(b, seen, wrong, ir.Constant(_I64, 0))
            _backward(b, blocks, ([b.load(each) for each in signs], folded), arrays)
            return context.get_dummy_value()

        return signature, generate

    return work


def _variables(b: Any, values: Sequence[Any]) -> list[Any]:
    return [cgutils.alloca_once_value(b, value) for value in values]  # type: ignore[no-untyped-call]


update = _update(1)
"""update(beliefs, said, said_from, syndrome, check, places, asked, before, degree, unsatisfied):
64 checks of `degree` bits each tell their bits anew.

Lane i of edge e is belief `places[e] + i`, and what the check said to it last is message
`said_from + 64·e + i`; both are renewed. Byte `check + i` of `syndrome` is -128 where the check is
to be odd, else 0. A lane of `unsatisfied` turns negative if the beliefs, as they were before, break
its check. `asked` and `before` are room for 64·degree bytes each. All arrays are int8, `places` is
int64.
"""

update_two = _update(2)
"""As `update`, for 128 checks: edge e of the second 64 is at 2·e + 1, that of the first at 2·e."""


@intrinsic
def _mend(_typing: Any, beliefs: Any, at: Any, copy: Any, count: Any) -> Any:
    signature = types.void(beliefs, types.int64, types.int64, types.int64)

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        beliefs, at, copy, count = arguments
        data = _data(context, b, signature.args[0], beliefs)
        some = ir.Constant(_VECTOR, ir.Undefined)
        some = b.insert_element(some, b.trunc(count, _I8), ir.Constant(_I32, 0))
        zeros = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
        below = b.icmp_unsigned(
            "<", ir.Constant(_VECTOR, list(range(LANES))), b.shuffle_vector(some, some, zeros)
        )
        lanes = b.select(below, _load(b, data, copy), _load(b, data, at))
        _store(b, lanes, data, at)
        _store(b, lanes, data, copy)
        return context.get_dummy_value()

    return signature, generate


mend: Operation = _mend
"""mend(beliefs, at, copy, count): make the 64 beliefs at `at` and at `copy` the same, the first
`count` as they are at `copy`, the others as they are at `at`."""


@intrinsic
def _negative(_typing: Any, beliefs: Any, at: Any) -> Any:
    signature = types.uint64(beliefs, types.int64)

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        beliefs, at = arguments
        lanes = _load(b, _data(context, b, signature.args[0], beliefs), at)
        return b.bitcast(b.icmp_signed("<", lanes, _all(0)), _I64)

    return signature, generate


negative: Operation = _negative
"""negative(beliefs, at): bit i says whether belief at + i is below zero."""
