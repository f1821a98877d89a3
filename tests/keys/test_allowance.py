"""Quotas fill with time, priority has the last of the stock, what was not given is not counted."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.keys import allowance as module
from bellwire.keys.allowance import DAY_S, Allowance, Rules
from bellwire.keys.errors import QuotaReached


@dataclass
class Stock:
    takeable_bits: int


class Now:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def test_a_master_gets_a_days_bits_and_more_as_time_goes_by() -> None:
    now = Now()
    allowance = Allowance(Rules(bits_per_day=1000), now)
    allowance.spend("a", 600)
    with pytest.raises(QuotaReached):
        allowance.spend("a", 401)
    allowance.spend("a", 400)
    allowance.spend("b", 1000)
    now.s += DAY_S / 10
    with pytest.raises(QuotaReached):
        allowance.spend("a", 101)
    allowance.spend("a", 100)


def test_a_clock_that_is_set_back_gives_nothing() -> None:
    now = Now()
    allowance = Allowance(Rules(bits_per_day=1000), now)
    allowance.spend("a", 1000)
    for moment in (-DAY_S, -2 * DAY_S, -3 * DAY_S):
        now.s = 1000.0 + moment
        with pytest.raises(QuotaReached):
            allowance.spend("a", 8)


def test_one_master_may_have_another_quota_or_none() -> None:
    allowance = Allowance(Rules(bits_per_day=8, quotas={"a": 16, "b": 0}), Now())
    allowance.spend("a", 16)
    allowance.spend("b", 1 << 40)
    for name in ("a", "c"):
        with pytest.raises(QuotaReached):
            allowance.spend(name, 16)


def test_what_was_not_given_is_not_counted() -> None:
    allowance = Allowance(Rules(bits_per_day=8), Now())
    allowance.spend("a", 8)
    allowance.give_back("a", 8)
    allowance.spend("a", 8)


def test_the_last_of_a_stock_is_for_those_with_priority() -> None:
    allowance = Allowance(Rules(priority=frozenset({"a"}), kept_bits=1000), Now())
    for name in ("a", "b"):
        allowance.check_stock(name, Stock(1256), 256)
    allowance.check_stock("a", Stock(1255), 256)
    with pytest.raises(QuotaReached, match="priority"):
        allowance.check_stock("b", Stock(1255), 256)


def test_names_without_end_cost_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BUCKETS", 10)
    now = Now()
    allowance = Allowance(Rules(bits_per_day=8), now)
    for number in range(100):
        now.s += 1.0
        allowance.spend(str(number), 8)
    assert len(allowance._buckets) == 10


@given(st.lists(st.tuples(st.floats(0, DAY_S), st.integers(1, 2000)), max_size=40))
def test_no_more_than_a_day_and_what_time_adds_ever_leaves(steps: list[tuple[float, int]]) -> None:
    now, given_bits = Now(), 0
    allowance = Allowance(Rules(bits_per_day=1000), now)
    start = now.s
    for wait_s, bits in steps:
        now.s += wait_s
        try:
            allowance.spend("a", bits)
        except QuotaReached:
            continue
        given_bits += bits
        assert given_bits <= 1000 + (now.s - start) / DAY_S * 1000 + 1e-6
