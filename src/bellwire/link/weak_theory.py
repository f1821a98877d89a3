"""Closed forms for weak coherent pulses, and what decoy states prove.

Notation: k an intensity, η the probability that a photon of Alice's is registered, d the dark count
probability of a gate, e the misalignment, Q gain (clicks per pulse of an intensity in live gates),
E QBER, Y_n and e_n yield and error rate of n photons. The detectors' silence is independent:

    A = (1 − d)·e^−ηk(1−e)   the right one silent,   B = (1 − d)·e^−ηke   the wrong one silent
    Q = 1 − AB,              E·Q = ½(1 − B)(1 + A)   a double click counts as half an error

Bounds and key rate: Ma, Qi, Zhao, Lo, PRA 72, 012326 (2005), with the two decoys ν > ω; Gottesman,
Lo, Lütkenhaus, Preskill, Quantum Inf. Comput. 4, 325 (2004). They are asymptotic: what is measured
is taken to be what is.
"""

import math
from dataclasses import dataclass

from bellwire.base.bits import binary_entropy
from bellwire.link.blinding import blinded_gain, blinded_sifted
from bellwire.link.weak import (
    DeadTime,
    WeakConfig,
    WeakEve,
    WeakEveKind,
    several_photons,
    splitting,
)

RECONCILIATION_EFFICIENCY = 1.1
"""Leaked bits over Shannon's limit; Cascade here takes 1.04 to 1.05 of it in long blocks."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Gain and error rate of one intensity.

    Attributes:
        mean: Photons per pulse.
        gain: Q.
        errors: E·Q.
    """

    mean: float
    gain: float
    errors: float


@dataclass(frozen=True, slots=True)
class SinglePhotons:
    """What is proved of Alice's single photons.

    Attributes:
        background: Lower bound of Y_0.
        yield_lower: Lower bound of Y_1.
        error_upper: Upper bound of e_1, at most ½; ½ if there is no yield.
        gain_lower: Lower bound of Q_1 = μe^−μ·Y_1, clicks per signal pulse from single photons.
    """

    background: float
    yield_lower: float
    error_upper: float
    gain_lower: float


@dataclass(frozen=True, slots=True)
class Background:
    """Silence of what has nothing to do with a gate's own pulse.

    Attributes:
        both: Probability that dark counts and stray light leave both detectors silent.
        one: The same of one detector, whichever.
    """

    both: float
    one: float


def background(config: WeakConfig, eve: WeakEve | None = None) -> Background:
    """Dark counts, and light of the neighbours that strays into a gate.

    With ρ_m = η·(share astray by m periods)/(share inside), p_k the share of an intensity and q the
    probability that Bob's basis is that of the state which arrives, independent neighbours give

        both = (1 − d)² Π_m [Σ p_k u_k(ρ_m)]²
        one  = (1 − d)  Π_m [Σ p_k (½q·(u_k(ρ_m e) + u_k(ρ_m(1 − e))) + (1 − q)·u_k(ρ_m/2))]²

    where u_k(x) = e^−kx, or what Eve makes of it (`_silent`).
    """
    live, e = 1.0 - config.link.dark_count_probability, config.link.misalignment
    both, one, q, timing = live * live, live, config.sifting, config.timing
    if eve is not None and eve.kind is WeakEveKind.INTERCEPT_RESEND:
        q += eve.share / 2.0 * (1.0 - 2.0 * q)
    for share in timing.astray:
        f, means = share / timing.inside, config.intensities
        all_of_it = [_silent(config, eve, mean, f) for mean in means]
        parts = [
            q
            / 2.0
            * (_silent(config, eve, mean, f * e) + _silent(config, eve, mean, f * (1.0 - e)))
            + (1.0 - q) * _silent(config, eve, mean, f / 2.0)
            for mean in means
        ]
        both *= _mean(config, all_of_it) ** 2
        one *= _mean(config, parts) ** 2
    return Background(both, one)


def _mean(config: WeakConfig, values: list[float]) -> float:
    """Mean over the intensities."""
    return math.fsum(share * value for share, value in zip(config.shares, values, strict=True))


def _silent(config: WeakConfig, eve: WeakEve | None, mean: float, f: float) -> float:
    """Probability that of a pulse's light the share f of what could be registered is not."""
    whole = math.exp(-mean * config.registered * f)
    if eve is None or eve.kind is not WeakEveKind.PHOTON_NUMBER_SPLITTING:
        return whole
    passed = 1.0 - _passed(config, mean) * config.efficiency * f
    return (1.0 - eve.share) * whole + eve.share * passed


