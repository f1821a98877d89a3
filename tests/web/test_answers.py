"""Containers filled by template are, byte for byte, what the plain way writes."""

import base64
import json
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bellwire.base.secret import Secret
from bellwire.keys.kme import Delivery, Limits, PairStatus
from bellwire.web import answers

anyhow = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # on a busy machine


def plain(ids: bytes, keys: bytes, lengths: list[int]) -> bytes:
    made, at = [], 0
    for i, length in enumerate(lengths):
        key_id = str(uuid.UUID(bytes=ids[16 * i : 16 * i + 16]))
        made.append({"key_ID": key_id, "key": base64.b64encode(keys[at : at + length]).decode()})
        at += length
    return json.dumps({"keys": made}, separators=(",", ":")).encode()


@anyhow
@given(st.data(), st.integers(1, 40), st.integers(1, 70))
def test_keys_of_one_length(data: st.DataObject, count: int, length: int) -> None:
    ids = data.draw(st.binary(min_size=16 * count, max_size=16 * count))
    keys = data.draw(st.binary(min_size=length * count, max_size=length * count))
    delivery = Delivery(ids, Secret(keys), 8 * length)
    assert answers.container(delivery) == plain(ids, keys, [length] * count)
    assert not any(delivery.keys.reveal())


@anyhow
@given(st.data(), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_keys_of_several_lengths(data: st.DataObject, lengths: list[int]) -> None:
    ids = data.draw(st.binary(min_size=16 * len(lengths), max_size=16 * len(lengths)))
    keys = data.draw(st.binary(min_size=sum(lengths), max_size=sum(lengths)))
    delivery = Delivery(ids, Secret(keys), None, tuple(lengths))
    assert answers.container(delivery) == plain(ids, keys, lengths)


@pytest.mark.parametrize(("there", "told"), [(-1, 0), (5, 5), (10**9, 100)])
def test_a_stock_is_told_within_its_limits(there: int, told: int) -> None:
    pair = PairStatus(
        source_kme="a", target_kme="b", master="m", slave="s", stored_keys=there, extension={}
    )
    status = json.loads(answers.status(pair, Limits(max_key_count=100)))
    assert status["stored_key_count"] == told


def test_an_error_has_details_only_where_there_are_some() -> None:
    assert answers.error("x") == b'{"message":"x"}'
    assert json.loads(answers.error("x", [{"a": "b"}])) == {"message": "x", "details": [{"a": "b"}]}
