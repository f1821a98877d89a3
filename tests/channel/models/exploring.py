"""All states that a small world can come to, the real objects of the product in it included.

A world is an object with `fork`, `moves`, `do`, `key` and `check`. The search is breadth first, so
that what it finds wrong is found by a shortest way, which the error tells. The product's objects
are copied before they are touched, and compared field by field, down to the last byte: two states
are one only if nothing can tell them apart. What draws lots must therefore draw them from the
world: see `toys`.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping, Sequence
from enum import Enum
from functools import cache
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType
from typing import Any, Protocol, Self, TypeVar, cast

from bellwire.base.secret import Secret
from bellwire.crypto.aead import AesGcm
from bellwire.crypto.kem import XWingPrivateKey, XWingPublicKey

Move = tuple[Any, ...]
T = TypeVar("T")

_WHOLE = (
    int,
    float,
    str,
    bytes,
    type(None),
    Enum,
    frozenset,
    FunctionType,
    BuiltinFunctionType,
    type,
    MappingProxyType,
    XWingPrivateKey,
    XWingPublicKey,
    AesGcm,
)
"""What does not change, and so is neither copied nor looked into."""


class World(Protocol):
    """What can be explored."""

    def fork(self) -> Self:
        """The same world once more."""

    def moves(self) -> Sequence[Move]:
        """What may happen now."""

    def do(self, move: Move) -> None:
        """Let it happen; AssertionError if it must not."""

    def key(self) -> Hashable:
        """The same for the same state."""

    def check(self) -> None:
        """Raise AssertionError if something is wrong with this state."""


class Pieces:
    """The product's objects in a world, by name; what is shared between worlds is never changed."""

    def __init__(self) -> None:
        self._pieces: dict[Hashable, Any] = {}
        self._keys: dict[Hashable, Hashable] = {}

    def fork(self) -> "Pieces":
        """The same objects, to be copied when they are touched."""
        other = Pieces()
        other._pieces, other._keys = self._pieces.copy(), self._keys.copy()
        return other

    def __getitem__(self, name: Hashable) -> Any:
        return self._pieces[name]

    def __contains__(self, name: Hashable) -> bool:
        return name in self._pieces

    def put(self, name: Hashable, piece: object) -> None:
        """Have this piece under this name."""
        self._pieces[name] = piece
        self._keys.pop(name, None)

    def drop(self, name: Hashable) -> None:
        """Have no such piece."""
        del self._pieces[name]
        self._keys.pop(name, None)

    def touch(self, name: Hashable) -> Any:
        """The piece, to be changed."""
        piece = clone(self._pieces[name])
        self.put(name, piece)
        return piece

    def names(self) -> list[Hashable]:
        """Of all pieces."""
        return list(self._pieces)

    def key(self) -> Hashable:
        """The same for the same content."""
        for name in self._pieces.keys() - self._keys.keys():
            self._keys[name] = freeze(self._pieces[name])
        return frozenset(self._keys.items())


class Violation(AssertionError):
    """A state that must not be, and the moves that lead there."""

    def __init__(self, way: Sequence[Move], what: str) -> None:
        super().__init__(f"{what}\nby " + ", ".join(" ".join(map(str, move)) for move in way))
        self.way = list(way)


def explore(start: World, *, most: int) -> int:
    """Visit every state that `start` can come to.

    Args:
        start: Is not changed.
        most: More states than these are an error: a search that is cut off proves nothing.

    Returns:
        How many states there are.

    Raises:
        Violation: one of them is wrong.
    """
    seen = {start.key()}
    ways: deque[tuple[World, tuple[Move, ...]]] = deque([(start, ())])
    while ways:
        world, way = ways.popleft()
        for move in world.moves():
            following = world.fork()
            try:
                following.do(move)
                state = following.key()
                if state in seen:
                    continue
                following.check()
            except AssertionError as error:
                raise Violation((*way, move), str(error) or "an assertion failed") from error
            seen.add(state)
            assert len(seen) <= most, f"more than {most} states"
            ways.append((following, (*way, move)))
    return len(seen)


@cache
def _slots(kind: Hashable) -> tuple[str, ...]:
    return tuple(
        name
        for each in cast(type, kind).__mro__
        for name in each.__dict__.get("__slots__", ())
        if name not in ("__dict__", "__weakref__")
    )


def _fields(value: Any) -> dict[str, Any]:
    found = {
        name: getattr(value, name)
        for name in _slots(cast(Hashable, type(value)))
        if hasattr(value, name)
    }
    return found | getattr(value, "__dict__", {})


def clone(value: T, memo: dict[int, Any] | None = None) -> T:
    """A copy that shares nothing with `value` that can change; what was one thing stays one."""
    if isinstance(value, _WHOLE):
        return value
    memo = {} if memo is None else memo
    if id(value) not in memo:
        memo[id(value)] = _copy(value, memo)
    return memo[id(value)]  # type: ignore[no-any-return] # it is a copy of a T


def _copy(value: Any, memo: dict[int, Any]) -> Any:
    match value:
        case Secret():
            return Secret(value.reveal())
        case bytearray():
            return bytearray(value)
        case MethodType():
            return MethodType(value.__func__, clone(value.__self__, memo))
        case Mapping():
            copied = ((clone(k, memo), clone(v, memo)) for k, v in value.items())
            return OrderedDict(copied) if isinstance(value, OrderedDict) else dict(copied)
        case tuple() | list() | set():
            copies = [clone(each, memo) for each in value]
            named = hasattr(value, "_fields")
            return type(value)(*copies) if named else type(value)(copies)
    other = object.__new__(type(value))
    memo[id(value)] = other
    for name, field in _fields(value).items():
        object.__setattr__(other, name, clone(field, memo))
    return other


def freeze(value: Any) -> Any:
    """The same for the same content, and hashable."""
    if isinstance(value, MappingProxyType):
        return id(value)
    if isinstance(value, _WHOLE):
        return value
    match value:
        case Secret():
            return value.reveal()
        case bytearray():
            return bytes(value)
        case MethodType():
            return value.__func__, freeze(value.__self__)
        case OrderedDict():
            return tuple((freeze(k), freeze(v)) for k, v in value.items())
        case Mapping():
            return frozenset((freeze(k), freeze(v)) for k, v in value.items())
        case tuple() | list():
            return tuple(freeze(each) for each in value)
        case set():
            return frozenset(freeze(each) for each in value)
    fields = _fields(value)
    return type(value), tuple((name, freeze(fields[name])) for name in sorted(fields))
