"""A side's half of a block: well-formed, asked by slot, and silent about its outcomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.detections import Detections, Side

slot_sets = st.lists(st.integers(0, 10_000), unique=True, max_size=40).map(sorted)


def half(slots: list[int]) -> Detections:
    """A half whose settings and outcomes tell the slot."""
    array = np.array(slots, np.int64)
    return Detections(array, (array % 3).astype(np.uint8), (array % 2).astype(np.uint8))


@given(slots=slot_sets, data=st.data())
def test_a_half_gives_settings_and_outcomes_of_any_of_its_slots(
    slots: list[int], data: st.DataObject
) -> None:
    chosen = [slot for slot in slots if data.draw(st.booleans())]
    got = half(slots).at(np.array(chosen, np.int64))
    assert got.received.tolist() == chosen
    assert got.settings.tolist() == [slot % 3 for slot in chosen]
    assert got.outcomes.tolist() == [slot % 2 for slot in chosen]


@given(slots=slot_sets, other=st.integers(0, 10_001))
def test_a_slot_that_is_not_ours_is_a_key_error(slots: list[int], other: int) -> None:
    if other in slots:
        slots.remove(other)
    with pytest.raises(KeyError):
        half(slots).at(np.array([other], np.int64))


@pytest.mark.parametrize("slots", [[-1, 2], [2, 2], [3, 2]])
def test_slots_out_of_order_or_below_zero_are_refused(slots: list[int]) -> None:
    array = np.array(slots, np.int64)
    with pytest.raises(ValueError, match="strictly increasing"):
        Detections(array, np.zeros(2, np.uint8), np.zeros(2, np.uint8))


@pytest.mark.parametrize(("settings", "outcomes"), [(2, 3), (3, 2), (0, 0)])
def test_arrays_of_different_lengths_are_refused(settings: int, outcomes: int) -> None:
    with pytest.raises(ValueError, match="one length"):
        Detections(
            np.arange(3, dtype=np.int64),
            np.zeros(settings, np.uint8),
            np.zeros(outcomes, np.uint8),
        )


def test_the_repr_tells_how_many_and_nothing_else() -> None:
    assert repr(half([1, 2, 7])) == "Detections(3 slots)"


def test_each_side_is_the_others_peer() -> None:
    assert [side.peer for side in Side] == [Side.BOB, Side.ALICE]
