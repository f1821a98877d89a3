import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import attacks

from bellwire.base.detections import Protocol
from bellwire.link import theory
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.eve import Axes, Eve, EveKind, correlations, parse_axes, parse_eve

IDEAL = LinkConfig(misalignment=0.0)
DEPHASING = (EveKind.INTERCEPT_RESEND, EveKind.BREIDBART, EveKind.GHZ)
angles = st.floats(0.0, 2 * math.pi)


@pytest.mark.parametrize(
    ("text", "eve"),
    [
        ("none", None),
        ("intercept-resend", Eve(EveKind.INTERCEPT_RESEND)),
        ("intercept-resend:0.5", Eve(EveKind.INTERCEPT_RESEND, 0.5)),
        (" ghz:1 ", Eve(EveKind.GHZ)),
        ("ghz:0", Eve(EveKind.GHZ, 0.0)),
        ("breidbart:0.25", Eve(EveKind.BREIDBART, 0.25)),
        ("cloner", Eve(EveKind.CLONER)),
        ("substitution:0.5", Eve(EveKind.SUBSTITUTION, 0.5)),
    ],
)
def test_eve_is_read_as_kind_and_share(text: str, eve: Eve | None) -> None:
    assert parse_eve(text) == eve


def test_axes_are_read_in_degrees_or_as_uniform() -> None:
    assert parse_axes("45, 90").angles == pytest.approx((math.pi / 4, math.pi / 2))
    assert parse_axes("uniform") == Axes.uniform()
    assert parse_eve("ghz", parse_axes("0")) == Eve(EveKind.GHZ, 1.0, Axes((0.0,)))


@pytest.mark.parametrize(
    "text",
    ["", "eve", "none:1", "ghz:", "ghz:x", "ghz:1.1", "ghz:-0.1", "ghz:nan", "ghz:inf", "ghz:1:1"],
)
def test_what_is_no_eve_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="Eve"):
        parse_eve(text)


@pytest.mark.parametrize("text", ["", "45,", "nan", "inf", "north", ",".join(["1"] * 17)])
def test_what_are_no_axes_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="Eve's axes"):
        parse_axes(text)


def test_axes_without_an_eve_are_refused() -> None:
    with pytest.raises(ParameterError, match="Eve's axes"):
        parse_eve("none", Axes.uniform())


@pytest.mark.parametrize(
    ("kind", "axes", "qber"),
    [
        (EveKind.INTERCEPT_RESEND, None, 0.125),
        (EveKind.INTERCEPT_RESEND, Axes.degrees(0, 90), 0.25),
        (EveKind.INTERCEPT_RESEND, Axes.uniform(), 0.25),
        (EveKind.INTERCEPT_RESEND, Axes.degrees(67.5), math.sin(math.pi / 8) ** 2 / 2),
        (EveKind.GHZ, None, 0.125),
        (EveKind.GHZ, Axes.degrees(90), 0.125),
        (EveKind.GHZ, Axes.degrees(0), 0.375),
    ],
)
def test_a_full_attack_on_e91_leaves_its_signature(
    kind: EveKind, axes: Axes | None, qber: float
) -> None:
    eve = Eve(kind, 1.0, axes)
    assert theory.e91_qber(IDEAL, eve) == pytest.approx(qber)
    assert theory.e91_chsh(IDEAL, eve) == pytest.approx(math.sqrt(2))
    assert theory.e91_key_fraction(IDEAL, eve) == 0.0


def test_eve_at_three_eighths_pi_stays_under_every_qber_limit_and_falls_on_s_alone() -> None:
    eve = Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes((3 * math.pi / 8,)))
    assert theory.e91_qber(IDEAL, eve) == pytest.approx(0.0732, abs=5e-5)
    assert theory.bb84_key_fraction(LinkConfig(misalignment=0.0732)) > 0.2
    assert theory.e91_chsh(IDEAL, eve) < 2.0
    assert theory.e91_key_fraction(IDEAL, eve) == 0.0


@pytest.mark.parametrize("kind", DEPHASING)
def test_a_full_attack_on_bb84_makes_a_quarter_of_errors(kind: EveKind) -> None:
    assert theory.bb84_qber(IDEAL, Eve(kind)) == pytest.approx(0.25)


