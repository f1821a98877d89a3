"""The window of datagrams over all orders of a few records: each counts once, or not at all."""

from collections.abc import Callable, Hashable
from copy import copy

import pytest
from tests.channel.models.exploring import Move, Pieces, Violation, explore

from bellwire.channel import window as window_module
from bellwire.channel.errors import RecordDropped
from bellwire.channel.window import Window

SIZE = 3
RECORDS = 9


class Arrivals:
    """A window, and what has passed it."""

    def __init__(self) -> None:
        self.window = Pieces()
        self.window.put("window", Window())
        self.passed: frozenset[int] = frozenset()

    def fork(self) -> "Arrivals":
        other = copy(self)
        other.window = self.window.fork()
        return other

    def key(self) -> Hashable:
        return self.window.key(), self.passed

    def moves(self) -> list[Move]:
        return [("take", number) for number in range(RECORDS)]

    def do(self, move: Move) -> None:
        number = move[1]
        window = self.window.touch("window")
        newest = max(self.passed, default=-1)
        try:
            window.check(number)
        except RecordDropped:
            assert number in self.passed or number <= newest - SIZE, "a new record is dropped"
            return
        assert number not in self.passed, "a record counts twice"
        assert number > newest - SIZE, "a record counts that is too old to tell"
        window.mark(number)
        self.passed |= {number}

    def check(self) -> None:
        assert self.window["window"].newest == max(self.passed, default=-1)
        assert self.window["window"]._seen.bit_length() <= SIZE, "the window grows"


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(window_module, "WINDOW", SIZE)
    monkeypatch.setattr(window_module, "_MASK", (1 << SIZE) - 1)
    return monkeypatch


def test_no_order_makes_a_record_count_twice(patch: pytest.MonkeyPatch) -> None:
    assert explore(Arrivals(), most=10_000) > 300


def _forget_on_a_jump(window: Window, number: int) -> None:
    if number > window._newest:
        window._newest, window._seen = number, 1
    else:
        window._seen |= 1 << window._newest - number


def _newest_only(window: Window, number: int) -> None:
    ahead = number - window._newest
    if ahead > 0:
        window._seen = (window._seen << ahead | 1) & window_module._MASK
        window._newest = number


def _shift(window: Window, number: int) -> None:
    ahead = number - window._newest
    if ahead > 0:
        window._seen = window._seen << ahead | 1
        window._newest = number
    else:
        window._seen |= 1 << -ahead


MUTANTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "what stood in the window is forgotten": (
        "counts twice",
        lambda patch: patch.setattr(Window, "mark", _forget_on_a_jump),
    ),
    "only the newest is remembered": (
        "counts twice",
        lambda patch: patch.setattr(Window, "mark", _newest_only),
    ),
    "the window is one too wide": (
        "too old to tell",
        lambda patch: patch.setattr(window_module, "WINDOW", SIZE + 1),
    ),
    "the window is one too narrow": (
        "a new record is dropped",
        lambda patch: patch.setattr(window_module, "WINDOW", SIZE - 1),
    ),
    "bits are never dropped": (
        "the window grows",
        lambda patch: patch.setattr(Window, "mark", _shift),
    ),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_the_search_finds_what_is_broken_on_purpose(fault: str, patch: pytest.MonkeyPatch) -> None:
    says, breaks = MUTANTS[fault]
    breaks(patch)
    with pytest.raises(Violation, match=says):
        explore(Arrivals(), most=10_000)
