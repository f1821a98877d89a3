"""Fields of entries as people read them."""

import pytest

from bellwire.cli.log.words import when, words
from bellwire.ledger.entries.fields import MAX_SAFE


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("parties", ("node-a", "node-b"), "node-a,node-b"),
        ("qber", 20_145, "2.01%"),
        ("chsh", -2_725_479, "-2.725"),
        ("bits", 22_381, "22381"),
        ("stale", True, "yes"),
        ("until", 0, '"1970-01-01 00:00:00"'),
        ("reason", "mean QBER 2.1%", '"mean QBER 2.1%"'),
        (
            "keys",
            [{"algorithm": "ed25519", "key": "AA=="}, {"algorithm": "p-256"}],
            "ed25519,p-256",
        ),
    ],
)
def test_a_field_is_shown_in_words(name: str, value: object, shown: str) -> None:
    assert words(name, value) == shown


def test_a_time_that_no_calendar_has_is_shown_all_the_same() -> None:
    assert when(MAX_SAFE) == "after the year 9999"
    assert when(253_402_300_799_999) == "9999-12-31 23:59:59"
