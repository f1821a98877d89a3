"""The words for an experiment, alike on the command line, in TOML files and in Python.

A word is written with `-` or `_`. Values are plain, so that they can be written to a file and read
again. Some words belong to some protocols only; `dispatch` makes an experiment of them, which
checks every range.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypedDict

from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.base.errors import UsageError
from bellwire.lab.errors import UnknownParameter
from bellwire.link.eve import EveKind
from bellwire.link.weak import DeadTime, Undistilled

Numbers = str | float | Sequence[float]
"""One number or several: `(0.5, 0.1, 0)` in Python, `0.5,0.1,0` as text."""


class Settings(TypedDict, total=False):
    """The parameters of `lab run` but for the protocol and where it ends.

    Attributes:
        pulses: Pulses, or pairs.
        km: Length of the fibre between the two, km.
        loss: Attenuation of the fibre, dB/km.
        insertion_loss: All other losses, dB.
        efficiency: Of every detector, in (0, 1].
        dark: Dark counts per detector and gate.
        misalignment: QBER of the optics alone.
        eve: `none`, `KIND[:SHARE]`, or `man-in-the-middle[:KNOWS]`.
        eve_axis: Where she measures: degrees (`45,90`) or `uniform`; None for the usual place. Not
            with weak pulses.
        seed: Makes it reproducible; None draws from the operating system.
        sample_share: Share of the sifted bits that is compared; not in E91, nor with weak pulses.
        epsilon: Total failure probability; of weak pulses only where decoy states go on to a key.
        mean_pairs: E91, BBM92: pairs per window; None for exactly one.
        pair_statistics: Law of their number, `thermal` (where None) or `poisson`.
        engine: `fast`, or `qiskit` or `pennylane` for circuits of qubits; not with weak pulses.
        backend: Name of IBM's backend that runs them, `fake_…` for a local one; None for Aer. Not
            in a sweep.
        intensities: Mean photons of signal, decoy and vacuum decoy, or of the signal alone.
        intensity_shares: How often each.
        rectilinear: Probability of the rectilinear basis on both sides; not in E91.
        dead_gates: Gates that detectors are blind after a click.
        dead_time: Weak pulses: `common` or `per-detector`.
        afterpulse: Probability that a click is followed by another.
        afterpulse_gates: Decay of these, gates.
        threshold_width: Weak pulses: scatter of the thresholds of detectors that Eve blinds.
        monitor: Weak pulses: `on`, `off`, or which of Bob's monitors watch his detectors.
        false_alarm: Weak pulses: probability that they reject a run without Eve.
        jitter: Full width at half maximum by which clicks scatter in time, ps.
        gate: Width of a gate, ps; None for a whole period.
        reconciliation: `cascade` (where None) or `ldpc`; not with weak pulses, nor in a sweep.
    """

    pulses: float
    km: float
    loss: float
    insertion_loss: float
    efficiency: float
    dark: float
    misalignment: float
    eve: str
    eve_axis: str | None
    seed: int | None
    sample_share: float
    epsilon: float
    mean_pairs: float | None
    pair_statistics: str | None
    engine: str
    backend: str | None
    intensities: Numbers
    intensity_shares: Numbers
    rectilinear: float
    dead_gates: int
    dead_time: str
    afterpulse: float
    afterpulse_gates: float
    threshold_width: float
    monitor: str
    false_alarm: float
    jitter: float
    gate: float | None
    reconciliation: str | None


class Words(Settings, total=False):
    """All parameters of `lab run` but for the protocol.

    Attributes:
        until: `estimate` ends with the statistics, `key` or None goes on to the key; `wcp-bb84` has
            none, and a sweep of `decoy-bb84` ends with the estimate unless it is `key`.
    """

    until: str | None


AnyProtocol = Protocol | Undistilled
PHOTONS: tuple[AnyProtocol, ...] = OF_PHOTONS
ENTANGLED: tuple[AnyProtocol, ...] = tuple(each for each in Protocol if each.entangled)
WEAK: tuple[AnyProtocol, ...] = (Undistilled.WCP, Protocol.DECOY)
CONJUGATE: tuple[AnyProtocol, ...] = (Protocol.BB84, Protocol.BBM92)
ALL = (*PHOTONS, *WEAK)


class Kind(Enum):
    """What a word's value is."""

    NUMBER = "a number"
    WHOLE = "a whole number"
    TEXT = "text"
    NUMBERS = "numbers with commas"


