"""A short piece of what `tools/fuzz_channel.py` does for as long as it is let; and every byte."""

import random

import pytest
from tests.channel.models.exploring import clone
from tests.channel.pair import CLOUD, Pair
from tools.fuzz_channel import TARGETS
from tools.fuzz_rounds import refusals

from bellwire.channel.errors import HandshakeFailed
from bellwire.channel.macs import finish_hello, mac_key

ROUNDS = 6


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_crosses_the_channel_is_taken_or_refused_by_name(name: str) -> None:
    target, times = TARGETS[name]
    rng = random.Random(f"fuzz {name}")
    refused = refusals(target, ROUNDS * times, rng)
    taken = ROUNDS * times - refused
    assert refused > 0
    assert taken > 0 or name in {"certificates", "datagrams", "fragments", "refreshes"}


def test_every_byte_of_a_hello_counts() -> None:
    """Also under MACs made anew, so that the handshake itself refuses and not its gate."""
    core = Pair().initiator.hello()[:-32]
    for at in range(len(core)):
        pair = Pair()
        spoilt = core[:at] + bytes([core[at] ^ 0x40]) + core[at + 1 :]
        with pytest.raises(HandshakeFailed):
            pair.answer(finish_hello(spoilt, mac_key(CLOUD.public_bytes), None))


def test_every_byte_of_an_answer_counts() -> None:
    pair = Pair()
    answer = pair.answer(pair.initiator.hello())
    for at in range(len(answer)):
        spoilt = answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]
        with pytest.raises(HandshakeFailed):
            clone(pair.initiator).receive(spoilt)
    assert clone(pair.initiator).receive(answer)[1] is not None