def n_photon_yield(
    config: WeakConfig, n: int, efficiency: float | None = None, eve: WeakEve | None = None
) -> float:
    """Y_n = 1 − (1 − d)²(1 − η)ⁿ, or with `efficiency` in the place of η.

    Stray light multiplies the second term, as in `background`; Eve matters for it alone.
    """
    eta = config.registered if efficiency is None else efficiency
    return 1.0 - background(config, eve).both * (1.0 - eta) ** n


def n_photon_errors(config: WeakConfig, n: int) -> float:
    """e_n·Y_n = ½(1 + A_n − B_n) − ½(1 − d)²(1 − η)ⁿ, stray light as in `background`.

    A_n = (1 − d)(1 − η(1 − e))ⁿ and B_n = (1 − d)(1 − ηe)ⁿ as above.
    """
    rest, e, eta = background(config), config.link.misalignment, config.registered
    right, wrong = rest.one * (1.0 - eta * (1.0 - e)) ** n, rest.one * (1.0 - eta * e) ** n
    return 0.5 * (1.0 + right - wrong - rest.both * (1.0 - eta) ** n)


def expected(config: WeakConfig, intensity: int, eve: WeakEve | None = None) -> Observed:
    """Gain and errors of an intensity, by its number, in live gates without afterpulses.

    With b₂ and b₁ the background's silence and u(f) the pulse's own (`_silent`):

        Q = 1 − b₂·u(1),     E·Q = ½[1 + A − B − b₂·u(1)],   A = b₁·u(1 − e),   B = b₁·u(e)

    With Eve's share s: intercept-resend leaves Q and makes E·Q (1 − s/2)·E·Q + (s/2)·Q/2;
    photon-number splitting makes u(f) = (1 − s)·e^−ηkf + s·(1 − x·η_d·f), x photons per pulse
    passing a line without loss; beam splitting changes nothing; of blinded pulses the gain and the
    errors are those of `bellwire.link.blinding`.
    """
    mean, e = config.intensities[intensity], config.link.misalignment
    rest = background(config, eve)
    silent = rest.both * _silent(config, eve, mean, 1.0)
    right = rest.one * _silent(config, eve, mean, 1.0 - e)
    wrong = rest.one * _silent(config, eve, mean, e)
    # (1 − B)(1 + A) + (AB − b₂·u(1)), as the bracket: what is small stays so.
    gain = 1.0 - silent
    errors = max(0.0, 0.5 * ((1.0 - wrong) * (1.0 + right) + (right * wrong - silent)))
    if eve is None:
        return Observed(mean, gain, errors)
    share = eve.share
    if eve.kind is WeakEveKind.INTERCEPT_RESEND:
        errors = (1.0 - share / 2.0) * errors + share / 2.0 * gain / 2.0
    elif eve.kind is WeakEveKind.BLINDING:
        # With a favoured basis, like bases do not have the gain of all.
        sifted = blinded_sifted(config, eve, mean)
        alike = (1.0 - share) * gain + share * sifted.gain
        errors = (1.0 - share) * errors + share * sifted.errors
        gain = (1.0 - share) * gain + share * blinded_gain(config, eve, mean)
        errors *= gain / alike if alike else 0.0
    return Observed(mean, gain, errors)


def known_gain(config: WeakConfig, intensity: int, eve: WeakEve) -> float:
    """Clicks per pulse of which Eve knows Alice's bit once the bases are public.

    Intercept-resend: s/2 of the clicks but those of empty pulses; photon-number splitting: all of
    several photons; beam splitting: the share 1 − e^−k(1−T) of all clicks; blinding: of like bases
    all that clicked as she wanted.
    """
    mean, share = config.intensities[intensity], eve.share
    gain, dark = expected(config, intensity).gain, n_photon_yield(config, 0, eve=eve)
    if eve.kind is WeakEveKind.INTERCEPT_RESEND:
        return share / 2.0 * (gain - math.exp(-mean) * dark)
    if eve.kind is WeakEveKind.BEAM_SPLITTING:
        return share * gain * -math.expm1(-mean * (1.0 - config.transmittance))
    if eve.kind is WeakEveKind.BLINDING:
        sifted = blinded_sifted(config, eve, mean)
        alike = (1.0 - share) * gain + share * sifted.gain
        return (
            share * sifted.known * expected(config, intensity, eve).gain / alike if alike else 0.0
        )
    passed = splitting(config).multiple
    lit = n_photon_yield(config, 1, config.efficiency, eve)
    return share * several_photons(mean) * (passed * lit + (1.0 - passed) * dark)


