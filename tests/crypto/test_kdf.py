import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.wycheproof import cases

from bellwire.crypto import labels
from bellwire.crypto.errors import LengthError
from bellwire.crypto.kdf import MAX_OUTPUT_BYTES, hkdf


def slow_hkdf(ikm: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, 2.2 and 2.3, word for word."""
    prk = hmac.digest(salt or bytes(32), ikm, hashlib.sha256)
    okm = block = b""
    for i in range(1, -(-length // 32) + 1):
        block = hmac.digest(prk, block + info + bytes([i]), hashlib.sha256)
        okm += block
    return okm[:length]


def test_wycheproof_hkdf_sha256_agrees() -> None:
    for _, test in cases("hkdf_sha256"):
        ikm, salt, info = (bytes.fromhex(test[field]) for field in ("ikm", "salt", "info"))
        if test["result"] == "valid":
            okm = hkdf(ikm, salt=salt, info=info, length=test["size"])
            assert okm.hex() == test["okm"], test["tcId"]
        else:
            with pytest.raises(LengthError):
                hkdf(ikm, salt=salt, info=info, length=test["size"])


@settings(max_examples=50, deadline=None)
@given(
    ikm=st.binary(max_size=80),
    salt=st.binary(max_size=80),
    info=st.binary(max_size=80),
    length=st.integers(1, 200),
)
def test_hkdf_equals_its_slow_twin(ikm: bytes, salt: bytes, info: bytes, length: int) -> None:
    assert hkdf(ikm, salt=salt, info=info, length=length) == slow_hkdf(ikm, salt, info, length)


@pytest.mark.parametrize("length", [-1, 0, MAX_OUTPUT_BYTES + 1])
def test_lengths_out_of_range_are_refused(length: int) -> None:
    with pytest.raises(LengthError, match="8160"):
        hkdf(b"ikm", info=b"", length=length)


def test_no_label_is_another_s_beginning() -> None:
    values = [value for name, value in vars(labels).items() if name.isupper()]
    assert len(values) >= 3
    for i, one in enumerate(values):
        assert not any(other.startswith(one) for other in values[:i] + values[i + 1 :])
