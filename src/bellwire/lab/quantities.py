"""What experiments measure, what figures show, and what theory expects of it."""

from dataclasses import dataclass
from enum import StrEnum

Measured = tuple[float | None, float | None]
"""A value and its standard error; None where there is none, or where it is not known."""


class Quantity(StrEnum):
    """What a figure shows.

    The gains are clicks per live gate of one intensity, the yield is the lower bound of the
    probability that a single photon clicks; both are of weak pulses, where the QBER is the
    signal's.
    """

    GAIN_SIGNAL = "gain_signal"
    GAIN_DECOY = "gain_decoy"
    GAIN_VACUUM = "gain_vacuum"
    QBER = "qber"
    CHSH = "chsh"
    SINGLE_PHOTON_YIELD = "single_photon_yield"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What theory expects of an experiment; None for what it does not have, or does not know.

    Attributes:
        qber: QBER of sifted bits; of weak pulses, the signal's.
        chsh: S, where the protocol measures it.
        key: Secret bits per pulse of long blocks. Where blocks are distilled: at the Shannon limit
            of reconciliation, after the bits that are compared in the open. Of weak pulses: what an
            estimate would say of exact rates.
        gain_signal, gain_decoy, gain_vacuum: Clicks per live gate of each intensity.
        single_photon_yield: What exact rates prove of it.
    """

    qber: float | None
    key: float | None
    chsh: float | None = None
    gain_signal: float | None = None
    gain_decoy: float | None = None
    gain_vacuum: float | None = None
    single_photon_yield: float | None = None
