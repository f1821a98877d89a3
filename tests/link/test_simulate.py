import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.link.laws import Table, assert_follows, assert_same_law, correlation, counted, law, seeds
from tests.reference import photons

from bellwire.base.angles import CHSH_TERMS, KEY_PAIRS
from bellwire.base.detections import OF_PHOTONS, Detections, Half, Protocol
from bellwire.base.limits import MAX_PULSES
from bellwire.link import theory
from bellwire.link.choices import PreparedPulses
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.eve import WITH_AXES, Axes, Eve, EveKind
from bellwire.link.simulate import simulate

IDEAL = LinkConfig(misalignment=0.0)
NOISY = LinkConfig(
    fibre_km=12.0,
    insertion_loss_db=0.5,
    detector_efficiency=0.8,
    dark_count_probability=0.05,
    misalignment=0.03,
)
EVES = [
    None,
    Eve(EveKind.INTERCEPT_RESEND, 0.6),
    Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes.uniform()),
    Eve(EveKind.GHZ),
    Eve(EveKind.BREIDBART, 0.9),
    Eve(EveKind.CLONER, 0.9),
    Eve(EveKind.SUBSTITUTION, 0.7),
]
ATTACKS = [
    (protocol, eve)
    for protocol, eve in product(OF_PHOTONS, EVES)
    if protocol.entangled or eve is None or eve.kind is not EveKind.SUBSTITUTION
]
axes = st.one_of(
    st.none(),
    st.just(Axes.uniform()),
    st.lists(st.floats(0.0, 6.0), min_size=1, max_size=3).map(lambda a: Axes(tuple(a))),
)
eves = st.one_of(
    st.none(),
    st.builds(Eve, st.sampled_from(EveKind), st.floats(0.0, 1.0)),
    st.builds(Eve, st.sampled_from(WITH_AXES), st.floats(0.0, 1.0), axes),
)
configs = st.builds(
    LinkConfig,
    fibre_km=st.floats(0.0, 60.0),
    loss_db_per_km=st.floats(0.0, 0.4),
    insertion_loss_db=st.floats(0.0, 3.0),
    detector_efficiency=st.floats(0.1, 1.0),
    dark_count_probability=st.floats(0.0, 0.2),
    misalignment=st.floats(0.0, 0.5),
)


def e91_figures(counts: Table) -> tuple[float, float, float, float]:
    """QBER over the key pairs and S, each with its standard error."""
    key = [correlation(counts, a, b) for a, b in KEY_PAIRS]
    n = sum(count for _, count in key)
    qber = sum((1 - e) / 2 * count for e, count in key) / n
    terms = [(sign, *correlation(counts, a, b)) for a, b, sign in CHSH_TERMS]
    s = sum(sign * e for sign, e, _ in terms)
    return qber, 0.5 / math.sqrt(n), s, math.sqrt(sum(1 / count for _, _, count in terms))


def same(one: Half, other: Half) -> bool:
    assert isinstance(one, Detections)
    assert isinstance(other, Detections)
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("slots", "settings", "outcomes")
    )


@pytest.mark.parametrize("protocol", OF_PHOTONS)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(config=configs, eve=eves, number=st.integers(0, 10**6))
def test_every_setting_and_outcome_follows_theory(
    protocol: Protocol, config: LinkConfig, eve: Eve | None, number: int
) -> None:
    if eve is not None and eve.kind is EveKind.SUBSTITUTION and not protocol.entangled:
        with pytest.raises(ParameterError, match="substitution"):
            counted(protocol, config, 60_000, eve, number)
        return
    assert_follows(counted(protocol, config, 60_000, eve, number), law(protocol, config, eve))


@pytest.mark.parametrize(("protocol", "eve"), ATTACKS)
def test_the_engine_agrees_with_its_slow_twin(protocol: Protocol, eve: Eve | None) -> None:
    engine = counted(protocol, NOISY, 200_000, eve, 1)
    twin = np.zeros_like(engine)
    for cell, count in photons.run(protocol, NOISY, 12_000, eve, 2).items():
        twin[cell] = count
    assert_same_law(engine, twin)
    assert_follows(twin, law(protocol, NOISY, eve))


