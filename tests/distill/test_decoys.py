"""Decoy states: what is counted, proved and judged, against the truth that only a simulator has."""

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.simulators.blocks import Recorder, opening, run
from tests.simulators.decoys import RECTILINEAR, Channel, Light, decoy_light

from bellwire.base.bits import PackedBits
from bellwire.base.decoys import Decoys
from bellwire.base.detections import Detections, Protocol, Side
from bellwire.distill import messages  # pytest would collect a bare `Tested`
from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.choices import Choices
from bellwire.distill.decoys import DecoySample
from bellwire.distill.evidence import Evidence
from bellwire.distill.messages import Announced, decode
from bellwire.distill.sifting import Sifted, sift
from bellwire.distill.verdict import Reason

DECOYS = Decoys()
LOOSE = EpsilonBudget.divide(1e-3)
"""The largest ε there may be: bounds as tight as they get, so that a wrong one shows."""


def sides(light: Light) -> tuple[Detections, Detections]:
    slots = light.halves[Side.BOB].received
    assert slots is not None
    return light.halves[Side.ALICE].at(slots), light.halves[Side.BOB].at(slots)


def sifted(light: Light, outcomes: str = "bob", rare: int = 1) -> Sifted:
    alice, bob = sides(light)
    assert alice.intensities is not None
    of = {"alice": alice, "bob": bob}[outcomes]
    return sift(
        Protocol.DECOY,
        (Choices.of(alice.settings, 2), Choices.of(bob.settings, 2)),
        PackedBits.of(of.outcomes),
        0.2,
        bytes(32),
        rare=rare,
        intensities=Choices.of(alice.intensities, 3),
    )


def sample(light: Light, decoys: Decoys = DECOYS, rare: int = 1) -> DecoySample:
    hers, his = sifted(light, "alice", rare), sifted(light, "bob", rare)
    found = Evidence.of(Protocol.DECOY, hers, (hers.test, his.test), rare=rare, decoys=decoys)
    assert found.decoys is not None
    return found.decoys


def truth(light: Light, rare: int = 1) -> tuple[int, int, float]:
    """Key bits of empty pulses, of single photons, and the share of phase errors of these."""
    alice, bob = sides(light)
    key = bob.slots[(alice.settings == 1 - rare) & (bob.settings == 1 - rare)]
    single = key[light.photons[key] == 1]
    wrong = light.wrong[single, rare]
    return int((light.photons[key] == 0).sum()), single.size, float(wrong.mean())


@pytest.mark.parametrize("rare", [0, 1])
def test_counts_are_those_of_whoever_counts_slot_by_slot(rare: int) -> None:
    light = decoy_light(20_000, np.random.default_rng(1), Channel(0.5, 0.01))
    alice, bob = sides(light)
    assert alice.intensities is not None
    detected, key, tested, errors = ([0, 0, 0] for _ in range(4))
    rows = (alice.intensities, alice.settings, bob.settings, alice.outcomes, bob.outcomes)
    for k, a, b, x, y in zip(*(row.tolist() for row in rows), strict=True):
        detected[k] += 1
        key[k] += a == b == 1 - rare
        tested[k] += a == b == rare
        errors[k] += a == b == rare and x != y
    found = sample(light, rare=rare)
    assert (list(found.detected), list(found.key)) == (detected, key)
    assert (list(found.tested), list(found.errors)) == (tested, errors)
    kept = sifted(light, "bob", rare)
    assert kept.key.size == sum(key) == sum(kept.parts) == kept.parts[1 - rare]
    assert kept.test.size == sum(tested) == kept.tests[rare]
    alike = (alice.settings == 1 - rare) & (bob.settings == 1 - rare)
    assert np.array_equal(kept.key.unpack(), bob.outcomes[alike])
    alike = (alice.settings == rare) & (bob.settings == rare)
    assert np.array_equal(kept.test.unpack(), bob.outcomes[alike])


