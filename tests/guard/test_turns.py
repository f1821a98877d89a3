"""A guard asks for short turns of the processor, and keeps what else it was given."""

import os
import platform
import subprocess
import sys

import pytest

from bellwire.guard import turns

_GET_ATTRIBUTES = {"x86_64": 315, "aarch64": 275}
_PROGRAM = """
import ctypes, os, sys
from bellwire.guard.turns import TURN_NS, _ATTRIBUTES, take_turns_soon
given = os.nice(3)  # more than the suite itself was started with, where that may be more than 0
assert take_turns_soon()
said = ctypes.create_string_buffer(_ATTRIBUTES.size)
assert ctypes.CDLL(None).syscall(int(sys.argv[1]), 0, said, _ATTRIBUTES.size, 0) == 0
_, policy, _, nice, _, turn_ns, _, _ = _ATTRIBUTES.unpack(said.raw)
assert (policy, nice) == (0, given)
print(turn_ns == TURN_NS)
"""


@pytest.mark.skipif(platform.machine() not in _GET_ATTRIBUTES, reason="another machine")
def test_turns_are_short_and_niceness_and_policy_stay() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(_GET_ATTRIBUTES[platform.machine()])],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert said.returncode == 0, said.stderr
    knows = tuple(map(int, platform.release().split("-")[0].split(".")[:2])) >= (6, 12)
    assert said.stdout.strip() == "True" or not knows


def test_where_it_is_not_known_or_refused_all_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv")
    assert not turns.take_turns_soon()
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setitem(turns._SET_ATTRIBUTES, "x86_64", 1 << 20)  # which no kernel has
    assert not turns.take_turns_soon()