@pytest.mark.parametrize(
    ("eve", "qber"),
    [
        (Eve(EveKind.INTERCEPT_RESEND), 0.125),
        (Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes.degrees(0, 90)), 0.25),
        (Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes.uniform()), 0.25),
        (Eve(EveKind.BREIDBART), math.sin(math.pi / 8) ** 2 / 2),
        (Eve(EveKind.GHZ), 0.125),
        (Eve(EveKind.GHZ, 1.0, Axes.degrees(90)), 0.125),
        (Eve(EveKind.GHZ, 1.0, Axes.degrees(0)), 0.375),
    ],
)
def test_eve_on_e91_leaves_her_signature(eve: Eve, qber: float) -> None:
    measured, qber_error, s, s_error = e91_figures(counted(Protocol.E91, IDEAL, 200_000, eve, 3))
    assert abs(measured - qber) < 4 * qber_error
    assert abs(s - math.sqrt(2)) < 4 * s_error


def test_eve_at_three_eighths_pi_makes_few_errors_and_no_bell_violation() -> None:
    eve = Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes((3 * math.pi / 8,)))
    qber, qber_error, s, s_error = e91_figures(counted(Protocol.E91, IDEAL, 400_000, eve, 4))
    assert abs(qber - math.sin(math.pi / 8) ** 2 / 2) < 4 * qber_error
    assert qber < 0.08
    assert abs(s - math.sqrt(2)) < 4 * s_error


@pytest.mark.parametrize(
    ("kind", "qber", "chsh"),
    [(EveKind.CLONER, (1 - math.sqrt(0.5)) / 2, 2.0), (EveKind.SUBSTITUTION, 0.5, 0.0)],
)
def test_the_cloner_and_substitution_leave_their_own_signatures_on_e91(
    kind: EveKind, qber: float, chsh: float
) -> None:
    measured = e91_figures(counted(Protocol.E91, IDEAL, 200_000, Eve(kind), 16))
    assert abs(measured[0] - qber) < 4 * measured[1]
    assert abs(measured[2] - chsh) < 4 * measured[3]


@pytest.mark.parametrize("protocol", [Protocol.BB84, Protocol.BBM92])
@pytest.mark.parametrize(
    "kind", [EveKind.INTERCEPT_RESEND, EveKind.BREIDBART, EveKind.GHZ], ids=str
)
def test_eve_on_conjugate_bases_makes_a_quarter_of_errors(
    kind: EveKind, protocol: Protocol
) -> None:
    counts = counted(protocol, IDEAL, 100_000, Eve(kind), 5)
    by_basis = [correlation(counts, basis, basis) for basis in (0, 1)]
    n = sum(count for _, count in by_basis)
    qber = sum((1 - e) / 2 * count for e, count in by_basis) / n
    assert abs(qber - 0.25) < 4 * 0.5 / math.sqrt(n)
    if kind is EveKind.GHZ:
        assert by_basis[0][0] == 1.0
        assert abs(by_basis[1][0]) < 4 / math.sqrt(by_basis[1][1])


def test_an_undisturbed_link_violates_the_bell_inequality_to_the_quantum_limit() -> None:
    qber, _, s, s_error = e91_figures(counted(Protocol.E91, IDEAL, 200_000, None, 6))
    assert qber == 0.0
    assert abs(s - 2 * math.sqrt(2)) < 4 * s_error
    assert theory.e91_chsh(IDEAL) == pytest.approx(2 * math.sqrt(2))


@pytest.mark.parametrize("protocol", OF_PHOTONS)
@pytest.mark.parametrize("eve", [EVES[1], EVES[2]])
def test_the_halves_do_not_depend_on_the_chunk_size(protocol: Protocol, eve: Eve) -> None:
    whole = simulate(protocol, NOISY, 5_000, *seeds(7), eve)
    for chunk in (1_000, 4_999, 333):
        parts = simulate(protocol, NOISY, 5_000, *seeds(7), eve, chunk=chunk)
        assert same(whole[1], parts[1])
        assert isinstance(parts[0], PreparedPulses) or same(whole[0], parts[0])


