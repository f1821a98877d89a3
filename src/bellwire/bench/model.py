"""What a benchmark says: figures with units, and what they were compared with in the same run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        name: As the command line's reference lists it.
        value: The measurement, in `unit`.
        unit: SI or plain words.
        against: What ran beside it, or None where nothing is compared.
        ratio: value / the alternative's value, None without one.
    """

    name: str
    value: float
    unit: str
    against: str | None = None
    ratio: float | None = None
