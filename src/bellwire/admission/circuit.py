"""Four qubits turn three numbers into sixteen: the circuit of S4.3, in closed form.

A wire each for ping and jitter, two for the address: RY turns every wire by an angle, then CNOTs
run down the chain 0 to 1, 1 to 2, 2 to 3, and all four are measured. After the turns the wires are
independent; the chain only renames outcomes (each wire becomes the parity of itself and all above
it), so that the sixteen probabilities are products of four, and no simulator is needed.

It is a feature map on classical data. Whoever sends the three numbers can compute the sixteen, so
they prove nothing about the newcomer, least of all that anything quantum is there. They are a
bounded measure of how far two sets of numbers lie apart (`distance`), and a picture.

Source: M. A. Nielsen, I. L. Chuang, Quantum Computation and Quantum Information, 4.2 (RY), 4.3
(CNOT); checked against PennyLane in the tests.
"""

import itertools
import math
from typing import Final

from bellwire.admission.evidence import Address

WIRES: Final = 4
PING_MS: Final = 50.0
JITTER_MS: Final = 10.0
"""Turn a wire by a quarter: half as much turns it less, ten times as much nearly upside down."""

Angles = tuple[float, float, float, float]


def angles(ping_ms: float, jitter_ms: float, address: Address) -> Angles:
    """By how much each wire is turned, 0 to pi, radians.

    Args:
        ping_ms: Not negative; any size fits, as the angle saturates.
        jitter_ms: The same.
        address: The two halves of an IPv4 address, or of the first 64 bits of an IPv6 address,
            turn a wire each in proportion.
    """
    high, low = _halves(address)
    return (
        math.pi * ping_ms / (ping_ms + PING_MS),
        math.pi * jitter_ms / (jitter_ms + JITTER_MS),
        math.pi * high,
        math.pi * low,
    )


def probabilities(turns: Angles) -> tuple[float, ...]:
    """Of the 16 outcomes 0000 to 1111, wire 0 first.

    Args:
        turns: Of the four wires, radians.
    """
    sides = [(math.cos(turn / 2) ** 2, math.sin(turn / 2) ** 2) for turn in turns]
    found = [0.0] * 2**WIRES
    for bits in itertools.product((0, 1), repeat=WIRES):
        outcome = 0
        for parity in itertools.accumulate(bits, lambda a, b: a ^ b):
            outcome = outcome << 1 | parity
        found[outcome] = math.prod(side[bit] for side, bit in zip(sides, bits, strict=True))
    return tuple(found)


def distance(first: Angles, second: Angles) -> float:
    """How far apart two sets of numbers lie, 0 to 1: the total variation of their outcomes."""
    pairs = zip(probabilities(first), probabilities(second), strict=True)
    return sum(abs(a - b) for a, b in pairs) / 2


def drawn(turns: Angles) -> str:
    """The circuit as text, a line for each wire."""
    boxes = [f"RY({turn:.3f})" for turn in turns]
    lines = []
    for wire, box in enumerate(boxes):
        cells = ["───"] * (WIRES - 1)
        if wire < WIRES - 1:
            cells[wire] = "─●─"
        if wire > 0:
            cells[wire - 1] = "─⊕─"
        lines.append(f"{wire}: ──{box}──{''.join(cells)}──┤ P")
    return "\n".join(lines)


def _halves(address: Address) -> tuple[float, float]:
    bits = 16 if address.version == 4 else 32
    top = int(address) >> (address.max_prefixlen - 2 * bits)
    return (top >> bits) / 2**bits, (top & (2**bits - 1)) / 2**bits
