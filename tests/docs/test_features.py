"""Every feature has its row, with a command or page that there is and a test that there is."""

import re
from functools import cache

from tests.docs.claims import NAMED, rows, unfounded
from tests.docs.examples import ROOT

PAGE = (ROOT / "docs" / "reference" / "features.md").read_text()
SERIES = {"S0": 11, "S1": 8, "S2": 9, "S3": 15, "S4": 9, "B": 8}
COMMAND = re.compile(r"`bellwire ([a-z][a-z -]*)`")
HEADING = re.compile(r"^### `([^`]+)`", re.MULTILINE)


@cache
def commands() -> set[str]:
    """What the reference lists, which its own test compares with the program."""
    return set(HEADING.findall((ROOT / "docs" / "reference" / "commands.md").read_text()))


def is_a_command(words: str) -> bool:
    """Whether these words begin with a command; what follows are its arguments."""
    parts = words.split()
    return any(" ".join(parts[:end]) in commands() for end in range(1, len(parts) + 1))


def test_every_feature_has_one_row_and_no_other_is_there() -> None:
    promised = [f"{series}.{n}" for series, count in SERIES.items() for n in range(1, count + 1)]
    assert sorted(row[0] for row in rows(PAGE)) == sorted([*promised, "S1.8a"])


def test_every_feature_says_where_it_is_and_which_test_fails_without_it() -> None:
    for number, feature, where, tests in rows(PAGE):
        assert feature, number
        assert COMMAND.search(where) or "](" in where, number
        assert NAMED.search(tests), number
        assert unfounded(tests) == [], number


def test_every_command_that_is_named_is_one() -> None:
    named = [(row[0], words) for row in rows(PAGE) for words in COMMAND.findall(row[2])]
    assert len(named) > len(rows(PAGE))
    assert [(number, words) for number, words in named if not is_a_command(words)] == []


def test_a_command_or_a_test_that_is_not_there_is_found() -> None:
    assert not is_a_command("teleport")
    assert unfounded("docs/test_features.py `test_of_nothing`, gone.py `test_it`") == [
        "docs/test_features.py test_of_nothing",
        "gone.py test_it",
    ]