@dataclass(frozen=True, slots=True)
class Word:
    """One of `Words`.

    Attributes:
        default: What it is unless given; None may always be given, where it is the default.
        kind: What may be given.
        of: The protocols that have it.
        defaults: Defaults of some protocols, in the place of `default`.
    """

    default: Any = None
    kind: Kind = Kind.NUMBER
    of: tuple[AnyProtocol, ...] = ALL
    defaults: tuple[tuple[AnyProtocol, Any], ...] = ()

    def usual(self, protocol: AnyProtocol) -> Any:
        """Its default in a protocol."""
        return dict(self.defaults).get(protocol, self.default)


_ONE = Undistilled.WCP

WORDS: dict[str, Word] = {
    "pulses": Word(1_000_000, Kind.WHOLE),
    "km": Word(0.0),
    "loss": Word(0.2),
    "insertion_loss": Word(0.0),
    "efficiency": Word(1.0),
    "dark": Word(0.0),
    "misalignment": Word(0.02),
    "eve": Word("none", Kind.TEXT),
    "eve_axis": Word(None, Kind.TEXT, PHOTONS),
    "seed": Word(None, Kind.WHOLE),
    "sample_share": Word(0.2, of=PHOTONS),
    "epsilon": Word(1e-10, of=(*PHOTONS, Protocol.DECOY)),
    "mean_pairs": Word(None, of=ENTANGLED),
    "pair_statistics": Word(None, Kind.TEXT, ENTANGLED),
    "engine": Word("fast", Kind.TEXT, PHOTONS),
    "backend": Word(None, Kind.TEXT, PHOTONS),
    "intensities": Word("0.5,0.1,0", Kind.NUMBERS, WEAK, ((_ONE, "0.5"),)),
    "intensity_shares": Word("0.7,0.2,0.1", Kind.NUMBERS, WEAK, ((_ONE, "1"),)),
    "rectilinear": Word(0.5, of=(*CONJUGATE, *WEAK)),
    "dead_gates": Word(0, Kind.WHOLE),
    "dead_time": Word(str(DeadTime.COMMON), Kind.TEXT, WEAK),
    "afterpulse": Word(0.0),
    "afterpulse_gates": Word(100.0),
    "threshold_width": Word(0.0, of=WEAK),
    "monitor": Word("on", Kind.TEXT, WEAK),
    "false_alarm": Word(1e-6, of=WEAK),
    "jitter": Word(0.0),
    "gate": Word(None),
    "reconciliation": Word(None, Kind.TEXT, PHOTONS),
    "until": Word(None, Kind.TEXT),
}


def word(name: str, known: Mapping[str, object]) -> str:
    """The parameter that `name` means, as Python writes it.

    Raises:
        UnknownParameter: no parameter of `known`.
    """
    plain = name.strip().replace("-", "_")
    if plain not in known:
        raise UnknownParameter(name, [each.replace("_", "-") for each in known])
    return plain


def words_of(protocol: AnyProtocol) -> dict[str, Word]:
    """The words that a protocol has."""
    return {name: each for name, each in WORDS.items() if protocol in each.of}


