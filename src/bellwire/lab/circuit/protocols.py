"""The circuits of every protocol and attack.

Pairs: H and CX make Φ⁺, RY(−a) and RY(−b) turn the settings a and b of both sides onto Z. BB84:
Alice turns |0⟩ or |1⟩ by her basis, Bob turns back by his. Eve has the photon on its way to Bob:

- intercept-resend measures it along her axis φ, between RY(−φ) and RY(φ); what goes on is the
  state that she found. Breidbart's is one such axis;
- GHZ entangling makes a CX onto a qubit of hers in that basis, and measures it in the end;
- the cloner is the network of Bužek, Braunstein, Hillery, Bruß, PRA 56, 3446 (1997): two qubits are
  prepared and four CX join them to the photon. Its preparation is worked out here for the
  phase-covariant copies of `bellwire.link.eve`: Schmidt form by RY(π/6) and CX, then a turn of
  either qubit. She measures her copy along Alice's setting, when it is announced;
- substitution gives Alice and Bob halves of two pairs of hers; their partners she measures along
  the announced settings. Nobody measures the source's pair, so it is left out.

Her share is a mixture: other circuits for the photons that she touches, not other gates.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import Protocol
from bellwire.lab.circuit.model import (
    Barrier,
    Circuit,
    Gate,
    GateName,
    Measure,
    Operation,
    Stage,
)
from bellwire.link.errors import ParameterError
from bellwire.link.eve import BB84_ANGLES, Eve, EveKind

ALICE, BOB = "alice", "bob"
"""Alice's photon, and the one on its way to Bob, which in BB84 is the only one."""

_EVES = ("eve_0", "eve_1")

_KEPT: dict[EveKind | None, tuple[str, ...]] = {
    EveKind.GHZ: _EVES[:1],
    EveKind.CLONER: _EVES,
    EveKind.SUBSTITUTION: _EVES,
}
"""Qubits that Eve keeps."""

_FOUND: dict[EveKind | None, tuple[str, ...]] = {None: (), EveKind.SUBSTITUTION: ("e0", "e1")}
"""Bits that she reads where that is not one."""

_CLONER = (math.pi / 6, math.atan(math.sqrt(0.5)), math.atan(math.sqrt(2.0)))
"""The Schmidt angle, then the turns of copy and ancilla: they make the amplitudes ½ + s, s, ½ − s
and s of 00, 01, 10, 11, with s = √(1/8)."""


@dataclass(frozen=True, slots=True)
class Branch:
    """What Eve does to one photon.

    Attributes:
        eve: Her attack; None where she leaves the photon alone.
        axis: Where, radians; None without an axis.
        share: Of the photons.
    """

    eve: EveKind | None
    axis: float | None
    share: float


def branches(protocol: Protocol, eve: Eve | None) -> tuple[Branch, ...]:
    """What can happen to a photon, each with its share, which add up to 1; what has none is absent.

    Raises:
        ParameterError: there is no such attack, or its axes are the whole circle.
    """
    if eve is None:
        return (Branch(None, None, 1.0),)
    eve.check(protocol)
    axes: tuple[float | None, ...] = (None,)
    if eve.kind not in {EveKind.CLONER, EveKind.SUBSTITUTION}:
        angles = eve.axes_for(protocol).angles
        if angles is None:
            raise ParameterError(
                "Eve's axes", "in degrees, as a circuit has a fixed angle", "'uniform'"
            )
        axes = angles
    touched = [Branch(eve.kind, axis, eve.share / len(axes)) for axis in axes]
    return tuple(
        each for each in (Branch(None, None, 1.0 - eve.share), *touched) if each.share > 0.0
    )


def angles(protocol: Protocol) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Bloch angles of Alice's settings and of Bob's, radians."""
    if protocol is Protocol.E91:
        return ALICE_ANGLES, BOB_ANGLES
    return BB84_ANGLES, BB84_ANGLES


def cells(protocol: Protocol, branch: Branch) -> tuple[Circuit, ...]:
    """The circuits of a branch: of all settings, Alice's slowest; in BB84 of both bits, fastest."""
    settings = range(protocol.settings)
    bits = (None,) if protocol.entangled else (0, 1)
    return tuple(
        circuit(protocol, alice, bob, bit, branch)
        for alice, bob, bit in itertools.product(settings, settings, bits)
    )


