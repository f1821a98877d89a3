"""A thread that waits for the interpreter has it soon."""

import sys

from bellwire.base.threads import take_short_turns


def test_turns_are_shorter_than_pythons_own() -> None:
    before = sys.getswitchinterval()
    try:
        take_short_turns()
        assert sys.getswitchinterval() < 0.001
    finally:
        sys.setswitchinterval(before)