def channels(rng: np.random.Generator) -> Channel:
    """Losses, noise and Eves of all kinds that treat photons by their number alone."""
    return Channel(
        eta=rng.uniform(0.3, 1.0),
        dark=rng.choice([0.0, 1e-3, 1e-2]),
        flips=(rng.uniform(0.0, 0.06), rng.uniform(0.0, 0.06)),
        single=rng.choice([1.0, 1.0, 0.6]),
    )


def test_the_truth_lies_within_the_bounds_in_every_one_of_some_hundred_blocks() -> None:
    """Each may fail by ε_sec, here 10⁻³; but a deviation by Hoeffding is some four standard errors
    of these counts, and a bound takes all of them at their worst."""
    rng = np.random.default_rng(2014)
    shown = tight = 0
    for _ in range(200):
        rare = int(rng.integers(0, 2))
        vacuum = rng.choice([0.0, 0.01])
        decoys = Decoys((rng.uniform(0.4, 0.7), 0.2, vacuum), (0.3, 0.4, 0.3))
        p = rng.uniform(0.5, 0.8)
        light = decoy_light(150_000, rng, channels(rng), decoys, p if rare else 1.0 - p)
        empty, single, phase = truth(light, rare)
        found = sample(light, decoys, rare).bounds(LOOSE)
        assert found.vacuum <= empty
        assert found.single <= single
        assert phase <= found.phase_error
        shown += found.single > 0.5 * single
        tight += found.phase_error < 0.25
    assert shown > 80
    assert tight > 30


def test_an_eve_who_could_see_intensities_would_break_the_bounds() -> None:
    """What the test above would find if it could fail, and why intensities must not show."""
    rng = np.random.default_rng(5)
    light = decoy_light(400_000, rng, Channel(single=0.0, sees=True))
    _, single, _ = truth(light)
    assert sample(light).bounds(LOOSE).single > single


