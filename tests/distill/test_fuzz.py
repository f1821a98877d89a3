"""A short piece of what `tools/fuzz_classical.py` does for as long as it is let."""

import random

import pytest
from tools.fuzz_classical import TARGETS

from bellwire.base.errors import BellwireError

ROUNDS = 8


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_crosses_the_channel_is_taken_or_refused_by_name(name: str) -> None:
    target, times = TARGETS[name]
    rng = random.Random(f"fuzz {name}")
    taken = refused = 0
    for _ in range(ROUNDS * times):
        try:
            target(rng)
            taken += 1
        except BellwireError:
            refused += 1
    if name == "frames":
        assert taken == 0
    else:
        assert taken > 0
    if name in {"bodies", "planes", "matching", "contact", "envelopes", "parities", "codes"}:
        assert refused > 0