def circuit(protocol: Protocol, alice: int, bob: int, bit: int | None, branch: Branch) -> Circuit:
    """One circuit; `bit` is Alice's in BB84, else None."""
    kind, axis = branch.eve, branch.axis
    words = [str(protocol), str(alice), str(bob)]
    words += [] if bit is None else [f"bit{bit}"]
    words += [] if kind is None else [str(kind)]
    words += [] if axis is None else [f"{math.degrees(axis):g}"]
    a, b = (side[setting] for side, setting in zip(angles(protocol), (alice, bob), strict=True))
    return Circuit(
        name="-".join(words),
        protocol=protocol,
        alice=alice,
        bob=bob,
        bit=bit,
        eve=kind,
        axis=axis,
        qubits=(*((ALICE,) if protocol.entangled else ()), BOB, *_KEPT.get(kind, ())),
        bits=(*(("a",) if protocol.entangled else ()), "b", *_FOUND.get(kind, ("e0",))),
        operations=(
            *(() if kind is EveKind.SUBSTITUTION else _source(protocol, a, bit)),
            *_attack(branch),
            Barrier(Stage.RECEIVERS),
            *(_measured(ALICE, a, "a") if protocol.entangled else ()),
            *_measured(BOB, b, "b"),
            *_read_out(kind, a, b),
        ),
    )


def _turn(qubit: str, angle: float) -> Iterator[Operation]:
    if angle:
        yield Gate(GateName.RY, (qubit,), angle)


def _measured(qubit: str, angle: float, bit: str) -> Iterator[Operation]:
    yield from _turn(qubit, -angle)
    yield Measure(qubit, bit)


def _pair(first: str, second: str) -> Iterator[Operation]:
    yield Gate(GateName.H, (first,))
    yield Gate(GateName.CX, (first, second))


def _source(protocol: Protocol, a: float, bit: int | None) -> Iterator[Operation]:
    if protocol.entangled:
        yield from _pair(ALICE, BOB)
        return
    if bit:
        yield Gate(GateName.X, (BOB,))
    yield from _turn(BOB, a)


def _attack(branch: Branch) -> Iterator[Operation]:
    """What Eve does while the photon is on its way."""
    if branch.eve is None:
        return
    yield Barrier(Stage.EVE)
    mine, other = _EVES
    match branch.eve:
        case EveKind.INTERCEPT_RESEND | EveKind.BREIDBART | EveKind.GHZ:
            assert branch.axis is not None
            yield from _turn(BOB, -branch.axis)
            if branch.eve is EveKind.GHZ:
                yield Gate(GateName.CX, (BOB, mine))
            else:
                yield Measure(BOB, "e0")
            yield from _turn(BOB, branch.axis)
        case EveKind.CLONER:
            schmidt, copy, ancilla = _CLONER
            yield from _turn(mine, schmidt)
            yield Gate(GateName.CX, (mine, other))
            yield from _turn(mine, copy)
            yield from _turn(other, ancilla)
            for control, target in ((BOB, mine), (BOB, other), (mine, BOB), (other, BOB)):
                yield Gate(GateName.CX, (control, target))
        case EveKind.SUBSTITUTION:
            yield from _pair(mine, ALICE)
            yield from _pair(other, BOB)


def _read_out(kind: EveKind | None, a: float, b: float) -> Iterator[Operation]:
    """What Eve measures in the end, at settings that were announced."""
    mine, other = _EVES
    match kind:
        case EveKind.GHZ:
            yield Measure(mine, "e0")
        case EveKind.CLONER:
            yield from _measured(mine, a, "e0")
        case EveKind.SUBSTITUTION:
            yield from _measured(mine, a, "e0")
            yield from _measured(other, b, "e1")
