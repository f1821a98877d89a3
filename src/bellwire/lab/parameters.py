"""The words for an experiment, alike on the command line, in TOML files and in Python.

A word is written with `-` or `_`. Values are plain, so that they can be written to a file and read
again; `experiment` makes an `Experiment` of them, which checks every range.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from bellwire.base.detections import Protocol
from bellwire.base.errors import UsageError
from bellwire.lab.errors import UnknownParameter
from bellwire.lab.experiment import Experiment
from bellwire.lab.middle import KIND, parse_middle
from bellwire.link import theory
from bellwire.link.config import LinkConfig
from bellwire.link.eve import EveKind, parse_axes, parse_eve


class Words(TypedDict, total=False):
    """The parameters of `lab run`, all but the protocol.

    Attributes:
        pulses: Pulses, or pairs.
        km: Length of the fibre between the two, km.
        loss: Attenuation of the fibre, dB/km.
        insertion_loss: All other losses, dB.
        efficiency: Of every detector, in (0, 1].
        dark: Dark counts per detector and gate.
        misalignment: QBER of the optics alone.
        eve: `none`, `KIND[:SHARE]`, or `man-in-the-middle[:KNOWS]`.
        eve_axis: Where she measures: degrees (`45,90`) or `uniform`; None for the usual place.
        seed: Makes it reproducible; None draws from the operating system.
        sample_share: Share of the sifted bits that is compared; not in E91.
        epsilon: Total failure probability.
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


DEFAULTS: dict[str, Any] = {
    "pulses": 1_000_000,
    "km": 0.0,
    "loss": 0.2,
    "insertion_loss": 0.0,
    "efficiency": 1.0,
    "dark": 0.0,
    "misalignment": 0.02,
    "eve": "none",
    "eve_axis": None,
    "seed": None,
    "sample_share": 0.2,
    "epsilon": 1e-10,
}

_TEXTS = ("eve", "eve_axis")
_OPTIONAL = ("eve_axis", "seed")
_WHOLE = ("pulses", "seed")


@dataclass(frozen=True, slots=True)
class Sweepable:
    """What a sweep may vary.

    Attributes:
        label: The axis of a figure, with its unit.
        whole: Whether only whole numbers make sense.
    """

    label: str
    whole: bool = False


SWEEPABLE = {
    "eve": Sweepable("Eve’s share"),
    "km": Sweepable("length of the fibre (km)"),
    "misalignment": Sweepable("misalignment (QBER of the optics)"),
    "dark": Sweepable("dark counts per detector and gate"),
    "efficiency": Sweepable("efficiency of the detectors"),
    "pulses": Sweepable("pulses, or pairs, of a block", whole=True),
    "sample_share": Sweepable("share of the sifted bits that is compared"),
    "epsilon": Sweepable("total failure probability ε"),
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


def settle(words: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters, those not given at their defaults, whole numbers as integers.

    Raises:
        UnknownParameter: a word that no experiment has.
        UsageError: a value of the wrong kind.
    """
    given = {word(name, DEFAULTS): value for name, value in words.items()}
    return {name: _plain(name, given.get(name, usual)) for name, usual in DEFAULTS.items()}


def protocol_of(name: str) -> Protocol:
    """The protocol of that name; UsageError if there is none."""
    try:
        return Protocol(name)
    except ValueError:
        known = ", ".join(sorted(Protocol, reverse=True))
        raise UsageError(f"expected one of the protocols {known}, got {name}") from None


def experiment(protocol: str, words: Mapping[str, Any]) -> Experiment:
    """The experiment that the words describe.

    Raises:
        UnknownParameter: a word that no experiment has.
        UsageError: a value of the wrong kind; its `ParameterError`s: one outside its range.
    """
    kind, plain = protocol_of(protocol), settle(words)
    axis, middle = plain["eve_axis"], parse_middle(plain["eve"])
    if middle is not None and axis is not None:
        raise UsageError(f"expected no eve-axis with {KIND}, got {axis}")
    return Experiment(
        protocol=kind,
        pulses=plain["pulses"],
        config=LinkConfig(
            fibre_km=plain["km"],
            loss_db_per_km=plain["loss"],
            insertion_loss_db=plain["insertion_loss"],
            detector_efficiency=plain["efficiency"],
            dark_count_probability=plain["dark"],
            misalignment=plain["misalignment"],
        ),
        eve=(
            parse_eve(plain["eve"], None if axis is None else parse_axes(axis))
            if middle is None
            else None
        ),
        middle=middle,
        seed=plain["seed"],
        sample_share=plain["sample_share"],
        epsilon=plain["epsilon"],
    )


def vary(words: Mapping[str, Any], name: str, value: float) -> dict[str, Any]:
    """The words with one swept parameter at a value; for `eve` it is her share.

    An Eve who is not named intercepts and resends.
    """
    if name != "eve":
        return {**words, name: round(value) if SWEEPABLE[name].whole else value}
    kind = eve_kind(str(words.get("eve", "none")))
    return {**words, "eve": f"{kind}:{value!r}"}


def eve_kind(text: str) -> str:
    """The kind of Eve in `KIND[:SHARE]`; intercept-resend for `none`."""
    kind = text.partition(":")[0].strip()
    return str(EveKind.INTERCEPT_RESEND) if kind == "none" else kind


@dataclass(frozen=True, slots=True)
class Prediction:
    """What theory expects of an experiment.

    Attributes:
        qber: QBER of sifted bits.
        chsh: S, where the protocol measures it.
        key: Secret bits per pulse in the limit of long blocks, at the Shannon limit of
            reconciliation, after the bits that are compared in the open.
    """

    qber: float
    chsh: float | None
    key: float


def predict(what: Experiment) -> Prediction:
    """Closed forms of `bellwire.link.theory` for an experiment.

    Of one with Eve in the middle, what each honest side shares with her, and no key.
    """
    if what.middle is not None:
        alone = predict(replace(what, middle=None))
        return replace(alone, key=0.0)
    key = theory.key_fraction(what.protocol, what.config, what.eve)
    compared = 0.0 if what.protocol.judged_on_chsh else what.sample_share
    return Prediction(
        qber=theory.qber(what.protocol, what.config, what.eve),
        chsh=theory.chsh(what.protocol, what.config, what.eve),
        key=(1.0 - compared) * key,
    )


def _plain(name: str, value: Any) -> Any:
    if value is None and name in _OPTIONAL:
        return None
    if name in _TEXTS:
        # TOML and Python write one axis as a number: 67.5.
        if isinstance(value, str) or (name == "eve_axis" and _is_number(value)):
            return str(value)
        raise UsageError(f"expected {name} as text, got {_shown(value)}")
    if not _is_number(value):
        raise UsageError(f"expected {name} as a number, got {_shown(value)}")
    if name not in _WHOLE:
        return float(value)
    if isinstance(value, float) and not value.is_integer():
        raise UsageError(f"expected {name} as a whole number, such as 200000 or 4e6, got {value}")
    return int(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return json.dumps(value, default=str)
