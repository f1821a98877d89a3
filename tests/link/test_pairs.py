"""Sources of several pairs: their law, its closed forms, the photons' own, and the streams."""

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import pairs as twin

from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.link import pair_theory, theory
from bellwire.link.click_stream import State
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.eve import Eve, EveKind
from bellwire.link.pair_law import NOTHING, STATES, joint_law
from bellwire.link.pair_stream import CoincidenceStream, PairBlock, PairStream
from bellwire.link.pairs import PairSource, PairStatistics, parse_pair_source

SEED = bytes(range(32))
ENTANGLED = [Protocol.E91, Protocol.BBM92]
THERMAL, POISSON = PairStatistics
BRIGHT = LinkConfig(
    fibre_km=5.0, detector_efficiency=0.6, dark_count_probability=3e-3, misalignment=0.03
)
DIM = LinkConfig(
    fibre_km=60.0, detector_efficiency=0.2, dark_count_probability=1e-5, misalignment=0.01
)
SIGNS = np.array([1.0, -1.0, 1.0, -1.0])

links = st.builds(
    LinkConfig,
    fibre_km=st.floats(0, 400),
    insertion_loss_db=st.floats(0, 10),
    detector_efficiency=st.floats(0.01, 1),
    dark_count_probability=st.one_of(st.just(0.0), st.floats(1e-9, 0.2)),
    misalignment=st.floats(0, 0.5),
)
sources = st.builds(PairSource, st.floats(1e-6, 5.0), st.sampled_from(PairStatistics))
eves = st.one_of(
    st.none(),
    st.builds(
        Eve, st.sampled_from([EveKind.INTERCEPT_RESEND, EveKind.CLONER]), st.floats(0.0, 1.0)
    ),
)


def assert_follows(observed: NDArray[np.int64], law: NDArray[np.float64], windows: int) -> None:
    """Chi-square over all cells of ten and more; rarer ones together."""
    wanted = windows * law
    used = wanted > 10
    statistic = ((observed - wanted)[used] ** 2 / wanted[used]).sum()
    freedom = int(used.sum())
    assert statistic < freedom + 4 * math.sqrt(2 * freedom) + 4
    rest = wanted[~used].sum()
    assert abs(observed[~used].sum() - rest) < 5 * math.sqrt(rest) + 5


@given(source=sources, x=st.floats(0.0, 1.0))
@settings(max_examples=50)
def test_silence_is_the_sum_over_the_number_of_pairs(source: PairSource, x: float) -> None:
    terms = [source.probability(n) * (1.0 - x) ** n for n in range(400)]
    assert float(source.silence(Decimal(x))) == pytest.approx(math.fsum(terms), rel=1e-9)


@pytest.mark.parametrize("protocol", ENTANGLED)
@given(config=links, source=sources, eve=eves)
@settings(max_examples=40, deadline=None)
def test_the_law_has_the_closed_forms_of_theory(
    protocol: Protocol, config: LinkConfig, source: PairSource, eve: Eve | None
) -> None:
    law = joint_law(protocol, config, source, eve)
    assert law.sum() == pytest.approx(1.0, abs=1e-12)
    gain = pair_theory.detection_probability(protocol, config, source)
    assert law[..., :NOTHING, :].sum() == pytest.approx(gain, rel=1e-9)
    assert law[..., :NOTHING].sum() == pytest.approx(gain, rel=1e-9)
    both = law[..., :NOTHING, :NOTHING]
    rate = pair_theory.coincidence_probability(protocol, config, source)
    assert both.sum() == pytest.approx(rate, rel=1e-9)
    means = (both * np.outer(SIGNS, SIGNS)).sum(axis=(2, 3)) / both.sum(axis=(2, 3))
    for at, mean in np.ndenumerate(means):
        wanted = pair_theory.correlation(protocol, config, source, (at[0], at[1]), eve)
        assert mean == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("protocol", OF_PHOTONS)
