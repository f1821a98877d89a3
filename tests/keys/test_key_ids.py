"""Ids are the same however many are made or read at a time, and lead back to their places."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keys.stores import each

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys.key_ids import MAX_GRANT, MAX_UNIT, KeyIds
from bellwire.keys.kme import MAX_KEY_BYTES

IDS = KeyIds(Secret(bytes(range(32))), Side.ALICE, 7)

RANGES = st.builds(
    lambda first, count, length: (
        range(first, first + count * -(-length // 8), -(-length // 8)),
        length,
    ),
    st.integers(0, MAX_UNIT - 40 * 128 - 1),
    st.integers(1, 40),
    st.integers(1, MAX_KEY_BYTES),
)
"""Keys of a length in a row, fewer and more than are made by NumPy."""


@settings(max_examples=60)
@given(keys=RANGES, grant=st.integers(0, MAX_GRANT - 1))
def test_ids_made_together_are_those_made_one_by_one(keys: tuple[range, int], grant: int) -> None:
    firsts, length = keys
    one_by_one = b"".join(IDS.make([first], length, grant) for first in firsts)
    assert IDS.make(firsts, length, grant) == one_by_one
    assert IDS.make(list(firsts), length, grant) == one_by_one


@settings(max_examples=60)
@given(keys=RANGES, grant=st.integers(0, MAX_GRANT - 1))
def test_ids_read_together_lead_where_those_read_one_by_one_do(
    keys: tuple[range, int], grant: int
) -> None:
    firsts, length = keys
    ids = IDS.make(firsts, length, grant)
    there = [place for place in IDS.read(ids) if place is not None]
    assert [first for place in there for first, _ in place.spans()] == list(firsts)
    assert {(place.length, place.grant) for place in there} == {(length, grant)}
    alone = [IDS.read(key_id) for key_id in each(ids)]
    assert [place.first for (place,) in alone if place is not None] == list(firsts)


@pytest.mark.parametrize("count", [1, 2, 16, 17, 40])
def test_an_id_that_was_changed_is_nobodys_however_many_are_read(count: int) -> None:
    ids = bytearray(IDS.make(range(0, 4 * count, 4), 32, 5))
    ids[-1] ^= 1
    *others, last = IDS.read(bytes(ids))
    assert last is None
    assert sum(place.number for place in others if place is not None) == count - 1


@pytest.mark.parametrize(
    "firsts",
    [[-1], [MAX_UNIT], [0, MAX_UNIT], range(-4, 80, 4), range(MAX_UNIT - 4, MAX_UNIT + 4, 4)],
)
def test_units_that_fit_no_id_are_refused(firsts: list[int] | range) -> None:
    with pytest.raises(ValueError, match="fit an id"):
        IDS.make(firsts, 32, 0)
