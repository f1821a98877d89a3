"""The inputs that a fuzzer found to reach the most code are read, or refused, for ever.

`tools/fuzz_parsers.py --keep` made them, one in base64 a line.
"""

import base64
import contextlib
from pathlib import Path

import pytest
from tests.fuzz.parsers import PARSERS

CORPUS = Path(__file__).parent / "corpus"

EXTREMES = (
    b"",
    b"\x80",
    *(each * 100_000 for each in (b"[", b"\x91", b'{"a":')),
    *(each + b"[" * 10_000 for each in (b"a=", b"[a]\nb=")),
    *(each + b"9" * 5_000 for each in (b"", b"a=", b"a:", b'{"a":')),
)
"""Nothing, what is no UTF-8, nesting deeper than the stack, more digits than Python reads."""


def test_each_parser_has_inputs_and_no_inputs_are_of_a_parser_that_is_gone() -> None:
    assert {path.stem for path in CORPUS.glob("*.txt")} == set(PARSERS)


@pytest.mark.parametrize("name", PARSERS)
def test_an_input_is_read_or_refused_by_a_named_error(name: str) -> None:
    parser = PARSERS[name]
    read = 0
    for line in (CORPUS / f"{name}.txt").read_text().split():
        with contextlib.suppress(*parser.errors):
            parser.read(base64.b64decode(line))
            read += 1
    assert read, "no input is a good one: nothing behind the first refusal is tried"


@pytest.mark.parametrize("name", PARSERS)
def test_nothing_and_too_much_are_refused_by_a_named_error(name: str) -> None:
    for data in EXTREMES:
        with contextlib.suppress(*PARSERS[name].errors):
            PARSERS[name].read(data)