@given(config=links, eve=eves)
@settings(max_examples=25, deadline=None)
def test_one_pair_a_window_is_the_link_that_everything_else_simulates(
    protocol: Protocol, config: LinkConfig, eve: Eve | None
) -> None:
    both = joint_law(protocol, config, None, eve)[..., :NOTHING, :NOTHING]
    coincidences = (
        theory.coincidence_probability(config)
        if protocol.entangled
        else theory.detection_probability(protocol, config)
    )
    assert both.sum() == pytest.approx(coincidences, rel=1e-9)
    correlation = {
        Protocol.E91: theory.e91_correlation,
        Protocol.BBM92: theory.bbm92_correlation,
        Protocol.BB84: theory.bb84_correlation,
    }[protocol]
    means = (both * np.outer(SIGNS, SIGNS)).sum(axis=(2, 3)) / both.sum(axis=(2, 3))
    for (a, b), mean in np.ndenumerate(means):
        assert mean == pytest.approx(correlation(config, a, b, eve), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("protocol", ENTANGLED)
@given(config=links, eve=eves)
@settings(max_examples=25, deadline=None)
def test_few_pairs_give_what_one_pair_gives_where_there_is_no_noise(
    protocol: Protocol, config: LinkConfig, eve: Eve | None
) -> None:
    quiet = LinkConfig(fibre_km=config.fibre_km / 4, misalignment=config.misalignment)
    for statistics in PairStatistics:
        rare = PairSource(1e-7, statistics)
        one = theory.qber(protocol, quiet, eve)
        assert pair_theory.qber(protocol, quiet, rare, eve) == pytest.approx(one, abs=1e-5)
        s, wanted = pair_theory.chsh(protocol, quiet, rare, eve), theory.chsh(protocol, quiet, eve)
        assert s == (None if wanted is None else pytest.approx(wanted, abs=1e-5))
        key = pair_theory.key_fraction(protocol, quiet, rare, eve) / 1e-7
        assert key == pytest.approx(theory.key_fraction(protocol, quiet, eve), rel=1e-3, abs=1e-5)


def test_more_pairs_make_more_errors_and_thermal_ones_the_most() -> None:
    for protocol in ENTANGLED:
        errors = [
            [pair_theory.qber(protocol, DIM, PairSource(mean, kind)) for kind in (POISSON, THERMAL)]
            for mean in (0.01, 0.1, 1.0)
        ]
        assert errors == sorted(errors)
        assert all(poisson < thermal for poisson, thermal in errors)


@pytest.mark.parametrize("statistics", PairStatistics)
@pytest.mark.parametrize("protocol", ENTANGLED)
@pytest.mark.parametrize("eve", [None, Eve(EveKind.INTERCEPT_RESEND, 0.6)], ids=["nobody", "eve"])
def test_the_law_is_what_single_photons_do(
    protocol: Protocol, statistics: PairStatistics, eve: Eve | None
) -> None:
    source, windows = PairSource(0.8, statistics), 400_000
    seen = twin.simulate(protocol, BRIGHT, source, eve, windows, np.random.default_rng(6))
    assert seen.sum() == windows
    assert_follows(seen, joint_law(protocol, BRIGHT, source, eve), windows)


CASES = [
    (BRIGHT, PairSource(0.8, THERMAL)),
    (BRIGHT, PairSource(0.3, POISSON)),
    (DIM, PairSource(0.05, THERMAL)),
    (BRIGHT, None),
]


@pytest.mark.parametrize(("config", "source"), CASES)
@pytest.mark.parametrize("protocol", ENTANGLED)
def test_detections_follow_the_joint_law(
    protocol: Protocol, config: LinkConfig, source: PairSource | None
) -> None:
    windows = 20_000_000 if config is DIM else 2_000_000
    stream = PairStream(protocol, config, source, None, SEED)
    _, state = stream.block(stream.start(), windows)
    law = joint_law(protocol, config, source)
    law[..., NOTHING, NOTHING] = 0.0
    assert_follows(stream.counts(state), law, windows)


@pytest.mark.parametrize(("config", "source"), CASES)
@pytest.mark.parametrize("protocol", ENTANGLED)
def test_coincidences_alone_follow_it_too(
    protocol: Protocol, config: LinkConfig, source: PairSource | None
) -> None:
    windows = 10**9 if config is DIM else 2_000_000
    stream = CoincidenceStream(protocol, config, source, None, SEED)
    counts = stream.counts(stream.advance(stream.start(), windows))
    law = joint_law(protocol, config, source)[..., :NOTHING, :NOTHING]
    law = law.reshape(*law.shape[:2], 2, 2, 2, 2).sum(axis=(2, 4))
    assert_follows(counts, law, windows)


def test_single_photons_of_bb84_are_pairs_whose_one_half_is_never_lost() -> None:
    stream = CoincidenceStream(Protocol.BB84, DIM, None, None, SEED)
    pulses = 30_000_000
    counts = stream.counts(stream.advance(stream.start(), pulses))
    gain = theory.detection_probability(Protocol.BB84, DIM)
    assert abs(counts.sum() - pulses * gain) < 4 * math.sqrt(pulses * gain)
    alike = counts[[0, 1], [0, 1]]
    errors = alike[:, [0, 1], [1, 0]].sum()
    wanted = theory.bb84_qber(DIM)
    assert abs(errors / alike.sum() - wanted) < 4 * math.sqrt(wanted / alike.sum())


@pytest.mark.parametrize("protocol", ENTANGLED)
@given(cuts=st.lists(st.integers(1, 10_000), max_size=4))
@settings(max_examples=8, deadline=None)
def test_halves_in_blocks_are_the_halves_of_one_run(protocol: Protocol, cuts: list[int]) -> None:
    whole, source = 60_000, PairSource(0.4)

    def stream() -> PairStream:
        return PairStream(protocol, BRIGHT, source, None, SEED)

    at_once, end = stream().block(stream().start(), whole)
    state = stream().start()
    blocks: list[PairBlock] = []
    for cut in [*cuts, whole - sum(cuts)]:
        block, state = stream().block(State.from_json(state.to_json()), cut)
        assert (block.windows, block.first) == (cut, sum(b.windows for b in blocks))
        blocks.append(block)
    assert state == end
    counts = np.zeros((protocol.settings, protocol.settings, 2, 2), np.int64)
    for side in ("alice", "bob"):
        one = getattr(at_once, side)
        halves = [getattr(block, side) for block in blocks]
        assert np.array_equal(np.concatenate([half.received for half in halves]), one.received)
        parts = [half.at(half.received) for half in halves]
        kept = one.at(one.received)
        assert np.array_equal(np.concatenate([part.settings for part in parts]), kept.settings)
        assert np.array_equal(np.concatenate([part.outcomes for part in parts]), kept.outcomes)
    ours, theirs = at_once.alice.received, at_once.bob.received
    assert ours is not None
    assert theirs is not None
    common = np.intersect1d(ours, theirs)
    alice, bob = at_once.alice.at(common), at_once.bob.at(common)
    np.add.at(counts, (alice.settings, bob.settings, alice.outcomes, bob.outcomes), 1)
    both = stream().counts(end)[..., :NOTHING, :NOTHING]
    assert np.array_equal(counts, both.reshape(*both.shape[:2], 2, 2, 2, 2).sum(axis=(2, 4)))
    lone = np.setdiff1d(ours, common)
    with pytest.raises(KeyError):
        at_once.bob.at(lone[:1])


def test_counts_leave_out_what_nobody_registered() -> None:
    stream = PairStream(Protocol.E91, DIM, PairSource(0.05), None, SEED)
    _, state = stream.block(stream.start(), 1_000_000)
    counts = stream.counts(state)
    assert counts.shape == (3, 3, STATES, STATES)
    assert not counts[..., NOTHING, NOTHING].any()


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: PairSource(0.0), "mean pairs in (0, 5], got 0.0"),
        (lambda: PairSource(math.nan), "mean pairs"),
        (lambda: PairSource(5.1), "mean pairs"),
        (lambda: parse_pair_source(0.1, "laser"), "as thermal or poisson, got 'laser'"),
        (lambda: parse_pair_source(None, "thermal"), "only with a number of mean pairs"),
        (
            lambda: joint_law(Protocol.BB84, DIM, PairSource(0.1)),
            "mean pairs only with e91 and bbm92",
        ),
    ],
)
def test_what_no_source_can_be_is_refused(make: Callable[[], object], what: str) -> None:
    with pytest.raises(ParameterError) as caught:
        make()
    assert what in str(caught.value)


def test_words_make_a_source() -> None:
    assert parse_pair_source(None, None) is None
    assert parse_pair_source(0.1, None) == PairSource(0.1, THERMAL)
    assert parse_pair_source(0.1, "poisson") == PairSource(0.1, POISSON)
