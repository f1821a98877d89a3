"""A secret shows its length and nothing else, unless it is asked by name."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.secret import Secret


@given(data=st.binary(max_size=64), other=st.binary(max_size=64))
def test_secrets_are_equal_as_their_bytes_are(data: bytes, other: bytes) -> None:
    assert Secret(data).reveal() == data
    assert Secret(data) == Secret(bytearray(data))
    assert (Secret(data) == Secret(other)) == (data == other)
    assert len(Secret(data)) == len(data)


def test_a_secret_is_no_bytes() -> None:
    assert Secret(b"key") != b"key"


def test_repr_str_and_format_hide_the_bytes() -> None:
    secret = Secret(b"hunter22")
    assert {repr(secret), str(secret), f"{secret}"} == {"Secret(8 bytes)"}


def test_a_secret_is_not_hashed_pickled_or_copied() -> None:
    secret = Secret(b"hunter22")
    with pytest.raises(TypeError, match="hashable"):
        hash(secret)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="picklable"):
            attempt(secret)


def test_a_wiped_secret_is_zeros_and_leaves_its_source_alone() -> None:
    source = bytearray(b"hunter22")
    secret = Secret(source)
    secret.wipe()
    assert secret.reveal() == bytes(8)
    assert source == b"hunter22"
