"""Whom a node avoids, for how long, and how an innocent comes back."""

from bellwire.network.suspicion import EXCLUDED, HALF_LIFE_S, Suspicion


def test_a_culprit_alone_on_its_route_is_left_out_for_an_hour() -> None:
    suspicion = Suspicion()
    suspicion.altered(["m"], 0.0)
    assert suspicion.excluded(HALF_LIFE_S - 1) == {"m"}
    assert suspicion.excluded(HALF_LIFE_S + 1) == frozenset()
    assert suspicion.factor("m", HALF_LIFE_S + 1) > 8


def test_the_one_that_two_bad_routes_have_in_common_is_found() -> None:
    suspicion = Suspicion()
    suspicion.altered(["m", "x"], 0.0)
    assert suspicion.excluded(1.0) == frozenset()
    suspicion.relieve(["x"], 2.0)
    suspicion.altered(["y", "m"], 3.0)
    suspicion.relieve(["y"], 4.0)
    assert suspicion.excluded(5.0) == {"m"}
    assert suspicion.factor("x", 5.0) < suspicion.factor("m", 5.0) / 3


def test_a_share_that_never_came_weighs_less_and_nobody_is_suspected_unheard() -> None:
    suspicion = Suspicion()
    suspicion.lost(["m"], 0.0)
    assert suspicion.excluded(0.0) == frozenset()
    assert suspicion.of("m", 0.0) == 0.25
    assert suspicion.factor("x", 0.0) == 1.0
    suspicion.altered([], 0.0)
    suspicion.relieve(["x"], 0.0)
    assert suspicion.of("x", 0.0) == 0.0


def test_a_clock_that_goes_back_clears_nobody() -> None:
    suspicion = Suspicion()
    suspicion.altered(["m"], 100.0)
    assert suspicion.of("m", 0.0) == 1.0


def test_shares_that_never_come_leave_nobody_out_and_forgive_no_alteration() -> None:
    suspicion = Suspicion()
    suspicion.altered(["culprit"], 0.0)
    for _ in range(10):
        suspicion.lost(["m"], 0.0)
        suspicion.lost(["culprit"], 0.0)
    assert suspicion.of("m", 0.0) == EXCLUDED
    assert suspicion.of("culprit", 0.0) == 1.0
    assert suspicion.excluded(0.0) == {"culprit"}
