import math

from bellwire.base.detections import Protocol
from bellwire.bench import link as bench
from bellwire.link import theory

N = 20_000


def test_the_bench_gives_the_names_it_promises_with_a_ratio() -> None:
    figures = bench.run(quick=True)
    assert [figure.name for figure in figures] == ["e91_pairs_per_s", "bb84_ideal_pulses_per_s"]
    for figure in figures:
        assert figure.value > 0
        assert figure.against == bench.AGAINST
        assert figure.ratio is not None


def test_the_plain_loops_follow_the_same_law() -> None:
    key = [x != y for a, b, x, y in bench.plain_bb84(N) if a == b]
    expected = theory.bb84_qber(bench.CONFIG)
    assert abs(sum(key) / len(key) - expected) < 4 * math.sqrt(expected / len(key))
    far = [1 - 2 * (x ^ y) for a, b, x, y in bench.plain_e91(N) if (a, b) == (0, 2)]
    e = theory.e91_correlation(bench.CONFIG, 0, 2)
    assert abs(sum(far) / len(far) - e) < 4 / math.sqrt(len(far))
    assert theory.detection_probability(Protocol.E91, bench.CONFIG) == 1.0
