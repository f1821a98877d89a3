"""A thousand nodes: routes and stock, without a share."""

from dataclasses import replace

import pytest

from bellwire.network.errors import NetworkMisuse
from bellwire.network.hop import key_bytes
from bellwire.network.model import SHARE_OVERHEAD
from bellwire.network.simulation import Network, simulate

LARGE = Network(nodes=1000, requests_per_s=1.0)
SMALL = Network(nodes=40, fill_bits_per_s=100.0, stock_bits=50_000, requests_per_s=1.0)


def test_a_thousand_nodes_with_stock_serve_everybody_over_few_hops() -> None:
    outcome = simulate(LARGE, duration_s=120.0, seed=1)
    assert outcome.requests > 80
    assert outcome.blocked == 0.0
    assert 3.0 < outcome.hops / outcome.served < 7.0
    assert len(outcome.stock) == 4


def test_splitting_over_two_routes_takes_twice_the_hops_and_a_little_more() -> None:
    one = simulate(LARGE, duration_s=15.0, seed=2)
    two = simulate(replace(LARGE, routes=2), duration_s=15.0, seed=2)
    assert (one.requests, one.blocked) == (two.requests, two.blocked)
    assert 1.9 < two.hops / one.hops < 2.6


def test_what_is_spent_left_the_stock_and_nothing_else_did() -> None:
    quiet = replace(SMALL, fill_bits_per_s=0.0, red_per_s=0.0)
    outcome = simulate(quiet, duration_s=300.0, seed=3)
    hop = 8 * key_bytes(quiet.block_bytes + SHARE_OVERHEAD)
    start = 40 * quiet.neighbours * quiet.stock_bits
    assert outcome.spent_bits % hop == 0
    assert outcome.spent_bits >= outcome.hops * hop
    # The last refresh is before the last requests: what they spent is not in it.
    assert start * (1 - outcome.stock[-1]) <= outcome.spent_bits <= start


def test_demand_beyond_what_links_make_is_blocked_and_more_stock_serves_more() -> None:
    poor = simulate(replace(SMALL, fill_bits_per_s=10.0), duration_s=600.0, seed=4)
    rich = simulate(replace(SMALL, fill_bits_per_s=1000.0), duration_s=600.0, seed=4)
    assert poor.requests == rich.requests
    assert poor.blocked > 0.2
    assert rich.blocked < 0.02
    assert poor.stock[-1] < rich.stock[-1]


def test_links_that_turn_red_between_announcements_cost_attempts_and_few_blocks() -> None:
    stormy = replace(SMALL, red_per_s=0.003, stock_bits=2_000_000, requests_per_s=2.0)
    outcome = simulate(stormy, duration_s=600.0, seed=5)
    assert outcome.attempts >= outcome.served
    assert outcome.blocked < 0.02


def test_one_seed_is_one_story() -> None:
    assert simulate(SMALL, duration_s=100.0, seed=6) == simulate(SMALL, duration_s=100.0, seed=6)
    assert simulate(SMALL, duration_s=100.0, seed=6) != simulate(SMALL, duration_s=100.0, seed=7)


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes": 6},
        {"neighbours": 2},
        {"neighbours": 5},
        {"fill_bits_per_s": -1.0},
        {"stock_bits": -1},
        {"red_per_s": 2.0},
        {"red_s": 0.0},
        {"requests_per_s": 0.0},
        {"routes": 0},
        {"block_bytes": 0},
    ],
)
def test_a_network_has_bounds(changes: dict[str, float]) -> None:
    with pytest.raises(NetworkMisuse):
        replace(SMALL, **changes)  # type: ignore[arg-type]


def test_nothing_asked_is_nothing_blocked() -> None:
    idle = simulate(replace(SMALL, requests_per_s=1e-9), duration_s=1.0, seed=1)
    assert (idle.requests, idle.blocked) == (0, 0.0)
