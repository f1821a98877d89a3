"""The photons: one call gives both halves of a block, pulse by pulse, in vectorised NumPy.

Whoever calls this holds both halves: the link's process, the lab and tests, nobody else.

Model. A gate at one side is clean (the photon's own outcome) or random (dark counts, squashed
double clicks) or silent; see `LinkConfig.clicks`. Two clean outcomes at angles a and b differ with
probability ½(1 − V·c), where c is cos(a − b), or what Eve leaves of it (`Eve.disturbed`).
In BB84 Alice's preparation stands in for an always clean gate of hers. All single outcomes are
uniform: nothing here favours a bit.

Noise comes from a cryptographic stream (outcomes of pairs are key), one stream per quantity, each
read in the order of slots; so the halves depend on the seeds alone and not on the chunk size.
Memory is bounded by the detections and one chunk.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import Detections, Half, Outcomes, Protocol, Settings, Side, Slots
from bellwire.crypto.stream import NoiseStream, limit_of
from bellwire.link.choices import BasisChoices, PreparedPulses, SettingChoices
from bellwire.link.config import LinkConfig, check_pulses
from bellwire.link.errors import ParameterError
from bellwire.link.eve import BB84_ANGLES, Eve
from bellwire.link.memory import registered

CHUNK_PULSES = 2**17
"""Pulses at a time: a few arrays of this many numbers stay in the processor's cache."""


def simulate(  # noqa: PLR0917 - all that a block depends on
    protocol: Protocol,
    config: LinkConfig,
    pulses: int,
    alice_seed: bytes,
    bob_seed: bytes,
    noise_seed: bytes,
    eve: Eve | None = None,
    *,
    rectilinear: float = 0.5,
    chunk: int = CHUNK_PULSES,
) -> tuple[Half, Half]:
    """Send `pulses` pulses, or pairs, through the link.

    Args:
        protocol: BB84, BBM92 or E91.
        config: The link's physics.
        pulses: 1 … 2²⁷.
        alice_seed: 32 bytes, Alice's choices. Secret.
        bob_seed: 32 bytes, Bob's choices. Secret.
        noise_seed: 32 bytes, everything nature and Eve decide. Secret.
        eve: The attack, or None.
        rectilinear: Probability with which either side takes the rectilinear basis; ½ in E91,
            which has other settings.
        chunk: Pulses at a time; changes memory and speed, never the result.

    Returns:
        Alice's half and Bob's. In BB84 Alice's is a `PreparedPulses` of her seed alone. Of pairs
        each lists every slot that this side registered, coincident or not.

    Raises:
        ParameterError: weak pulses, pulses, rectilinear or chunk out of range, or an Eve that this
            protocol has not.
        ValueError: a seed is not 32 bytes.
    """
    check_pulses(pulses)
    if protocol.weak:
        raise ParameterError("protocol", "of photons, or of pairs", protocol)
    if eve is not None:
        eve.check(protocol)
    if chunk < 1:
        raise ParameterError("chunk", "of at least 1 pulse", chunk)
    light = _Light(protocol, config, noise_seed, eve)
    if not protocol.entangled:
        alice = PreparedPulses(alice_seed, pulses, rectilinear)
        return alice, _bb84(light, alice, BasisChoices(bob_seed, rectilinear=rectilinear), chunk)
    if protocol is Protocol.BBM92:
        bases = (
            BasisChoices(alice_seed, protocol, Side.ALICE, rectilinear),
            BasisChoices(bob_seed, protocol, Side.BOB, rectilinear),
        )
        return _pairs(light, *bases, pulses, chunk)
    if rectilinear != 0.5:
        raise ParameterError("rectilinear", "½ in E91", rectilinear)
    settings = SettingChoices(alice_seed, Side.ALICE), SettingChoices(bob_seed, Side.BOB)
    return _pairs(light, *settings, pulses, chunk)