def test_ghz_entangling_on_bb84_disturbs_the_diagonal_basis_only() -> None:
    eve = Eve(EveKind.GHZ)
    assert theory.bb84_qber(IDEAL, eve, 0) == pytest.approx(0.0)
    assert theory.bb84_qber(IDEAL, eve, 1) == pytest.approx(0.5)


@given(
    angles=st.lists(st.floats(0.0, 7.0), min_size=1, max_size=4),
    a=st.floats(0.0, 7.0),
    b=st.floats(0.0, 7.0),
)
def test_dephasing_is_the_mean_over_the_axes(angles: list[float], a: float, b: float) -> None:
    axes = Axes(tuple(angles))
    assert axes.dephased(a, b) == pytest.approx(float(correlations(a, b, angles).mean()), abs=1e-9)


def test_uniform_axes_cover_the_circle_evenly() -> None:
    grid = (np.arange(3600) + 0.5) / 3600
    axes = Axes.uniform()
    assert axes.dephased(0.3, 1.0) == pytest.approx(
        float(correlations(0.3, 1.0, axes.draw(grid)).mean())
    )


def test_each_axis_is_drawn_equally_often() -> None:
    drawn = Axes((1.0, 2.0, 4.0)).draw(np.arange(900) / 900)
    assert [int((drawn == angle).sum()) for angle in (1.0, 2.0, 4.0)] == [300, 300, 300]


@given(share=st.floats(0.0, 1.0), misalignment=st.floats(0.0, 0.5))
def test_errors_of_misalignment_and_eve_mix_in_conjugate_bases(
    share: float, misalignment: float
) -> None:
    config = LinkConfig(misalignment=misalignment)
    mixed = misalignment + (1 - 2 * misalignment) * share / 4
    for kind in DEPHASING:
        for qber in (theory.bb84_qber, theory.bbm92_qber):
            assert qber(config, Eve(kind, share)) == pytest.approx(mixed)


@given(a=angles, b=angles, axis=angles)
def test_what_each_attack_leaves_is_what_its_isometry_leaves(
    a: float, b: float, axis: float
) -> None:
    for eve, psi in (
        (Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes((axis,))), attacks.measured(axis)),
        (Eve(EveKind.BREIDBART), attacks.measured(3 * math.pi / 8)),
        (Eve(EveKind.CLONER), attacks.cloned()),
        (Eve(EveKind.SUBSTITUTION), attacks.substituted()),
    ):
        left = attacks.correlation(psi, a, b)
        assert eve.correlation(Protocol.E91, a, b) == pytest.approx(left, abs=1e-9)
        grid = (np.arange(4) + 0.5) / 4  # each Bell state once
        drawn = eve.disturbed(Protocol.E91, np.full(4, a), np.full(4, b), grid)
        assert drawn.mean() == pytest.approx(left, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "protocol", "psi", "guess"),
    [
        (EveKind.BREIDBART, Protocol.BB84, attacks.measured(math.pi / 4), 0.8536),
        (EveKind.BREIDBART, Protocol.E91, attacks.measured(3 * math.pi / 8), 0.9619),
        (EveKind.CLONER, Protocol.BB84, attacks.cloned(), 0.8536),
        (EveKind.CLONER, Protocol.BBM92, attacks.cloned(), 0.8536),
        (EveKind.CLONER, Protocol.E91, attacks.cloned(), 0.8536),
        (EveKind.SUBSTITUTION, Protocol.BBM92, attacks.substituted(), 1.0),
        (EveKind.SUBSTITUTION, Protocol.E91, attacks.substituted(), 1.0),
    ],
)
def test_eve_guesses_the_key_as_well_as_the_best_measurement_of_what_she_holds(
    kind: EveKind, protocol: Protocol, psi: attacks.Tensor, guess: float
) -> None:
    key = (math.pi / 4, math.pi / 2) if protocol is Protocol.E91 else (0.0, math.pi / 2)
    best = sum(attacks.guess(psi, angle) for angle in key) / 2
    assert theory.eve_guess(protocol, Eve(kind)) == pytest.approx(best)
    assert best == pytest.approx(guess, abs=5e-5)
    assert theory.eve_guess(protocol, Eve(kind, 0.5)) == pytest.approx((best + 0.5) / 2)


