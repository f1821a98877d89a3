import math
from itertools import product

from bellwire.base.detections import Protocol
from bellwire.bench import link as bench
from bellwire.bench import weak
from bellwire.link import theory
from bellwire.link.weak_counts import WeakStream

N = 20_000


def test_the_bench_gives_the_names_it_promises_with_a_ratio() -> None:
    figures = bench.run(quick=True)
    assert [figure.name for figure in figures] == [
        "e91_pairs_per_s",
        "bb84_ideal_pulses_per_s",
        "decoy_bb84_realtime_factor",
        "decoy_bb84_counts_realtime_factor",
        "peak_memory_mb",
    ]
    for figure in figures:
        assert figure.value > 0
        assert (figure.ratio is None) == (figure.against is None)
    assert [figure.against for figure in figures] == [bench.AGAINST] * 2 + [
        weak.AGAINST,
        weak.AGAINST,
        None,
    ]


def test_the_plain_loops_follow_the_same_law() -> None:
    key = [x != y for a, b, x, y in bench.plain_bb84(N) if a == b]
    expected = theory.bb84_qber(bench.CONFIG)
    assert abs(sum(key) / len(key) - expected) < 4 * math.sqrt(expected / len(key))
    far = [1 - 2 * (x ^ y) for a, b, x, y in bench.plain_e91(N) if (a, b) == (0, 2)]
    e = theory.e91_correlation(bench.CONFIG, 0, 2)
    assert abs(sum(far) / len(far) - e) < 4 / math.sqrt(len(far))
    assert theory.detection_probability(Protocol.E91, bench.CONFIG) == 1.0


def test_the_plain_loop_of_decoy_states_follows_the_same_law() -> None:
    config, few, many = weak.config(1.0), 200_000, 20_000_000
    counts = weak.plain_decoys(config, few)
    stream = WeakStream(config, None, weak.SEED)
    clicks = stream.counts(stream.advance(stream.start(), many)).clicks.sum(axis=0)
    statistic = 0.0
    for k, b, a, bit, outcome in product(range(3), *(range(2) for _ in range(4))):
        expected = clicks[k, b, a, bit, outcome] * few / many
        if expected > 5:
            statistic += (counts.get((k, a, b, bit, outcome), 0) - expected) ** 2 / expected
    assert sum(counts.values()) > 2000
    assert statistic < 48 + 4 * math.sqrt(96)


def test_memory_of_a_run_is_measured_where_it_is_made() -> None:
    assert 30 < weak.measure_memory(10**8) < 2000