def test_alices_bb84_half_depends_on_her_seed_alone() -> None:
    alice, bob, noise = seeds(8)
    slots = np.arange(2_000)
    one, _ = simulate(Protocol.BB84, IDEAL, 2_000, alice, bob, noise)
    eve = Eve(EveKind.INTERCEPT_RESEND)
    other, _ = simulate(Protocol.BB84, NOISY, 2_000, alice, noise, bob, eve)
    assert one.received is None
    assert same(one.at(slots), other.at(slots))
    changed, _ = simulate(Protocol.BB84, IDEAL, 2_000, bob, bob, noise)
    assert not same(one.at(slots), changed.at(slots))


def test_bobs_half_holds_his_own_bases_and_tells_nothing_of_alices() -> None:
    n = 200_000
    alice, bob = simulate(Protocol.BB84, IDEAL, n, *seeds(9))
    assert isinstance(bob, Detections)
    assert bob.__slots__ == ("slots", "settings", "outcomes", "intensities")
    assert bob.intensities is None
    hers = alice.at(bob.slots).settings
    for guess in (bob.settings, bob.outcomes, bob.settings ^ bob.outcomes):
        assert abs(int((guess == hers).sum()) - n / 2) < 2 * math.sqrt(n)


def test_e91_settings_are_the_choosers_and_survive_another_peer() -> None:
    alice, bob, noise = seeds(10)
    first, _ = simulate(Protocol.E91, IDEAL, 1_000, alice, bob, noise)
    second, _ = simulate(Protocol.E91, IDEAL, 1_000, alice, noise, bob)
    slots = np.arange(1_000)
    assert (first.at(slots).settings == second.at(slots).settings).all()


@pytest.mark.parametrize("protocol", [Protocol.BBM92, Protocol.E91])
def test_with_loss_each_side_registers_its_own_slots_of_pairs(protocol: Protocol) -> None:
    config = LinkConfig(fibre_km=50.0)
    alice, bob = simulate(protocol, config, 50_000, *seeds(11))
    assert alice.received is not None
    assert bob.received is not None
    seen = theory.detection_probability(protocol, config)
    both = np.intersect1d(alice.received, bob.received).size
    for received in (alice.received, bob.received):
        assert abs(received.size - 50_000 * seen) < 4 * math.sqrt(50_000 * seen * (1 - seen))
        assert both < received.size
    p = theory.coincidence_probability(config)
    assert abs(both - 50_000 * p) < 4 * math.sqrt(50_000 * p * (1 - p))


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_a_block_of_one_pulse_and_a_block_all_lost_are_blocks(protocol: Protocol) -> None:
    _, one = simulate(protocol, IDEAL, 1, *seeds(12))
    assert one.received is not None
    assert one.received.tolist() == [0]
    _, lost = simulate(protocol, LinkConfig(fibre_km=1e3, loss_db_per_km=10.0), 1_000, *seeds(12))
    assert lost.received is not None
    assert lost.received.size == 0


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_an_eve_of_share_zero_is_no_eve(protocol: Protocol) -> None:
    absent = simulate(protocol, NOISY, 3_000, *seeds(13))
    idle = simulate(protocol, NOISY, 3_000, *seeds(13), Eve(EveKind.GHZ, 0.0))
    assert same(absent[1], idle[1])


def test_total_misalignment_leaves_no_correlation() -> None:
    config = LinkConfig(misalignment=0.5)
    counts = counted(Protocol.E91, config, 90_000, None, 14)
    for a, b in product(range(3), range(3)):
        e, n = correlation(counts, a, b)
        assert abs(e) < 4 / math.sqrt(n)
    assert theory.e91_chsh(config) == 0.0


@pytest.mark.parametrize("pulses", [0, MAX_PULSES + 1])
def test_an_impossible_number_of_pulses_is_refused(pulses: int) -> None:
    with pytest.raises(ParameterError, match="pulses"):
        simulate(Protocol.BB84, IDEAL, pulses, *seeds(15))


def test_an_empty_chunk_is_refused() -> None:
    with pytest.raises(ParameterError, match="chunk"):
        simulate(Protocol.E91, IDEAL, 1, *seeds(15), chunk=0)
