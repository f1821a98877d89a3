"""A short piece of what `tools/fuzz_classical.py` does for as long as it is let."""

import random

import pytest
from tools.fuzz_classical import TARGETS
from tools.fuzz_rounds import refusals

ROUNDS = 8


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_crosses_the_channel_is_taken_or_refused_by_name(name: str) -> None:
    target, times = TARGETS[name]
    rng = random.Random(f"fuzz {name}")
    refused = refusals(target, ROUNDS * times, rng)
    taken = ROUNDS * times - refused
    if name == "frames":
        assert taken == 0
    else:
        assert taken > 0
    if name in {"bodies", "planes", "matching", "contact", "envelopes", "parities", "codes"}:
        assert refused > 0
