"""What happens to one photon, in sentences for somebody who learns."""

import math
from collections.abc import Iterator

from bellwire.base.detections import Protocol
from bellwire.distill.report import BlockReport
from bellwire.lab.experiment import Experiment, predict
from bellwire.lab.walk import Photon, Tally
from bellwire.link.eve import Eve, EveKind

_BASES = {0: "rectilinear", 90: "diagonal"}

_DEEDS = {
    EveKind.INTERCEPT_RESEND: "measures it and sends a new one on in the state she found",
    EveKind.BREIDBART: "measures it half-way between the bases and sends on what she found",
    EveKind.GHZ: "entangles it with a qubit of hers, to measure that one later",
    EveKind.CLONER: "copies it as well as quantum physics lets her, and sends one copy on",
    EveKind.SUBSTITUTION: "replaces the pair by halves of two pairs of her own",
}


def angle(degrees: float) -> str:
    """An angle on the Bloch sphere, as a setting of E91 is named."""
    return f"{degrees:.0f}°"


def setting(protocol: Protocol, degrees: float) -> str:
    """A basis by its name, or a setting of E91 by its angle."""
    return angle(degrees) if protocol is Protocol.E91 else _BASES[round(degrees)]


def eve_is(eve: Eve | None) -> str:
    """Who is on the line, in few words."""
    return "nobody" if eve is None else f"{eve.kind.value}, {eve.share:.0%}"


def tell(protocol: Protocol, photon: Photon) -> Iterator[str]:
    """The way of a photon, a sentence for each station."""
    yield from _source(protocol, photon)
    if photon.eve is not None:
        yield _deed(protocol, photon.eve)
    yield from _detection(protocol, photon)
    yield _use(protocol, photon)


def _source(protocol: Protocol, photon: Photon) -> Iterator[str]:
    if protocol.entangled:
        yield "The source emits a pair of entangled photons, one to each side."
        return
    assert photon.alice is not None
    degrees, bit = photon.alice
    yield f"Alice draws the {_BASES[round(degrees)]} basis and the bit {bit}, and sends a photon."


def _deed(protocol: Protocol, eve: Eve) -> str:
    where = "the photon to Bob" if protocol.entangled else "the photon"
    if eve.share == 1.0:
        return f"Eve takes {where}: she {_DEEDS[eve.kind]}."
    return (
        f"Eve takes {eve.share:.0%} of the photons; whether this one, only she knows. "
        f"If so, she {_DEEDS[eve.kind]}."
    )


def _detection(protocol: Protocol, photon: Photon) -> Iterator[str]:
    ends = [("Bob", photon.bob)]
    if protocol.entangled:
        ends.insert(0, ("Alice", photon.alice))
    for name, found in ends:
        if found is None:
            yield f"{name}’s detectors stay silent."
        elif protocol is Protocol.E91:
            yield f"{name} draws the setting {angle(found[0])} and gets {found[1]}."
        else:
            yield f"{name} measures in the {_BASES[round(found[0])]} basis and gets {found[1]}."


def _use(protocol: Protocol, photon: Photon) -> str:
    if photon.use == "lost":
        return "Nothing to compare: photons that are lost cost time, not secrecy."
    if photon.use == "dropped":
        return "Different bases: the outcome is a coin’s, so both drop it when bases are announced."
    if photon.use == "key":
        same = "Equal settings" if protocol is Protocol.E91 else "Equal bases"
        if photon.equal:
            return f"{same}, equal bits: one more sifted bit, and nobody has said it aloud."
        return f"{same}, and the bits differ: an error. Imperfect light, or Eve?"
    assert photon.alice is not None
    assert photon.bob is not None
    outcome = "equal" if photon.equal else "different"
    turn = math.cos(math.radians(photon.alice[0] - photon.bob[0]))
    pair = f"E({angle(photon.alice[0])}, {angle(photon.bob[0])})"
    if not photon.term:
        return f"Both bits are opened: {outcome}. {pair} is no part of S; it is checked beside it."
    sign = "+" if photon.term > 0 else "−"
    return (
        f"Both bits are opened: {outcome}. {pair} counts {sign} in S; quantum theory: {turn:+.2f}."
    )


def measured(tally: Tally, experiment: Experiment) -> Iterator[tuple[str, str, str]]:
    """(name, value, what theory expects of this link or nothing) of the statistics so far."""
    expected = predict(experiment)
    light = "pairs" if experiment.protocol.entangled else "photons"
    yield light, f"{tally.sent:,}", ""
    yield "detected", f"{tally.detected:,}", ""
    yield "sifted bits", f"{tally.sifted:,}", ""
    if tally.correlations is None:
        yield "dropped", f"{tally.dropped:,}", ""
    else:
        yield "opened", f"{tally.test:,}", ""
    qber = "–"
    if tally.errors.bits:
        qber = f"{tally.errors.value:.1%} ± {tally.errors.stderr:.1%}"
    yield "QBER", qber, f"{expected.qber:.1%}"
    if expected.chsh is not None:
        s = "–" if tally.chsh is None else f"{tally.chsh[0]:.2f} ± {tally.chsh[1]:.2f}"
        yield "S", s, f"{expected.chsh:.2f}"


def verdict(report: BlockReport) -> str:
    """What both sides would say if the block ended here."""
    if report.accepted:
        return f"accept: {report.secret_bits:,} secret bits from {report.sifted_bits:,} sifted ones"
    return f"abort: {report.message}"
