"""Key ids and block records: what they accept, and that an id's text reads back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.stores import record

from bellwire.base.secret import Secret
from bellwire.keys.errors import KeyIdMalformed, KeySizeUnsupported
from bellwire.keys.model import (
    MAX_KEY_BITS,
    DeliveredKey,
    KeyId,
    KeySourceKind,
    check_key_bits,
)


@given(data=st.binary(min_size=16, max_size=16))
def test_a_key_id_reads_back_from_text(data: bytes) -> None:
    assert KeyId.parse(str(KeyId(data))) == KeyId(data)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_key_id_has_16_bytes(size: int) -> None:
    with pytest.raises(KeyIdMalformed, match="16 bytes"):
        KeyId(bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00000000-0000-0007-0000-00030000010",
        "00000000000000070000000300000108",
        "00000000-0000-0007-0000-0003000001G8",
        "00000000-0000-000A-0000-000300000108",
        "00000000-0000-0007-0000-000300000108\n",
    ],
)
def test_text_that_is_no_key_id_is_refused(text: str) -> None:
    with pytest.raises(KeyIdMalformed):
        KeyId.parse(text)


@pytest.mark.parametrize("bits", [0, -8, 7, 12, MAX_KEY_BITS + 8])
def test_key_sizes_are_whole_bytes_within_the_limit(bits: int) -> None:
    with pytest.raises(KeySizeUnsupported):
        check_key_bits(bits)


@pytest.mark.parametrize(
    "wrong",
    [
        {"block": 0},
        {"block": 2**63},
        {"secret_bits": 0},
        {"qber": 1.1},
        {"epsilon": 0.0},
        {"decided_at": float("nan")},
        {"chsh": float("inf")},
    ],
)
def test_records_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(record(1, 256), **wrong)  # type: ignore[arg-type] # a mixed table


def test_a_delivered_key_does_not_show_itself() -> None:
    key = DeliveredKey(KeyId(bytes(16)), Secret(b"\xabsecret!"), KeySourceKind.LOCAL)
    assert "secret!" not in repr(key)
    assert key.source.value == "local"


@pytest.mark.parametrize("missing", ["protocol", "qber", "epsilon"])
def test_a_record_has_protocol_qber_and_epsilon_or_none_of_them(missing: str) -> None:
    with pytest.raises(ValueError, match="or none of them"):
        replace(record(1, 256), **{missing: None})  # type: ignore[arg-type]
    replace(record(1, 256), protocol=None, qber=None, epsilon=None, chsh=None)