def test_eve_in_random_bases_guesses_three_bits_of_four() -> None:
    assert theory.eve_guess(Protocol.BB84, Eve(EveKind.INTERCEPT_RESEND)) == pytest.approx(0.75)
    anywhere = Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes.uniform())
    assert theory.eve_guess(Protocol.E91, anywhere) == pytest.approx(0.5 + 1 / math.pi)


@given(angle=angles)
def test_both_copies_of_the_cloner_are_alike_and_equally_good_all_over_the_plane(
    angle: float,
) -> None:
    copies = np.einsum("bcxi,i->bcx", attacks.cloner(), attacks.state(angle))
    sent = np.einsum("bcx,b->cx", copies, attacks.state(angle))
    kept = np.einsum("bcx,c->bx", copies, attacks.state(angle))
    fidelity = (1 + math.sqrt(0.5)) / 2
    assert (sent**2).sum() == pytest.approx(fidelity)
    assert (kept**2).sum() == pytest.approx(fidelity)


def test_the_cloners_map_preserves_length() -> None:
    isometry = attacks.cloner().reshape(8, 2)
    assert np.allclose(isometry.T @ isometry, np.eye(2))


@pytest.mark.parametrize(
    ("kind", "qber", "chsh"),
    [
        (EveKind.BREIDBART, math.sin(math.pi / 8) ** 2 / 2, math.sqrt(2)),
        (EveKind.CLONER, (1 - math.sqrt(0.5)) / 2, 2.0),
        (EveKind.SUBSTITUTION, 0.5, 0.0),
    ],
)
def test_each_attack_on_e91_leaves_no_violation_and_no_key(
    kind: EveKind, qber: float, chsh: float
) -> None:
    assert theory.e91_qber(IDEAL, Eve(kind)) == pytest.approx(qber)
    assert theory.e91_chsh(IDEAL, Eve(kind)) == pytest.approx(chsh)
    assert theory.e91_key_fraction(IDEAL, Eve(kind)) == 0.0


@given(share=st.floats(0.0, 1.0), misalignment=st.floats(0.0, 0.5))
def test_cloner_and_substitution_mix_with_misalignment(share: float, misalignment: float) -> None:
    config = LinkConfig(misalignment=misalignment)
    for kind, alone in ((EveKind.CLONER, (1 - math.sqrt(0.5)) / 2), (EveKind.SUBSTITUTION, 0.5)):
        mixed = misalignment + (1 - 2 * misalignment) * share * alone
        assert theory.bbm92_qber(config, Eve(kind, share)) == pytest.approx(mixed)
    cloned = misalignment + (1 - 2 * misalignment) * share * (1 - math.sqrt(0.5)) / 2
    assert theory.bb84_qber(config, Eve(EveKind.CLONER, share)) == pytest.approx(cloned)


def test_where_alice_sends_photons_there_is_no_pair_to_substitute() -> None:
    for use in (theory.bb84_qber, lambda config, eve: theory.eve_guess(Protocol.BB84, eve)):
        with pytest.raises(ParameterError, match=r"source sends pairs \(bbm92, e91\), got bb84"):
            use(IDEAL, Eve(EveKind.SUBSTITUTION))


@pytest.mark.parametrize("kind", [EveKind.BREIDBART, EveKind.CLONER, EveKind.SUBSTITUTION])
def test_an_attack_that_leaves_no_choice_takes_no_axes(kind: EveKind) -> None:
    with pytest.raises(ParameterError, match="only for intercept-resend and ghz"):
        Eve(kind, 1.0, Axes.uniform())


def test_default_axes_are_key_bases_of_the_protocol() -> None:
    assert Eve(EveKind.GHZ).axes_for(Protocol.BB84).angles == (0.0,)
    assert Eve(EveKind.GHZ, 1.0, Axes((1.0,))).axes_for(Protocol.BB84).angles == (1.0,)
