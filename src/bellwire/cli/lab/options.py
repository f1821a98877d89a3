"""What the verbs of `bellwire lab` share: options for all words, and how a statistic is written.

A verb that runs experiments is decorated with `takes_words`; then it has every option of `WORDS`
but those that it defines itself, and gets what was given as its argument `words`. What a word
means, and which protocols have it, is known to `bellwire.lab.parameters`.
"""

import inspect
import math
from collections.abc import Callable
from typing import Annotated, Any

import typer

from bellwire.base.errors import UsageError
from bellwire.cli.options import SeedOption


def _option(kind: Any, explained: str, usual: str = "", metavar: str | None = None) -> Any:
    """An option that is None unless given; `usual` says what stands in for it."""
    whole = f"{explained} Default {usual}." if usual else explained
    return Annotated[kind | None, typer.Option(help=whole, metavar=metavar)]


_WEAK = "Weak pulses: "

WORDS: dict[str, Any] = {
    "pulses": _option(str, "Pulses, or pairs, such as 200000 or 4e6.", "1e6", "N"),
    "km": _option(float, "Length of the fibre between the two, km.", "0"),
    "loss": _option(float, "Attenuation of the fibre, dB/km.", "0.2"),
    "insertion_loss": _option(float, "All other losses, dB.", "0"),
    "efficiency": _option(float, "Of every detector, above 0, at most 1.", "1"),
    "dark": _option(float, "Dark counts per detector and gate.", "0"),
    "misalignment": _option(float, "QBER of the optics alone, 0 to 0.5.", "0.02"),
    "eve": _option(
        str,
        "none, intercept-resend:0.3, breidbart, ghz, cloner, substitution (share 1), "
        "man-in-the-middle …; of weak pulses intercept-resend, pns, beam-splitting, blinding.",
        "none",
        "KIND[:SHARE]",
    ),
    "eve_axis": _option(str, "Where she measures: degrees (45,90) or 'uniform'.", metavar="AXES"),
    "seed": SeedOption,
    "sample_share": _option(float, "BB84, BBM92: share of the sifted bits compared.", "0.2"),
    "epsilon": _option(float, "Total failure probability, 1e-20 to 1e-3.", "1e-10"),
    "mean_pairs": _option(float, "E91, BBM92: pairs per window; without it exactly one."),
    "pair_statistics": _option(
        str, "Law of their number, with --mean-pairs.", "thermal", "thermal|poisson"
    ),
    "engine": _option(
        str,
        "Who plays the photons: fast; qiskit or pennylane: circuits; E91: hidden-variables.",
        "fast",
    ),
    "backend": _option(
        str,
        "With --engine qiskit, IBM's backend for the circuits: fake_manila and other fake_… are on "
        "this machine, others need an account.",
        "the simulator Aer",
        "NAME",
    ),
    "intensities": _option(str, _WEAK + "mean photons.", "0.5,0.1,0 or 0.5", "μ[,ν,ω]"),
    "intensity_shares": _option(str, _WEAK + "how often each.", "0.7,0.2,0.1 or 1", "P[,P,P]"),
    "rectilinear": _option(
        float, "Probability of the rectilinear basis on both sides; not in E91.", "0.5"
    ),
    "dead_gates": _option(int, "Gates that detectors are blind after a click.", "0"),
    "dead_time": _option(
        str, _WEAK + "whether a click blinds both detectors.", "common", "common|per-detector"
    ),
    "afterpulse": _option(float, "Probability that a click is followed by another.", "0"),
    "afterpulse_gates": _option(float, "Decay of afterpulses, gates.", "100"),
    "threshold_width": _option(
        float, _WEAK + "scatter of the thresholds of detectors that Eve blinds, 0 to 1.", "0"
    ),
    "monitor": _option(
        str,
        _WEAK + "what Bob watches: on, off, or of current, self-test and counts.",
        "on",
        "on|off|NAME[,NAME…]",
    ),
    "false_alarm": _option(
        float, _WEAK + "probability that the monitors reject a run without Eve.", "1e-6"
    ),
    "jitter": _option(float, "Scatter of clicks in time, FWHM, ps.", "0"),
    "gate": _option(float, "Width of a gate, ps; without it a whole period."),
    "reconciliation": _option(
        str, "How keys are made equal; ldpc needs few rounds.", "cascade", "cascade|ldpc"
    ),
    "until": _option(
        str, "End with the statistics, before any key.", "key", metavar="estimate|key"
    ),
}


_OF_PHOTONS = tuple(WORDS)[: tuple(WORDS).index("epsilon") + 1]
"""Words of a verb that knows single photons and pairs only, and goes on to the key."""


def takes_words(command: Callable[..., None]) -> Callable[..., None]:
    """Give a verb every option of `WORDS`, in the place of its parameter `words`."""
    return _with(command, tuple(WORDS))


def takes_words_of_photons(command: Callable[..., None]) -> Callable[..., None]:
    """The same without what is of weak pulses, of several pairs, or of estimates."""
    return _with(command, _OF_PHOTONS)


_OF_LIGHT = (
    *("km", "loss", "insertion_loss", "efficiency", "dark", "misalignment"),
    *("intensities", "intensity_shares", "rectilinear"),
)
"""Words of a verb that asks what a link's light allows, and sends none."""


def takes_words_of_light(command: Callable[..., None]) -> Callable[..., None]:
    """The words that say what light arrives."""
    return _with(command, _OF_LIGHT)


def _with(command: Callable[..., None], which: tuple[str, ...]) -> Callable[..., None]:
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "words"]
    names = [name for name in which if name not in {each.name for each in own}]
    words = [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=WORDS[name]
        )
        for name in names
    ]

    def with_words(**given: Any) -> None:
        words = {name: given.pop(name) for name in names}
        if words.get("pulses") is not None:
            words["pulses"] = count(words["pulses"])
        command(**given, words={name: each for name, each in words.items() if each is not None})

    first = [p for p in own if p.default is p.empty]
    last = [p for p in own if p.default is not p.empty]
    with_words.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads it
        [*first, *words, *last]
    )
    with_words.__doc__ = command.__doc__
    return with_words


def count(text: str, what: str = "pulses") -> int:
    """A whole number of pulses, such as 200000 or 4e6; UsageError for anything else."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise UsageError(f"expected a whole number of {what}, such as 200000 or 4e6, got {text}")
    return int(number)


TITLES = {
    "gain_signal": "gain, signal",
    "gain_decoy": "gain, decoy",
    "gain_vacuum": "gain, vacuum",
    "qber": "QBER",
    "chsh": "S",
    "single_photon_yield": "Y₁ proved",
    "key": "key per pulse",
    "detected": "slots detected",
    "key_per_pulse": "key per pulse",
}

_RATES = ("qber", "detected")
_SMALL = ("gain_signal", "gain_decoy", "gain_vacuum", "single_photon_yield")


def measured(quantity: str, value: float | None, error: float | None) -> str:
    """A quantity of `TITLES` with its standard error, as a table shows it."""
    if value is None:
        return "–"
    if quantity in _RATES:
        return f"{value:.2%}" + ("" if error is None else f" ± {error:.2%}")
    if quantity in _SMALL or (quantity.startswith("key") and 0.0 < abs(value) < 0.01):
        return f"{value:.3g}" + ("" if error is None else f" ± {error:.1g}")
    digits = 3 if quantity == "chsh" else 4
    return f"{value:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
