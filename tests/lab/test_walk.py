"""A walk is the block that `lab run` makes, slot by slot; sentences say what is the case."""

from typing import Any

import pytest

from bellwire import lab
from bellwire.base.detections import Protocol
from bellwire.distill.errors import ParameterError
from bellwire.lab import dispatch, narration
from bellwire.lab.experiment import Experiment
from bellwire.lab.walk import Walk, attacks
from bellwire.link.errors import ParameterError as LinkParameterError
from bellwire.link.eve import Eve, EveKind


def walk(protocol: str, pulses: int = 3000, **words: object) -> Walk:
    planned = dispatch.experiment(protocol, {"pulses": pulses, "seed": 5, **words})
    assert isinstance(planned, Experiment)
    return Walk(planned)


@pytest.mark.parametrize("protocol", ["e91", "bbm92", "bb84"])
@pytest.mark.parametrize("eve", ["none", "intercept-resend:0.3"])
def test_a_walk_to_the_end_is_the_run_with_its_seed(protocol: str, eve: str) -> None:
    words: dict[str, Any] = {"km": 4.0, "dark": 1e-3, "efficiency": 0.8}
    walked = walk(protocol, eve=eve, **words)
    assert [walked.advance(n) for n in (1, 999, 10_000)] == [1, 999, 2000]
    expected = dispatch.run(walked.experiment)
    assert isinstance(expected, lab.Result)
    tally = walked.tally()
    assert tally.detected == expected.detections
    report = walked.distil()
    assert (report.message, report.sifted_bits) == (expected.reason, expected.sifted_bits)
    assert report.qber == expected.qber
    assert report.chsh == expected.chsh
    assert tally.sifted + tally.dropped + tally.test == tally.detected


@pytest.mark.parametrize("protocol", ["e91", "bbm92", "bb84"])
def test_statistics_are_those_of_the_photons_one_by_one(protocol: str) -> None:
    walked = walk(protocol, 400, km=3, efficiency=0.7, eve="ghz:0.5")
    walked.advance(400)
    photons = [walked.photon(n) for n in range(400)]
    uses = [photon.use for photon in photons]
    tally = walked.tally()
    assert tally.sifted == uses.count("key") == tally.errors.bits
    assert tally.dropped == uses.count("dropped")
    assert tally.test == uses.count("test")
    assert tally.sent - tally.detected == uses.count("lost") > 0
    assert tally.errors.errors == sum(p.use == "key" and not p.equal for p in photons)
    if tally.correlations is not None:
        terms = [p for p in photons if p.term]
        s = 0.0
        for sign, ends in {
            (p.term, (p.alice or (0,))[0] * 1000 + (p.bob or (0,))[0]) for p in terms
        }:
            of = [p for p in terms if (p.alice or (0,))[0] * 1000 + (p.bob or (0,))[0] == ends]
            s += sign * (2 * sum(p.equal for p in of) / len(of) - 1)
        assert tally.chsh is not None
        assert tally.chsh[0] == pytest.approx(s)


def test_eve_comes_and_goes_and_the_rest_is_the_same_light() -> None:
    quiet, changing = walk("bb84"), walk("bb84")
    full = Eve(EveKind.INTERCEPT_RESEND)
    quiet.advance(3000)
    for eve in (None, full, None):
        changing.meet(eve)
        changing.advance(1000)
    same = [quiet.photon(n).bob == changing.photon(n).bob for n in range(3000)]
    assert all(same[:1000])
    assert not all(same[1000:2000])
    assert all(same[2000:])
    assert [changing.photon(n).eve for n in (999, 1000, 1999, 2000)] == [None, full, full, None]
    assert changing.tally().errors.value == pytest.approx(0.02 + 0.96 / 12, abs=0.03)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match="1 to 262144"):
        walk("bb84", 300_000)
    with pytest.raises(ParameterError, match="in the middle"):
        walk("bb84", eve="man-in-the-middle")
    with pytest.raises(ParameterError, match="one pair"):
        walk("e91", mean_pairs=0.1)
    fresh = walk("bb84")
    with pytest.raises(ParameterError, match="at least one"):
        fresh.distil()
    with pytest.raises(IndexError):
        fresh.photon(0)
    with pytest.raises(LinkParameterError, match="substitution"):
        fresh.meet(Eve(EveKind.SUBSTITUTION))
    assert EveKind.SUBSTITUTION not in attacks(Protocol.BB84)
    assert set(attacks(Protocol.E91)) == set(EveKind)


def test_sentences_say_what_is_the_case() -> None:
    told = {}
    for protocol in ("e91", "bbm92", "bb84"):
        walked = walk(protocol, 500, km=5, eve="intercept-resend")
        walked.advance(500)
        for number in range(500):
            photon = walked.photon(number)
            key = (protocol, photon.use, photon.use not in {"lost"} and photon.equal)
            told[key] = " ".join(narration.tell(walked.protocol, photon))
    assert "bits differ: an error" in told["bb84", "key", False]
    assert "Equal bases, equal bits" in told["bbm92", "key", True]
    assert "Different bases" in told["bb84", "dropped", True]
    assert "stay silent" in told["bb84", "lost", False]
    assert "Both bits are opened" in told["e91", "test", True]
    assert "entangled" in told["e91", "key", True]
    assert all("Eve takes" in sentences for sentences in told.values())
