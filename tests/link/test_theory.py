import math

import pytest

from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.link import theory
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Axes, Eve, EveKind

IDEAL = LinkConfig(misalignment=0.0)


def test_an_ideal_link_gives_every_sifted_bit_as_key() -> None:
    assert theory.key_fraction(Protocol.BB84, IDEAL) == pytest.approx(1 / 2)
    assert theory.key_fraction(Protocol.E91, IDEAL) == pytest.approx(2 / 9)


def test_the_phase_error_bound_of_a_symmetric_link_is_its_qber() -> None:
    config = LinkConfig(misalignment=0.03)
    for pair in (0, 1):
        assert theory.e91_qber(config, pair=pair) == pytest.approx(0.03)
        assert theory.e91_phase_error(config, pair) == pytest.approx(0.03)
    assert theory.e91_key_fraction(config) == pytest.approx(theory.bb84_key_fraction(config))


def test_bbm92_is_bb84_with_dark_counts_at_both_sides() -> None:
    config = LinkConfig(fibre_km=100.0, dark_count_probability=1e-4, detector_efficiency=0.2)
    assert theory.bbm92_qber(LinkConfig(misalignment=0.03)) == pytest.approx(0.03)
    kappa = config.clicks(Protocol.BBM92).fidelity
    assert theory.bbm92_qber(config) == pytest.approx(0.5 * (1 - 0.96 * kappa**2))
    assert theory.key_fraction(Protocol.BBM92, IDEAL) == pytest.approx(1 / 2)
    bright = LinkConfig(fibre_km=10.0)  # without dark counts only the losses count
    ratio = theory.key_fraction(Protocol.BBM92, bright) / theory.key_fraction(Protocol.BB84, bright)
    assert ratio == pytest.approx(1.0)


def test_the_bound_of_bbm92_is_never_that_of_e91() -> None:
    eve = Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes((3 * math.pi / 8,)))
    error = theory.e91_qber(IDEAL, eve)
    assert theory.bbm92_key_fraction(LinkConfig(misalignment=error)) > 0.2
    assert theory.key_fraction(Protocol.E91, IDEAL, eve) == 0.0


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_only_a_protocol_judged_on_s_has_one(protocol: Protocol) -> None:
    assert (theory.chsh(protocol, IDEAL) is not None) == (protocol is Protocol.E91)
    assert theory.qber(protocol, LinkConfig(misalignment=0.03)) == pytest.approx(0.03)


def test_key_ends_at_eleven_percent_in_bb84() -> None:
    assert theory.bb84_key_fraction(LinkConfig(misalignment=0.109)) > 0
    assert theory.bb84_key_fraction(LinkConfig(misalignment=0.111)) == 0
    assert theory.bb84_key_fraction(LinkConfig(misalignment=0.5)) == 0


def test_without_light_dark_counts_make_the_qber_one_half() -> None:
    dark = LinkConfig(fibre_km=1e3, loss_db_per_km=2.0, dark_count_probability=1e-6)
    assert theory.bb84_qber(dark) == pytest.approx(0.5)
    assert theory.e91_chsh(dark) == pytest.approx(0.0)
    assert theory.detection_probability(Protocol.BB84, dark) == pytest.approx(2e-6)


def test_dark_counts_dilute_as_the_textbook_says() -> None:
    config = LinkConfig(fibre_km=100.0, dark_count_probability=1e-6, detector_efficiency=0.2)
    signal, dark = 0.01 * 0.2, 2e-6
    textbook = (signal * 0.02 + dark / 2) / (signal + dark)
    assert theory.bb84_qber(config) == pytest.approx(textbook, rel=1e-3)
    assert theory.coincidence_probability(config) == pytest.approx((0.1 * 0.2) ** 2, rel=1e-3)


def test_a_key_setting_along_eves_axis_shows_no_error() -> None:
    eve = Eve(EveKind.GHZ)
    assert theory.e91_qber(IDEAL, eve, 0) == pytest.approx(0.0)
    assert theory.e91_qber(IDEAL, eve, 1) == pytest.approx(0.25)
    assert theory.e91_phase_error(IDEAL, 0, eve) == pytest.approx(0.5)


def test_half_an_attack_halves_the_loss_of_s() -> None:
    half = Eve(EveKind.INTERCEPT_RESEND, 0.5)
    assert theory.e91_chsh(IDEAL, half) == pytest.approx(1.5 * math.sqrt(2))
