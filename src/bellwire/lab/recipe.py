"""How somebody else repeats an experiment: as a command line, and in Python.

Only what is not at its default is said, so that what matters can be seen.
"""

import shlex
from collections.abc import Mapping
from typing import Any

from bellwire.lab.parameters import protocol_of, settle, words_of


def command(protocol: str, words: Mapping[str, Any]) -> str:
    """The command line.

    Args:
        protocol: Its protocol.
        words: Its words; those at their defaults may be missing.

    Raises:
        UsageError: a word that this protocol has not, or a value of the wrong kind.
    """
    options = (
        f"--{name.replace('_', '-')} {shlex.quote(_plain(value))}"
        for name, value in _said(protocol, words).items()
    )
    return " ".join(["bellwire lab run", protocol, *options])


def python(protocol: str, words: Mapping[str, Any]) -> str:
    """The same in Python; arguments and errors are those of `command`."""
    arguments = (f"{name}={_literal(value)}" for name, value in _said(protocol, words).items())
    call = ", ".join([f'"{protocol}"', *arguments])
    return f"from bellwire import lab\n\nresult = lab.run({call})\nprint(result.to_json())\n"


def _said(protocol: str, words: Mapping[str, Any]) -> dict[str, Any]:
    kind = protocol_of(protocol)
    usual = {name: word.usual(kind) for name, word in words_of(kind).items()}
    return {name: value for name, value in settle(kind, words).items() if value != usual[name]}


def _plain(value: object) -> str:
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _literal(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:_}" if isinstance(value, int) else repr(value)
