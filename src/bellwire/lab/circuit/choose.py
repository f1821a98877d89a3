"""Which circuits are asked for: those of a protocol, of one of its settings, of an attack."""

import re

from bellwire.base.errors import UsageError
from bellwire.lab.circuit.model import Circuit
from bellwire.lab.circuit.protocols import branches, cells
from bellwire.lab.parameters import protocol_of
from bellwire.link.eve import parse_axes, parse_eve
from bellwire.link.weak import Undistilled


def circuits(
    protocol: str, *, eve: str = "none", eve_axis: str | None = None, setting: str | None = None
) -> tuple[Circuit, ...]:
    """The circuits that an experiment runs.

    Args:
        protocol: `e91`, `bbm92` or `bb84`.
        eve: `none` or `KIND[:SHARE]`; with a share below 1, those of untouched photons too.
        eve_axis: Where she measures, in degrees (`45,90`); None for the usual place.
        setting: `ALICE,BOB`, numbers of settings; None for all of them.

    Raises:
        UsageError: an unknown protocol, attack or setting, or an attack that has no circuit.
    """
    kind = protocol_of(protocol)
    if isinstance(kind, Undistilled) or kind.weak:
        raise UsageError(f"expected e91, bbm92 or bb84, which have circuits of qubits, got {kind}")
    attack = parse_eve(eve, None if eve_axis is None else parse_axes(eve_axis))
    wanted = None if setting is None else _setting(setting, kind.settings)
    return tuple(
        each
        for branch in branches(kind, attack)
        for each in cells(kind, branch)
        if wanted in {None, (each.alice, each.bob)}
    )


def _setting(text: str, settings: int) -> tuple[int, int]:
    found = re.fullmatch(r"\s*([0-9])\s*,\s*([0-9])\s*", text, re.ASCII)
    pair = (int(found[1]), int(found[2])) if found else (settings, settings)
    if max(pair) >= settings:
        raise UsageError(
            f"expected setting as ALICE,BOB, each 0 to {settings - 1}, such as 0,1, got {text!r}"
        )
    return pair
