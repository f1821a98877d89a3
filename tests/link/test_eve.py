import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.detections import Protocol
from bellwire.link import theory
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.eve import Axes, Eve, EveKind, correlations, parse_axes, parse_eve

IDEAL = LinkConfig(misalignment=0.0)


@pytest.mark.parametrize(
    ("text", "eve"),
    [
        ("none", None),
        ("intercept-resend", Eve(EveKind.INTERCEPT_RESEND)),
        ("intercept-resend:0.5", Eve(EveKind.INTERCEPT_RESEND, 0.5)),
        (" ghz:1 ", Eve(EveKind.GHZ)),
        ("ghz:0", Eve(EveKind.GHZ, 0.0)),
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


@pytest.mark.parametrize("kind", EveKind)
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
    for kind in EveKind:
        for qber in (theory.bb84_qber, theory.bbm92_qber):
            assert qber(config, Eve(kind, share)) == pytest.approx(mixed)


def test_default_axes_are_key_bases_of_the_protocol() -> None:
    assert Eve(EveKind.GHZ).axes_for(Protocol.BB84).angles == (0.0,)
    assert Eve(EveKind.GHZ, 1.0, Axes((1.0,))).axes_for(Protocol.BB84).angles == (1.0,)