def settle(protocol: AnyProtocol, words: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a protocol, those not given at their defaults, whole numbers as integers.

    Raises:
        UnknownParameter: a word that no experiment has.
        UsageError: a word of another protocol, or a value of the wrong kind.
    """
    given = {word(name, WORDS): value for name, value in words.items()}
    for name in given:
        refuse_elsewhere(name, protocol, WORDS[name].of)
    return {
        name: _plain(name, each, given.get(name, each.usual(protocol)))
        for name, each in words_of(protocol).items()
    }


def refuse_elsewhere(name: str, protocol: AnyProtocol, of: tuple[AnyProtocol, ...]) -> None:
    """Raise UsageError if a word is given to a protocol that has it not."""
    if protocol not in of:
        others = " or ".join([", ".join(of[:-1]), of[-1]] if of[:-1] else of)
        raise UsageError(
            f"expected {name.replace('_', '-')} only with {others}, got it with {protocol}"
        )


def protocol_of(name: str) -> AnyProtocol:
    """The protocol of that name; UsageError if there is none."""
    for kind in (Protocol, Undistilled):
        if name in list(kind):
            return kind(name)
    known = ", ".join(sorted(ALL, reverse=True))
    raise UsageError(f"expected one of the protocols {known}, got {name}")


def numbers(text: str) -> tuple[float, ...]:
    """The numbers of a settled word."""
    return tuple(float(each) for each in text.split(","))


@dataclass(frozen=True, slots=True)
class Sweepable:
    """What a sweep may vary: a word, or what is said by a part of one.

    Attributes:
        label: The axis of a figure, with its unit.
        whole: Whether only whole numbers make sense.
        of: The protocols in which it may be varied.
        word: The word that says it; None for the one of its own name.
    """

    label: str
    whole: bool = False
    of: tuple[AnyProtocol, ...] = ALL
    word: str | None = None


_DECOY: tuple[AnyProtocol, ...] = (Protocol.DECOY,)

SWEEPABLE = {
    "eve": Sweepable("Eve’s share"),
    "km": Sweepable("length of the fibre (km)"),
    "misalignment": Sweepable("misalignment (QBER of the optics)"),
    "visibility": Sweepable("visibility of the optics", word="misalignment"),
    "dark": Sweepable("dark counts per detector and gate"),
    "efficiency": Sweepable("efficiency of the detectors"),
    "pulses": Sweepable("pulses, or pairs, of a block", whole=True),
    "sample_share": Sweepable("share of the sifted bits that is compared", of=PHOTONS),
    "epsilon": Sweepable("total failure probability ε", of=(*PHOTONS, Protocol.DECOY)),
    "mean_pairs": Sweepable("pairs per window, μ", of=ENTANGLED),
    "signal": Sweepable("photons per signal pulse, μ", of=WEAK, word="intensities"),
    "decoy": Sweepable("photons per decoy pulse, ν", of=_DECOY, word="intensities"),
    "rectilinear": Sweepable("probability of the rectilinear basis", of=(*CONJUGATE, *WEAK)),
    "dead_gates": Sweepable("blind gates after a click", whole=True),
    "afterpulse": Sweepable("probability of an afterpulse"),
    "jitter": Sweepable("jitter of the detectors, full width at half maximum (ps)"),
    "gate": Sweepable("width of a gate (ps)"),
}

_PLACES = {"signal": 0, "decoy": 1}
"""Of the swept intensities among `intensities`."""

_PARTIAL = ("eve", *_PLACES)
"""Swept parameters whose word says more than what is swept, so that it may be given as well."""


def said_by(name: str) -> str:
    """The word that says a swept parameter."""
    return SWEEPABLE[name].word or name


def either(name: str) -> bool:
    """Whether a swept parameter's word may not be given beside its range."""
    return name not in _PARTIAL


def vary(
    protocol: AnyProtocol, words: Mapping[str, Any], name: str, value: float
) -> dict[str, Any]:
    """The words with one swept parameter at a value; for `eve` it is her share.

    An Eve who is not named intercepts and resends. The visibility is 1 − 2·misalignment.
    """
    if name == "eve":
        kind = eve_kind(str(words.get("eve", "none")))
        return {**words, "eve": f"{kind}:{value!r}"}
    if name == "visibility":
        return {**words, "misalignment": float(f"{(1.0 - value) / 2.0:.12g}")}
    if name in _PLACES:
        usual = WORDS["intensities"].usual(protocol)
        means = list(numbers(str(words.get("intensities", usual))))
        means[_PLACES[name]] = value
        return {**words, "intensities": _joined(means)}
    return {**words, name: round(value) if SWEEPABLE[name].whole else value}


def eve_kind(text: str) -> str:
    """The kind of Eve in `KIND[:SHARE]`; intercept-resend for `none`."""
    kind = text.partition(":")[0].strip()
    return str(EveKind.INTERCEPT_RESEND) if kind == "none" else kind


def _plain(name: str, what: Word, value: Any) -> Any:
    if value is None and what.default is None:
        return None
    if what.kind is Kind.TEXT:
        # TOML and Python write one axis as a number: 67.5.
        if isinstance(value, str) or (name == "eve_axis" and _is_number(value)):
            return str(value)
        raise UsageError(f"expected {name} as text, got {_shown(value)}")
    if what.kind is Kind.NUMBERS:
        return _several(name, value)
    if not _is_number(value):
        raise UsageError(f"expected {name} as a number, got {_shown(value)}")
    if what.kind is Kind.NUMBER:
        return float(value)
    if isinstance(value, float) and not value.is_integer():
        raise UsageError(f"expected {name} as a whole number, such as 200000 or 4e6, got {value}")
    return int(value)


def _several(name: str, value: Any) -> str:
    parts = value.split(",") if isinstance(value, str) else value
    try:
        if isinstance(value, str):
            return _joined([float(each) for each in parts])
        parts = value if isinstance(value, list | tuple) else [value]
        if all(map(_is_number, parts)):
            return _joined(parts)
    except ValueError:
        pass
    raise UsageError(
        f"expected {name.replace('_', '-')} as numbers with commas, got {_shown(value)}"
    )


def _joined(values: Any) -> str:
    return ",".join(repr(each).removesuffix(".0") for each in map(float, values))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return json.dumps(value, default=str)
