"""Options are the words of the lab, all of them, with its defaults."""

import typing

import pytest

from bellwire.base.errors import UsageError
from bellwire.cli.lab import options
from bellwire.cli.main import load
from bellwire.lab import parameters


def explained(name: str) -> str:
    """The help of a word's option."""
    return str(typing.get_args(options.WORDS[name])[1].help)


def test_there_is_one_set_of_words() -> None:
    assert list(options.WORDS) == list(parameters.WORDS) == list(parameters.Words.__annotations__)


@pytest.mark.parametrize("name", parameters.WORDS)
def test_the_help_says_the_default_of_the_lab(name: str) -> None:
    word = parameters.WORDS[name]
    for usual in {word.default, *(value for _, value in word.defaults)} - {None}:
        shown = (
            f"{usual:g}".replace("e-0", "e-").replace("e+0", "e")
            if isinstance(usual, float | int)
            else str(usual)
        )
        assert shown in explained(name).partition(" Default ")[2], name


def test_run_and_sweep_take_the_same_words_and_give_on_only_what_was_said() -> None:
    group = load("lab")
    names = [{each.name for each in group.commands[verb].params} for verb in ("run", "sweep")]
    assert set(options.WORDS) < names[0]
    assert set(options.WORDS) < names[1]
    got: dict[str, object] = {}

    def verb(first: str, words: dict[str, object], last: bool = False) -> None:
        """What it does."""
        got.update(words, first=first, last=last)

    decorated = options.takes_words(verb)
    given = dict.fromkeys(options.WORDS)
    decorated(first="e91", last=True, **{**given, "pulses": "2e5", "km": 0.0})
    assert got == {"pulses": 200_000, "km": 0.0, "first": "e91", "last": True}
    assert decorated.__doc__ == "What it does."
    with pytest.raises(UsageError, match="whole number of pulses"):
        decorated(first="e91", **{**given, "pulses": "2.5"})
