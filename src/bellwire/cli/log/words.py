"""Fields of a log's entries as people read them."""

import datetime

_LAST_MS = 253_402_300_800_000
"""The year 10000: an entry may name a later time, and no calendar has it."""


def when(milliseconds: int) -> str:
    """A time in UTC, to the second."""
    if milliseconds >= _LAST_MS:
        return "after the year 9999"
    at = datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}"


def words(name: str, value: object) -> str:
    """The value of a field: fractions are counted in millionths, and keys are long."""
    shown = str(value)
    match value:
        case bool():
            shown = "yes" if value else "no"
        case int() if name == "qber":
            shown = f"{value / 1e4:.2f}%"
        case int() if name == "chsh":
            shown = f"{value / 1e6:.3f}"
        case int() if name == "until":
            shown = when(value)
        case list() | tuple():
            shown = ",".join(map(_item, value))
    return f'"{shown}"' if " " in shown else shown


def _item(value: object) -> str:
    if isinstance(value, dict):
        return str(value["algorithm"])
    return str(value)