class _Light:
    """What nature and Eve decide, in the order of slots."""

    def __init__(
        self, protocol: Protocol, config: LinkConfig, noise_seed: bytes, eve: Eve | None
    ) -> None:
        angles = (ALICE_ANGLES, BOB_ANGLES) if protocol is Protocol.E91 else (BB84_ANGLES,) * 2

        def stream(what: str) -> NoiseStream:
            return NoiseStream(noise_seed, f"link {protocol} {what}")

        self.clicks = config.clicks(protocol)
        self._detectors = config.detectors
        self._memories = {side: stream(f"{side} memory") for side in Side}
        self.gates = {side: stream(f"{side} gate") for side in Side}
        self.coins = {side: stream(f"{side} coin") for side in Side}
        self._visibility = config.visibility
        self._angles = np.array(angles[0]), np.array(angles[1])
        self._limits = limit_of(self._chance(np.cos(np.subtract.outer(*self._angles))))
        self._errors = stream("error")
        self._touched = stream("eve share")
        self._axis = stream("eve axis")
        self._protocol, self._eve = protocol, eve

    def gate(self, side: Side, n: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """For n slots, whether this side registers anything and whether its gate is clean."""
        if self.clicks.clean >= 1.0:
            self.gates[side].skip(n)
            return np.ones(n, np.bool_), np.ones(n, np.bool_)
        drawn = self.gates[side].integers(n)
        return drawn < limit_of(self.clicks.any), drawn < limit_of(self.clicks.clean)

    def remembered(
        self, side: Side, choices: BasisChoices | SettingChoices, clicks: Detections, pulses: int
    ) -> Detections:
        """A side's detections once its detectors' dead time and afterpulses have had their say."""
        if not self._detectors.remember:
            return clicks
        told = clicks.slots, clicks.outcomes, pulses, self._memories[side]
        slots, outcomes = registered(self._detectors, *told)
        return Detections(slots, choices.at(slots), outcomes)

    def coin(self, side: Side, n: int) -> Outcomes:
        """(n,) uniform outcomes."""
        return (self.coins[side].integers(n) < limit_of(0.5)).view(np.uint8)

    def differ(self, a: Settings, b: Settings) -> Outcomes:
        """(n,) uint8: 1 where two clean outcomes at settings a and b differ."""
        if self._eve is None:
            return (self._errors.integers(a.size) < self._limits[a, b]).view(np.uint8)
        of_a, of_b = self._angles[0][a], self._angles[1][b]
        c = np.cos(of_a - of_b)
        touched = np.flatnonzero(self._touched.uniform(a.size) < self._eve.share)
        drawn = self._axis.uniform(touched.size)
        c[touched] = self._eve.disturbed(self._protocol, of_a[touched], of_b[touched], drawn)
        return (self._errors.uniform(a.size) < self._chance(c)).view(np.uint8)

    def _chance(self, c: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of two clean outcomes to differ, from what Eve leaves of their correlation."""
        return 0.5 * (1.0 - self._visibility * c)


def _bb84(light: _Light, alice: PreparedPulses, bases: BasisChoices, chunk: int) -> Detections:
    parts = []
    for start, n in _chunks(alice.pulses, chunk):
        any_bob, clean = light.gate(Side.BOB, n)
        at = np.flatnonzero(any_bob)
        both = clean[at]
        slots = start + at
        settings = bases.at(slots)
        outcomes = light.coin(Side.BOB, at.size)
        sent = alice.at(slots[both])
        outcomes[both] = sent.outcomes ^ light.differ(sent.settings, settings[both])
        parts.append((slots, settings, outcomes))
    return light.remembered(Side.BOB, bases, _joined(parts), alice.pulses)


def _pairs(
    light: _Light,
    alice: BasisChoices | SettingChoices,
    bob: BasisChoices | SettingChoices,
    pulses: int,
    chunk: int,
) -> tuple[Detections, Detections]:
    parts_a, parts_b = [], []
    for start, n in _chunks(pulses, chunk):
        any_a, clean_a = light.gate(Side.ALICE, n)
        any_b, clean_b = light.gate(Side.BOB, n)
        both = clean_a & clean_b
        at_a, at_b = np.flatnonzero(any_a), np.flatnonzero(any_b)
        both_a, both_b = both[at_a], both[at_b]
        settings_a, settings_b = alice.at(start + at_a), bob.at(start + at_b)
        outcomes_a = light.coin(Side.ALICE, at_a.size)
        outcomes_b = light.coin(Side.BOB, at_b.size)
        differ = light.differ(settings_a[both_a], settings_b[both_b])
        outcomes_b[both_b] = outcomes_a[both_a] ^ differ
        parts_a.append((start + at_a, settings_a, outcomes_a))
        parts_b.append((start + at_b, settings_b, outcomes_b))
    return (
        light.remembered(Side.ALICE, alice, _joined(parts_a), pulses),
        light.remembered(Side.BOB, bob, _joined(parts_b), pulses),
    )


def _chunks(pulses: int, chunk: int) -> Iterator[tuple[int, int]]:
    for start in range(0, pulses, chunk):
        yield start, min(chunk, pulses - start)


def _joined(parts: list[tuple[Slots, Settings, Outcomes]]) -> Detections:
    slots, settings, outcomes = zip(*parts, strict=True)
    return Detections(np.concatenate(slots), np.concatenate(settings), np.concatenate(outcomes))
