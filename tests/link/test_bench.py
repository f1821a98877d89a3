"""The link's benchmark gives its named figures, and what stands beside them does the same work."""

import json
import math
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest

from bellwire.base.detections import Protocol
from bellwire.bench import link as bench
from bellwire.bench import pairs, plain, rivals, weak
from bellwire.bench.rivals import Result, Rival, measure
from bellwire.link import theory
from bellwire.link.eve import Eve, EveKind
from bellwire.link.pair_law import NOTHING, joint_law
from bellwire.link.weak_counts import WeakStream

N = 20_000


def needs(library: str) -> pytest.MarkDecorator:
    """Skip where an optional library is missing; it is not imported here, only in its process."""
    return pytest.mark.skipif(find_spec(library) is None, reason=f"needs {library}")


def test_the_bench_gives_the_names_it_promises_with_a_ratio_where_something_ran_beside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def instead(rival: Rival, *_numbers: float) -> tuple[Result, ...]:
        if rival is rivals.QKDPY:
            return (Result("QKDpy, which is not installed", None),)
        return tuple(Result(f"{rival.module} {what}", 1e3) for what in rival.does)

    monkeypatch.setattr(rivals, "measure", instead)
    monkeypatch.setattr(bench, "_QUICK", bench._Size(0.01, 2000, 3, 1, 1, 1, 1))
    figures = bench.run(quick=True)
    compared = {
        "e91_pairs_per_s": plain.AGAINST,
        "e91_session_100k_ms": None,
        "e91_vs_qiskit_per_pair": "qiskit_e91 one transpiled circuit a pair",
        "e91_vs_qiskit_batched": "qiskit_e91 9 circuits of many shots",
        "bb84_ideal_pulses_per_s": plain.AGAINST,
        "bb84_ideal_eve_pulses_per_s": plain.AGAINST,
        "bb84_vs_qkdpy": "QKDpy, which is not installed",
        "bb84_vs_sequence": "sequence_bb84 1 km",
        "bb84_vs_sequence_50km": "sequence_bb84 50 km",
        "decoy_bb84_realtime_factor": weak.AGAINST,
        "decoy_bb84_counts_realtime_factor": weak.AGAINST,
        "decoy_bb84_nodes_realtime_factor": weak.AGAINST,
        "peak_memory_mb": None,
        "e91_lossy_events_per_s": pairs.AGAINST,
    }
    assert {figure.name: figure.against for figure in figures} == compared
    for figure in figures:
        assert figure.value > 0
        alone = figure.against is None or figure.name == "bb84_vs_qkdpy"
        assert (figure.ratio is None) == alone


def test_the_plain_loops_follow_the_same_law() -> None:
    visibility = bench.USUAL.visibility
    far = [1 - 2 * (x ^ y) for a, b, x, y in plain.e91(N, visibility) if (a, b) == (0, 2)]
    e = theory.e91_correlation(bench.USUAL, 0, 2)
    assert abs(sum(far) / len(far) - e) < 4 / math.sqrt(len(far))
    assert not any(x != y for a, b, x, y in plain.bb84(N, 0.0) if a == b)
    key = [x != y for a, b, x, y in plain.bb84(N, 0.6) if a == b]
    expected = theory.bb84_qber(bench.IDEAL, Eve(EveKind.INTERCEPT_RESEND, 0.6))
    assert abs(sum(key) / len(key) - expected) < 4 * math.sqrt(expected / len(key))


@needs("sequence")
def test_sequence_sends_over_the_link_that_ours_does() -> None:
    pulses = 60_000
    near, far = rivals.said("sequence_bb84", 1.0, pulses, 10.0, 2 * pulses)
    for km, theirs in ((1.0, near), (10.0, far)):
        stream = WeakStream(bench.fibre(km), None, weak.SEED)
        many = 4_000_000
        clicks = stream.counts(stream.advance(stream.start(), many)).clicks.sum(axis=0)
        alike = sum(int(clicks[:, basis, basis].sum()) for basis in range(2)) / many
        assert theirs["seconds"] > 0
        expected = alike * theirs["sent"]
        # It hands out whole keys of 256 bits, and loses the last rounds of pulses.
        assert abs(expected - theirs["sifted"]) < 5 * math.sqrt(expected) + 2 * 256
        qber = bench.fibre(km).link.misalignment
        spread = math.sqrt(qber * theirs["sifted"] + 1)
        assert abs(theirs["wrong"] - qber * theirs["sifted"]) < 5 * spread


@needs("qkdpy")
def test_qkdpy_loses_nothing_and_errs_as_often() -> None:
    (theirs,) = rivals.said("qkdpy_bb84", 4000)
    assert theirs["sent"] == 4000
    assert abs(theirs["sifted"] - 2000) < 5 * math.sqrt(1000)
    assert abs(theirs["wrong"] - 0.02 * theirs["sifted"]) < 5 * math.sqrt(40)


@needs("qiskit_aer")
def test_qiskit_measures_the_pairs_of_e91() -> None:
    alone, batched = rivals.said("qiskit_e91", 8, 4000)
    assert (alone["sent"], batched["sent"]) == (8, 36_000)
    assert alone["wrong"] == 0
    assert abs(batched["chsh"] - math.sqrt(8)) < 5 * math.sqrt(4 * 0.5 / 4000)


def test_a_library_that_is_missing_or_fails_is_told_in_words_and_has_no_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def program(text: str) -> None:
        def start(_command: list[str], **words: object) -> subprocess.CompletedProcess[str]:
            return real([sys.executable, "-c", text], **words)  # type: ignore[call-overload,no-any-return]

        monkeypatch.setattr(subprocess, "run", start)

    real = subprocess.run
    two = Rival("none", {"numpy": "NumPy"}, ("one", "two"))
    known = f"NumPy {np.__version__}"
    sent = json.dumps([{"sent": 10, "seconds": 2.0}, {"sent": 3, "seconds": 1.0}])
    program(f"print('some words'); print('{sent}')")
    assert measure(two) == (Result(f"{known}, one", 5.0), Result(f"{known}, two", 3.0))
    program("raise SystemExit('no licence\\nthe ' + 'x' * 500)")
    one, other = measure(two)
    assert one == other
    assert one.against == f"{known}: failed here, the {'x' * 116}"
    program("import os; os._exit(7)")
    assert measure(two)[0].against == f"{known}: failed here, code 7"
    monkeypatch.setattr(rivals, "TIMEOUT_S", 0.5)
    program("import time; time.sleep(60)")
    assert measure(two)[0] == Result(f"{known}: not done after 0.5 s", None)

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(rivals, "version", missing)
    assert measure(two) == (Result("NumPy, which is not installed (./bellwire extras)", None),) * 2


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


def test_the_plain_loop_of_pairs_follows_the_same_law() -> None:
    windows = 200_000
    counts, statistic = pairs.plain(windows), 0.0
    law = joint_law(Protocol.E91, pairs.CONFIG, pairs.SOURCE)
    for a, b, x, y in product(range(3), range(3), (0, 1, None), (0, 1, None)):
        if x is None and y is None:
            continue
        cells = [[NOTHING] if outcome is None else [outcome, 2 + outcome] for outcome in (x, y)]
        expected = windows * law[a, b][np.ix_(*cells)].sum()
        if expected > 10:
            statistic += (counts.get((a, b, x, y), 0) - expected) ** 2 / expected
    assert 3_000 < sum(counts.values()) < 4_000
    assert statistic < 72 + 4 * math.sqrt(144)