def recomputed(light: Light, leaked: int, epsilon: float) -> int:
    """Secret bits before tags, from raw halves: Lim et al. 2014 as printed, with s₀ left out."""
    alice, bob = sides(light)
    shades = alice.intensities
    assert shades is not None
    mu, p = np.array(DECOYS.means), np.array(DECOYS.shares)
    secrecy = 7 / 8 * epsilon

    def count(basis: int, *, wrong: bool = False) -> np.ndarray:
        kept = (alice.settings == basis) & (bob.settings == basis)
        if wrong:
            kept &= alice.outcomes != bob.outcomes
        return np.bincount(shades[kept], minlength=3).astype(float)

    def limits(n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        delta = np.sqrt(n.sum() / 2 * np.log(21 / secrecy))
        return np.exp(mu) / p * (n - delta), np.exp(mu) / p * (n + delta)

    tau = [(np.exp(-mu) * mu**n * p).sum() for n in range(2)]

    def lowest(n: np.ndarray) -> float:
        low, high = limits(n)
        s0 = max(0.0, tau[0] * (mu[1] * low[2] - mu[2] * high[1]) / (mu[1] - mu[2]))
        middle = (mu[1] ** 2 - mu[2] ** 2) / mu[0] ** 2 * (high[0] - s0 / tau[0])
        bottom = mu[0] * (mu[1] - mu[2]) - mu[1] ** 2 + mu[2] ** 2
        return float(tau[1] * mu[0] * (low[1] - high[2] - middle) / bottom)

    key, tested = lowest(count(0)), lowest(count(1))
    low, high = limits(count(1, wrong=True))
    v = float(tau[1] * (high[1] - low[2]) / (mu[1] - mu[2]))
    b = v / tested
    inside = (key + tested) / (key * tested * (1 - b) * b) * 21**2 / secrecy**2
    phi = b + math.sqrt(
        (key + tested) * (1 - b) * b / (key * tested * math.log(2)) * math.log2(inside)
    )
    h = -phi * math.log2(phi) - (1 - phi) * math.log2(1 - phi)
    return math.floor(key * (1 - h) - leaked - 128 - 6 * math.log2(21 / secrecy))


@pytest.mark.parametrize("seed", range(4))
def test_a_blocks_length_is_that_of_the_printed_formulas(seed: int) -> None:
    block = opening(Protocol.DECOY, 600_000, epsilon=10.0 ** -(6 + seed))
    light = decoy_light(600_000, np.random.default_rng(seed), Channel(0.9, 1e-5, (0.01, 0.02)))
    outcome = run(block, light.halves, seed=seed)
    report = outcome.reports[Side.ALICE]
    assert outcome.accepted
    wanted = recomputed(light, report.leaked_bits, block.epsilon)
    assert report.extracted_bits == wanted
    assert report.secret_bits == wanted - report.authentication_bits > 0
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    empty, single, phase = truth(light)
    assert report.single_photon_bits is not None
    assert report.vacuum_bits is not None
    assert report.vacuum_bits <= empty
    assert report.single_photon_bits <= single
    assert phase <= report.phase_errors[0]
    assert sum(int(row["key"]) for row in report.intensities) == report.key_bits
    assert sum(int(row["tested"]) for row in report.intensities) == report.sample_bits
    assert report.sifted_bits == report.key_bits + report.sample_bits


def test_gains_are_detections_over_pulses() -> None:
    light = decoy_light(400_000, np.random.default_rng(3), Channel(0.5))
    for mean, row in zip(DECOYS.means, sample(light).table(400_000), strict=True):
        expected = -math.expm1(-0.5 * mean)
        spread = math.sqrt(expected / (400_000 * row["share"]))
        assert abs(row["gain"] - expected) <= 5 * spread
        assert row["mean"] == mean


def test_photon_number_splitting_is_told_from_a_short_block() -> None:
    rng = np.random.default_rng(4)
    block = opening(Protocol.DECOY)
    # She blocks every single photon, and of several lets as many pass as gives Bob his gain.
    split = run(block, decoy_light(block.pulses, rng, Channel(single=0.0)).halves)
    assert {report.reason for report in split.reports.values()} == {Reason.SINGLE_PHOTONS}
    message = split.reports[Side.BOB].message
    assert message is not None
    assert "no single photons" in message
    assert split.reports[Side.ALICE].sample_bits == split.reports[Side.ALICE].sifted_bits
    short = run(opening(Protocol.DECOY, 60_000), decoy_light(60_000, rng).halves)
    assert {report.reason for report in short.reports.values()} == {Reason.TOO_FEW}
    message = short.reports[Side.BOB].message
    assert message is not None
    assert "decoys" in message


def test_short_blocks_without_eve_are_never_taken_for_an_attack() -> None:
    rng = np.random.default_rng(6)
    for _ in range(200):
        pulses = int(rng.integers(1, 30_000))
        light = decoy_light(pulses, rng, Channel(rng.uniform(0.01, 1.0), 1e-3))
        assert sample(light).judge(EpsilonBudget.divide(1e-10), probe=True) is None
        rejection = sample(light).judge(EpsilonBudget.divide(1e-10), probe=False)
        assert rejection is not None
        assert rejection.reason is Reason.TOO_FEW


@pytest.mark.parametrize("flips", [(0.25, 0.25), (0.02, 0.25)])
def test_errors_in_the_compared_basis_are_rejected_before_anything_else(
    flips: tuple[float, float],
) -> None:
    rng = np.random.default_rng(7)
    block = opening(Protocol.DECOY)
    outcome = run(block, decoy_light(block.pulses, rng, Channel(flips=flips)).halves)
    assert {report.reason for report in outcome.reports.values()} == {Reason.QBER}


def test_errors_of_the_keys_basis_alone_are_rejected_once_they_are_known() -> None:
    rng = np.random.default_rng(8)
    block = opening(Protocol.DECOY)
    outcome = run(block, decoy_light(block.pulses, rng, Channel(flips=(0.13, 0.02))).halves)
    report = outcome.reports[Side.BOB]
    assert report.reason is Reason.QBER
    assert report.key_bits > 0
    assert not outcome.secrets


def test_phase_errors_that_leave_nothing_end_without_key() -> None:
    rng = np.random.default_rng(9)
    block = opening(Protocol.DECOY)
    outcome = run(block, decoy_light(block.pulses, rng, Channel(flips=(0.02, 0.1))).halves)
    report = outcome.reports[Side.BOB]
    assert report.reason is Reason.NO_NET_KEY
    assert report.phase_errors[0] > 0.1


def test_a_probe_sees_errors_and_split_photon_numbers_and_opens_everything() -> None:
    rng = np.random.default_rng(10)
    good = run(
        opening(Protocol.DECOY, 100_000, probe=True), decoy_light(100_000, rng).halves
    ).reports[Side.ALICE]
    assert good.accepted
    assert good.sample_bits == good.sifted_bits > 0
    assert good.secret_bits == 0
    noisy = decoy_light(100_000, rng, Channel(flips=(0.2, 0.02)))
    bad = run(opening(Protocol.DECOY, 100_000, probe=True), noisy.halves).reports[Side.ALICE]
    assert bad.reason is Reason.QBER
    split = decoy_light(500_000, rng, Channel(single=0.0))
    watched = run(opening(Protocol.DECOY, probe=True), split.halves).reports[Side.ALICE]
    assert watched.reason is Reason.SINGLE_PHOTONS


def test_nothing_of_the_keys_basis_is_opened_and_intensities_are_said_once() -> None:
    wire = Recorder()
    block = opening(Protocol.DECOY)
    light = decoy_light(block.pulses, np.random.default_rng(11))
    outcome = run(block, light.halves, wire=wire)
    assert outcome.accepted
    alice, bob = sides(light)
    hers, his = (decode(wire.said[side][2], Announced) for side in Side)
    said = Choices.decode((hers.intensity_low, hers.intensity_high), alice.slots.size, 3, "said")
    for k in range(3):
        assert np.array_equal(said.equal(k).unpack(), alice.intensities == k)
    assert (his.intensity_low, his.intensity_high) == (b"", b"")
    opened = decode(wire.said[Side.BOB][3], messages.Tested).outcomes
    rare = (alice.settings == 1) & (bob.settings == 1)
    assert opened == PackedBits.of(bob.outcomes[rare]).to_bytes()


def test_a_half_without_intensities_or_with_impossible_ones_ends_the_block() -> None:
    block = opening(Protocol.DECOY, 10_000)
    light = decoy_light(10_000, np.random.default_rng(12))
    for shades in (None, np.full(10_000, 3, np.uint8)):

        class Odd:
            received = None

            def at(self, where: np.ndarray, shades: np.ndarray | None = shades) -> Detections:
                return replace(
                    light.halves[Side.ALICE].at(where),
                    intensities=None if shades is None else shades[where],
                )

        outcome = run(block, {**light.halves, Side.ALICE: Odd()})
        assert outcome.reports[Side.ALICE].reason is Reason.LINK
        assert not outcome.secrets


def test_a_basis_that_is_not_preferred_is_the_one_compared() -> None:
    assert opening(Protocol.DECOY).rare_basis == 1
    assert opening(Protocol.DECOY, rectilinear=0.3).rare_basis == 0
    assert opening(Protocol.DECOY, rectilinear=0.5).rare_basis == 1
    light = decoy_light(500_000, np.random.default_rng(13), rectilinear=1.0 - RECTILINEAR)
    outcome = run(opening(Protocol.DECOY, rectilinear=1.0 - RECTILINEAR), light.halves)
    assert outcome.accepted
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
