"""Circuits in the place of the link: every slot is one shot of the circuit that its choices name.

The choices of both sides are those of the nodes and of the fast engine, slot by slot from their own
seeds. Which photons Eve touches, and along which axis, is drawn here. What the qubits then give is
the sampler's alone. Nothing is lost on the way, so both sides detect every slot.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Detections, Half, Outcomes, Protocol, Side
from bellwire.crypto.stream import KeyStream, NoiseStream
from bellwire.lab.circuit.model import Circuit
from bellwire.lab.circuit.protocols import Branch, branches, cells
from bellwire.link.choices import BasisChoices, PreparedPulses, SettingChoices
from bellwire.link.eve import Eve

SEED_BITS = 31
"""Every sampler takes seeds as long as this."""

Bits = dict[str, Outcomes]
"""Bit of a circuit → (shots,) uint8 of 0/1, in the order of the shots."""


@dataclass(frozen=True, slots=True)
class Task:
    """Shots of one circuit.

    Attributes:
        circuit: Which.
        shots: How many, at least 1.
        seed: Of `SEED_BITS`, of this task alone: two with one seed would not be independent.
    """

    circuit: Circuit
    shots: int
    seed: int


Sampler = Callable[[Sequence[Task]], Sequence[Bits]]
"""Runs tasks and gives the bits of each, task by task."""


def light(  # noqa: PLR0917 - all that a block depends on
    sample: Sampler,
    protocol: Protocol,
    pulses: int,
    alice_seed: bytes,
    bob_seed: bytes,
    noise_seed: bytes,
    eve: Eve | None = None,
) -> tuple[Half, Half]:
    """Send `pulses` pulses, or pairs, as shots of circuits.

    Args:
        sample: Runs them.
        protocol: BB84, BBM92 or E91.
        pulses: 1 … 2²⁷.
        alice_seed: 32 bytes, Alice's choices. Secret.
        bob_seed: 32 bytes, Bob's choices. Secret.
        noise_seed: 32 bytes: Eve's choices, and the seeds of the tasks. Secret.
        eve: The attack, or None.

    Returns:
        Alice's half and Bob's; in BB84 Alice's is a `PreparedPulses`.

    Raises:
        ParameterError: no such attack on this protocol, or one without a circuit.
    """
    slots = np.arange(pulses, dtype=np.int64)
    parts = branches(protocol, eve)
    prepared = None if protocol.entangled else PreparedPulses(alice_seed, pulses)
    if prepared is not None:
        sent = prepared.at(slots)
        a, b = sent.settings, BasisChoices(bob_seed).at(slots)
        cell = (a * 2 + b) * 2 + sent.outcomes
    elif protocol is Protocol.E91:
        a = SettingChoices(alice_seed, Side.ALICE).at(slots)
        b = SettingChoices(bob_seed, Side.BOB).at(slots)
        cell = a * 3 + b
    else:
        a = BasisChoices(alice_seed, protocol, Side.ALICE).at(slots)
        b = BasisChoices(bob_seed, protocol, Side.BOB).at(slots)
        cell = a * 2 + b
    circuits = [circuit for branch in parts for circuit in cells(protocol, branch)]
    per_branch = len(circuits) // len(parts)
    which = _branch(protocol, parts, pulses, noise_seed) * per_branch + cell
    outcomes = _sampled(sample, circuits, which, noise_seed, protocol)
    bob = Detections(slots, b, outcomes["b"])
    return (Detections(slots, a, outcomes["a"]) if prepared is None else prepared), bob


def _branch(
    protocol: Protocol, parts: Sequence[Branch], pulses: int, seed: bytes
) -> NDArray[np.int64]:
    """(pulses,) numbers of the branch of each slot."""
    if len(parts) == 1:
        return np.zeros(pulses, np.int64)
    steps = np.cumsum([part.share for part in parts])[:-1]
    drawn = NoiseStream(seed, f"circuits {protocol} eve").uniform(pulses)
    return np.searchsorted(steps, drawn, side="right").astype(np.int64)


def _sampled(
    sample: Sampler,
    circuits: Sequence[Circuit],
    which: NDArray[np.int64],
    seed: bytes,
    protocol: Protocol,
) -> Bits:
    """Outcomes of Alice and Bob by slot, from the shots of each slot's circuit."""
    counts = np.bincount(which, minlength=len(circuits))
    seeds = KeyStream(seed, f"circuits {protocol} seeds").words(0, len(circuits))
    needed = np.flatnonzero(counts).tolist()
    tasks = [Task(circuits[k], int(counts[k]), int(seeds[k]) >> (32 - SEED_BITS)) for k in needed]
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(counts)
    outcomes = {bit: np.empty(which.size, np.uint8) for bit in circuits[0].bits if bit in "ab"}
    for k, bits in zip(needed, sample(tasks), strict=True):
        mine = order[ends[k] - counts[k] : ends[k]]
        for bit, values in outcomes.items():
            values[mine] = bits[bit]
    return outcomes
