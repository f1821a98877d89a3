"""Any Eve on a link: which light she can touch, and how she is named."""

import contextlib

import pytest

from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.link.attacks import KINDS, any_eve, on_photons, on_weak_pulses, parse_any_eve
from bellwire.link.errors import ParameterError
from bellwire.link.eve import Axes, Eve, EveKind
from bellwire.link.weak import WeakEve, WeakEveKind


@pytest.mark.parametrize("kind", KINDS)
def test_every_attack_is_read_by_its_name_and_touches_some_light(kind: str) -> None:
    eve = parse_any_eve(f"{kind}:0.25")
    assert eve == any_eve(kind, 0.25)
    assert eve is not None
    assert (eve.kind, eve.share) == (kind, 0.25)
    touches = 0
    for protocol in OF_PHOTONS:
        with contextlib.suppress(ParameterError):
            touches += on_photons(eve, protocol) is not None
    with contextlib.suppress(ParameterError):
        touches += on_weak_pulses(eve) is not None
    assert touches


def test_nobody_touches_nothing() -> None:
    assert parse_any_eve("none") is None
    assert on_weak_pulses(None) is None
    assert on_photons(None, Protocol.E91) is None


def test_who_intercepts_and_resends_does_so_on_any_light() -> None:
    assert on_weak_pulses(Eve(EveKind.INTERCEPT_RESEND, 0.3)) == WeakEve(
        WeakEveKind.INTERCEPT_RESEND, 0.3
    )
    weak = WeakEve(WeakEveKind.INTERCEPT_RESEND, 0.3)
    assert on_weak_pulses(weak) == weak
    assert on_photons(weak, Protocol.BB84) == Eve(EveKind.INTERCEPT_RESEND, 0.3)


def test_an_attack_on_the_other_light_is_refused() -> None:
    with pytest.raises(ParameterError, match="Eve's pns only on weak pulses, got e91"):
        on_photons(WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING), Protocol.E91)
    with pytest.raises(ParameterError, match=r"on weak pulses as one of .*, got ghz"):
        on_weak_pulses(Eve(EveKind.GHZ))
    with pytest.raises(ParameterError, match="got intercept-resend with axes"):
        on_weak_pulses(Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes.degrees(45)))
    with pytest.raises(ParameterError, match="source sends pairs"):
        on_photons(Eve(EveKind.SUBSTITUTION), Protocol.BB84)


@pytest.mark.parametrize("text", ["mallory", "pns:2", "pns:x", "none:1", ""])
def test_what_is_no_attack_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="Eve"):
        parse_any_eve(text)


def test_axes_belong_to_photons() -> None:
    with pytest.raises(ParameterError, match="only for an Eve of photons, got axes for pns"):
        parse_any_eve("pns", Axes.degrees(45))
    assert parse_any_eve("ghz", Axes.degrees(45)) == Eve(EveKind.GHZ, 1.0, Axes.degrees(45))