def closed(config: WeakConfig) -> bool:
    """Whether the forms here hold: common dead time, or none, and no afterpulses."""
    apart = config.dead_gates and config.dead_time is DeadTime.PER_DETECTOR
    return not (config.afterpulse or apart)


def click_rate(config: WeakConfig, eve: WeakEve | None = None) -> float:
    """Clicks per gate, p/(1 + pD): a click, D blind gates, and 1/p live ones to the next click.

    Exact for the common dead time without afterpulses. With afterpulses, or one detector blind at a
    time, there is no closed form here: ValueError.
    """
    if not closed(config):
        raise ValueError("expected a common dead time and no afterpulses")
    shares = config.shares
    p = math.fsum(share * expected(config, k, eve).gain for k, share in enumerate(shares))
    return p / (1.0 + p * config.dead_gates)


def decoy_bounds(signal: Observed, decoy: Observed, vacuum: Observed) -> SinglePhotons:
    """Bounds on single photons from three intensities; Ma et al., equations for two decoys.

        Y_0 ≥ (ν·Q_ω e^ω − ω·Q_ν e^ν)/(ν − ω)
        Y_1 ≥ μ/(μν − μω − ν² + ω²) · [Q_ν e^ν − Q_ω e^ω − (ν² − ω²)/μ² · (Q_μ e^μ − Y_0)]
        e_1 ≤ (E_ν Q_ν e^ν − E_ω Q_ω e^ω)/((ν − ω)·Y_1)

    They hold for any channel that treats photons by their number alone, whatever Eve does there.
    """
    mu, nu, omega = signal.mean, decoy.mean, vacuum.mean
    of_signal = signal.gain * math.exp(mu)
    of_decoy, of_vacuum = decoy.gain * math.exp(nu), vacuum.gain * math.exp(omega)
    background = min(1.0, max(0.0, (nu * of_vacuum - omega * of_decoy) / (nu - omega)))
    curve = (nu * nu - omega * omega) / (mu * mu)
    slope = mu / ((nu - omega) * (mu - nu - omega))
    lower = slope * (of_decoy - of_vacuum - curve * (of_signal - background))
    lower = min(1.0, max(0.0, lower))
    errors = decoy.errors * math.exp(nu) - vacuum.errors * math.exp(omega)
    upper = 0.5 if not lower else min(0.5, max(0.0, errors / ((nu - omega) * lower)))
    return SinglePhotons(background, lower, upper, mu * math.exp(-mu) * lower)


def worst_case(signal: Observed) -> SinglePhotons:
    """All that one intensity proves: every pulse of several photons may have clicked, and be Eve's.

    Q_1 ≥ Q − (1 − e^−μ(1 + μ)), with every error among the rest (Gottesman et al.); empty pulses
    count as single ones, which Eve knows no better.
    """
    mu = signal.mean
    gain = max(0.0, signal.gain - several_photons(mu))
    upper = 0.5 if not gain else min(0.5, signal.errors / gain)
    return SinglePhotons(0.0, min(1.0, gain / (mu * math.exp(-mu))), upper, gain)


def key_fraction(
    config: WeakConfig,
    signal: Observed,
    single: SinglePhotons,
    efficiency: float = RECONCILIATION_EFFICIENCY,
) -> float:
    """Secret bits per pulse of long runs; negative where reconciliation costs more than there is.

    share of the signal · share of like bases · {Q_1·[1 − h(e_1)] − Q_μ·f·h(E_μ)}, where Q and Q_1
    are per signal pulse; dead time multiplies it by the share of live gates.
    """
    if not signal.gain:
        return 0.0
    cost = efficiency * binary_entropy(min(0.5, signal.errors / signal.gain))
    rest = 1.0 - binary_entropy(single.error_upper)
    net = single.gain_lower * rest - signal.gain * cost
    return config.shares[0] * config.sifting * net


def _passed(config: WeakConfig, mean: float) -> float:
    """x: photons per pulse that Eve's photon-number splitting lets pass."""
    rates = splitting(config)
    return rates.single * mean * math.exp(-mean) + rates.multiple * several_photons(mean)
