"""A row of a sweep's table: one experiment's parameters, what came of it, what theory expects.

Rows are flat and hold nothing that depends on the machine or on when they were made, so that one
seed gives one table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bellwire.lab.decoys import DecoyResult
from bellwire.lab.experiment import Result
from bellwire.lab.parameters import numbers
from bellwire.lab.quantities import Measured, Prediction, Quantity
from bellwire.lab.weak import NAMES, Estimate

_GAINS = (Quantity.GAIN_SIGNAL, Quantity.GAIN_DECOY, Quantity.GAIN_VACUUM)


def _eve(result: Result | Estimate) -> dict[str, Any]:
    eve = result.eve or {"kind": "none", "share": 0.0}
    return {"eve": str(eve["kind"]), "eve_share": float(eve["share"])}


def _swept(row: "AnyRow", name: str) -> float:
    if name == "visibility":
        return float(f"{1.0 - 2.0 * row.misalignment:.12g}")
    value: float = getattr(row, "eve_share" if name == "eve" else name)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One experiment that was distilled.

    Attributes:
        eve: Her kind, or `none`.
        eve_share: Her share; 0 without her.
        repeat: Number among the experiments with these parameters.
        seed: This experiment's own, for `lab run`.
        key_per_pulse: Secret bits over pulses.
        key_theory: The same for long blocks (`quantities.Prediction`).

    The others are those of `Settings`, in its units, and of `Result`; fields that the protocol has
    not, or the run did not reach, are None.
    """

    protocol: str
    pulses: int
    km: float
    loss: float
    insertion_loss: float
    efficiency: float
    dark: float
    misalignment: float
    eve: str
    eve_share: float
    eve_axis: str | None
    sample_share: float
    epsilon: float
    engine: str
    mean_pairs: float | None = None
    pair_statistics: str | None = None
    rectilinear: float | None = None
    dead_gates: int = 0
    afterpulse: float = 0.0
    afterpulse_gates: float = 100.0
    jitter: float = 0.0
    gate: float | None = None
    repeat: int
    seed: int
    detections: int
    sifted_bits: int
    qber: float | None
    qber_stderr: float | None
    qber_theory: float | None
    chsh: float | None
    chsh_stderr: float | None
    chsh_theory: float | None
    leaked_bits: int | None
    secret_bits: int
    key_per_pulse: float
    key_theory: float | None
    verdict: str
    reason: str | None
    keys_match: bool | None

    @classmethod
    def of(
        cls, plain: Mapping[str, Any], repeat: int, result: Result, expected: Prediction
    ) -> "Row":
        """The row of an experiment with these settled words."""
        leaked = (result.reconciliation or {}).get("leaked_bits")
        given = {**plain, **_eve(result)}
        del given["until"], given["backend"], given["reconciliation"]  # which no sweep has
        return cls(
            protocol=result.protocol,
            **given,
            repeat=repeat,
            detections=int(result.detections),
            sifted_bits=int(result.sifted_bits),
            qber=result.qber,
            qber_stderr=result.qber_stderr,
            qber_theory=expected.qber,
            chsh=result.chsh,
            chsh_stderr=result.chsh_stderr,
            chsh_theory=expected.chsh,
            leaked_bits=None if leaked is None else int(leaked),
            secret_bits=int(result.secret_bits),
            key_per_pulse=result.secret_bits / result.pulses,
            key_theory=expected.key,
            verdict=result.verdict,
            reason=result.reason,
            keys_match=result.keys_match,
        )

    def swept(self, name: str) -> float:
        """Value of a swept parameter."""
        return _swept(self, name)

    def measured(self) -> dict[Quantity, Measured]:
        """What it measured, with standard errors; the key's is not known from one run."""
        return {
            Quantity.QBER: (self.qber, self.qber_stderr),
            Quantity.CHSH: (self.chsh, self.chsh_stderr),
            Quantity.KEY: (self.key_per_pulse, None),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakRow:
    """One experiment with weak pulses, up to its estimate.

    Attributes:
        eve: Her kind, or `none`.
        eve_share: Her share; 0 without her.
        signal, decoy, vacuum: Photons per pulse of each intensity, None where there is none.
        signal_share, decoy_share, vacuum_share: How often each.
        repeat: Number among the experiments with these parameters.
        seed: This experiment's own, for `lab run`.
        gain_signal, gain_decoy, gain_vacuum: Clicks per live gate of each intensity.
        qber: The signal's.
        single_photon_yield: Lower bound of Y₁.
        single_photon_error: Upper bound of e₁.
        key_per_pulse: Secret bits per pulse of an endless run like this one.

    Names with `_stderr` are standard errors, those with `_theory` what theory expects, None where
    it does not hold. The others are those of `Settings`, in its units, and of `Estimate`.
    """

    protocol: str
    pulses: int
    km: float
    loss: float
    insertion_loss: float
    efficiency: float
    dark: float
    misalignment: float
    eve: str
    eve_share: float
    signal: float
    decoy: float | None
    vacuum: float | None
    signal_share: float
    decoy_share: float | None
    vacuum_share: float | None
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
    repeat: int
    seed: int
    detections: int
    sifted_bits: int
    gain_signal: float
    gain_signal_stderr: float
    gain_signal_theory: float | None
    gain_decoy: float | None
    gain_decoy_stderr: float | None
    gain_decoy_theory: float | None
    gain_vacuum: float | None
    gain_vacuum_stderr: float | None
    gain_vacuum_theory: float | None
    qber: float | None
    qber_stderr: float | None
    qber_theory: float | None
    single_photon_yield: float
    single_photon_yield_stderr: float | None
    single_photon_yield_theory: float | None
    single_photon_error: float
    key_per_pulse: float
    key_stderr: float | None
    key_theory: float | None
    eve_known_bits: int | None
    blind_share: float
    verdict: str
    reason: str | None

    @classmethod
    def of(
        cls, plain: Mapping[str, Any], repeat: int, result: Estimate, expected: Prediction
    ) -> "WeakRow":
        """The row of an experiment with these settled words."""
        given = {**plain, **_eve(result)}
        del given["until"]
        given.pop("epsilon", None)  # of keys
        shares = numbers(given.pop("intensity_shares"))
        means = numbers(given.pop("intensities"))
        for k, name in enumerate(NAMES):
            given[name] = means[k] if k < len(means) else None
            given[f"{name}_share"] = shares[k] if k < len(shares) else None
        measured = result.measured()
        for quantity in (*_GAINS, Quantity.QBER, Quantity.SINGLE_PHOTON_YIELD):
            given[quantity], given[f"{quantity}_stderr"] = measured.get(quantity, (None, None))
            given[f"{quantity}_theory"] = getattr(expected, quantity)
        return cls(
            protocol=result.protocol,
            **given,
            repeat=repeat,
            detections=result.detections,
            sifted_bits=result.sifted_bits,
            single_photon_error=result.single_photons.error_upper,
            key_per_pulse=result.asymptotic_key_per_pulse,
            key_stderr=result.asymptotic_key_stderr,
            key_theory=expected.key,
            eve_known_bits=result.eve_known_bits,
            blind_share=result.blind_share,
            verdict=result.verdict,
            reason=result.reason,
        )

    def swept(self, name: str) -> float:
        """Value of a swept parameter."""
        return _swept(self, name)

    def measured(self) -> dict[Quantity, Measured]:
        """What it measured, with standard errors."""
        names = (*_GAINS, Quantity.QBER, Quantity.SINGLE_PHOTON_YIELD)
        return {
            **{each: (getattr(self, each), getattr(self, f"{each}_stderr")) for each in names},
            Quantity.KEY: (self.key_per_pulse, self.key_stderr),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoyRow:
    """One experiment with decoy states that was distilled.

    Attributes:
        eve: Her kind, or `none`.
        eve_share: Her share; 0 without her.
        signal, decoy, vacuum: Photons per pulse of each intensity.
        signal_share, decoy_share, vacuum_share: How often each.
        repeat: Number among the experiments with these parameters.
        seed: This experiment's own, for `lab run`.
        gain_signal, gain_decoy, gain_vacuum: Detections per pulse of each intensity, blind gates
            included; None where the block ended before.
        qber: Of all sifted bits whose error is known.
        single_photon_bits: Lower bound of the key bits from single photons.
        phase_error: Upper bound of their phase error rate.
        key_per_pulse: Secret bits over pulses.
        key_theory: The same for long blocks.

    The others are those of `Settings`, in its units, and of `DecoyResult`.
    """

    protocol: str
    pulses: int
    km: float
    loss: float
    insertion_loss: float
    efficiency: float
    dark: float
    misalignment: float
    eve: str
    eve_share: float
    epsilon: float
    signal: float
    decoy: float
    vacuum: float
    signal_share: float
    decoy_share: float
    vacuum_share: float
    rectilinear: float
    dead_gates: int
    afterpulse: float
    afterpulse_gates: float
    threshold_width: float
    jitter: float
    gate: float | None
    repeat: int
    seed: int
    detections: int
    sifted_bits: int
    gain_signal: float | None
    gain_decoy: float | None
    gain_vacuum: float | None
    qber: float | None
    qber_stderr: float | None
    qber_theory: float | None
    single_photon_bits: float | None
    phase_error: float | None
    leaked_bits: int | None
    secret_bits: int
    key_per_pulse: float
    key_theory: float | None
    verdict: str
    reason: str | None
    keys_match: bool | None

    @classmethod
    def of(
        cls, plain: Mapping[str, Any], repeat: int, result: DecoyResult, expected: Prediction
    ) -> "DecoyRow":
        """The row of an experiment with these settled words."""
        given = {**plain, **_eve(result)}
        for name in ("until", "monitor", "false_alarm", "dead_time"):  # the same in all of them
            del given[name]
        shares = numbers(given.pop("intensity_shares"))
        means = numbers(given.pop("intensities"))
        for k, name in enumerate(NAMES):
            given[name], given[f"{name}_share"] = means[k], shares[k]
            given[f"gain_{name}"] = result.intensities[k]["gain"] if result.intensities else None
        leaked = (result.reconciliation or {}).get("leaked_bits")
        return cls(
            protocol=result.protocol,
            **given,
            repeat=repeat,
            detections=result.detections,
            sifted_bits=result.sifted_bits,
            qber=result.qber,
            qber_stderr=result.qber_stderr,
            qber_theory=expected.qber,
            single_photon_bits=result.single_photon_bits,
            phase_error=result.phase_error,
            leaked_bits=None if leaked is None else int(leaked),
            secret_bits=result.secret_bits,
            key_per_pulse=result.secret_bits / result.pulses,
            key_theory=expected.key,
            verdict=result.verdict,
            reason=result.reason,
            keys_match=result.keys_match,
        )

    def swept(self, name: str) -> float:
        """Value of a swept parameter."""
        return _swept(self, name)

    def measured(self) -> dict[Quantity, Measured]:
        """What it measured, with standard errors; the key's is not known from one run."""
        return {
            Quantity.QBER: (self.qber, self.qber_stderr),
            Quantity.KEY: (self.key_per_pulse, None),
        }


AnyRow = Row | WeakRow | DecoyRow
