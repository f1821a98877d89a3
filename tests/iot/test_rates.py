"""Rates make devices wait, and never more than what they brought costs."""

from hypothesis import given
from hypothesis import strategies as st

from bellwire.iot import rates as rates_module
from bellwire.iot.rates import Allowance, Rate, Rates


def test_a_burst_is_free_and_what_follows_waits() -> None:
    allowance = Allowance(Rate(10, 100), 0.0)
    assert allowance.spend(100, 0.0) == 0.0
    assert allowance.spend(20, 0.0) == 2.0
    assert allowance.spend(10, 3.0) == 0.0, "what was waited for is there"
    assert allowance.spend(100, 1000.0) == 0.0, "and it fills no further than the burst"
    assert allowance.spend(1, 1000.0) == 0.1


@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 10)), max_size=50))
def test_who_waits_never_brings_more_than_the_rate_and_one_burst(
    batches: list[tuple[int, float]],
) -> None:
    allowance, now, brought = Allowance(Rate(100, 500), 0.0), 0.0, 0
    for count, pause in batches:
        now += pause
        brought += count
        now += allowance.spend(count, now)
        assert brought <= 500 + 100 * now + 1e-6


def test_one_device_does_not_use_up_another_s_allowance() -> None:
    rates = Rates(Rate(10, 10), Rate(1000, 1000))
    assert rates.spend(b"a", 30, 0.0) == 2.0
    assert rates.spend(b"b", 10, 0.0) == 0.0
    assert Rates(Rate(10, 10), Rate(1, 5)).spend(b"a", 10, 0.0) == 5.0, "all together count too"


def test_allowances_of_many_devices_are_bounded() -> None:
    rates = Rates(Rate(1, 1), Rate(1e9, 1e9))
    for number in range(rates_module.MAX_DEVICES + 10):
        rates.spend(number.to_bytes(4, "big"), 1, 0.0)
    assert len(rates._devices) == rates_module.MAX_DEVICES
