"""PennyLane runs the same circuits, its misalignment a mixture instead of a channel."""

import numpy as np
import pytest
from tests.link.laws import assert_follows, assert_same_law, counted, law, seeds

from bellwire.base.detections import Protocol
from bellwire.lab.engines import Engine, Player
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve, EveKind

NOISY = LinkConfig(misalignment=0.03)
PENNYLANE = Player(Engine.PENNYLANE)


@pytest.mark.parametrize(
    ("protocol", "eve"),
    [
        (Protocol.E91, None),
        (Protocol.E91, Eve(EveKind.CLONER, 0.8)),
        (Protocol.BB84, Eve(EveKind.INTERCEPT_RESEND)),
    ],
)
def test_pennylane_has_the_law_of_theory_and_of_the_other_engines(
    protocol: Protocol, eve: Eve | None
) -> None:
    ours = counted(protocol, NOISY, 40_000, eve, 1, PENNYLANE.photons)
    assert_follows(ours, law(protocol, NOISY, eve))
    assert_same_law(ours, counted(protocol, NOISY, 40_000, eve, 2))


def test_a_seed_repeats_its_halves() -> None:
    slots = np.arange(2000)
    one, two = (PENNYLANE.photons(Protocol.E91, NOISY, 2000, *seeds(5), None) for _ in range(2))
    for side in range(2):
        assert np.array_equal(one[side].at(slots).outcomes, two[side].at(slots).outcomes)
