"""CTR_DRBG: known answers, and the standard's steps block by block beside it."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.crypto.errors import LengthError
from bellwire.crypto.randomness.ctr_drbg import MAX_REQUEST_BYTES, SEED_BYTES, CtrDrbg


def test_it_gives_the_known_answer_without_reseeding() -> None:
    # NIST CAVP, drbgvectors_no_reseed, CTR_DRBG.rsp, [AES-256 no df], EntropyInputLen 384, no
    # personalization, no additional input, COUNT = 0: the second of two requests.
    drbg = CtrDrbg(
        bytes.fromhex(
            "df5d73faa468649edda33b5cca79b0b05600419ccb7a879d"
            "dfec9db32ee494e5531b51de16a30f769262474c73bec010"
        )
    )
    drbg.generate(64)
    assert drbg.generate(64) == bytes.fromhex(
        "d1c07cd95af8a7f11012c84ce48bb8cb87189e99d40fccb1771c619bdf82ab22"
        "80b1dc2f2581f39164f7ac0c510494b3a43c41b7db17514c87b107ae793e01c5"
    )


def test_it_gives_the_known_answer_after_reseeding() -> None:
    # NIST CAVP, drbgvectors_pr_false, CTR_DRBG.rsp, [AES-256 no df], no personalization, no
    # additional input, COUNT = 0: instantiate, reseed, and the second of two requests.
    drbg = CtrDrbg(
        bytes.fromhex(
            "e4bc23c5089a19d86f4119cb3fa08c0a4991e0a1def17e10"
            "1e4c14d9c323460a7c2fb58e0b086c6c57b55f56cae25bad"
        )
    )
    drbg.reseed(
        bytes.fromhex(
            "fd85a836bba85019881e8c6bad23c9061adc75477659acae"
            "a8e4a01dfe07a1832dad1c136f59d70f8653a5dc118663d6"
        )
    )
    drbg.generate(64)
    assert drbg.generate(64) == bytes.fromhex(
        "b2cb8905c05e5950ca31895096be29ea3d5a3b82b269495554eb80fe07de43e1"
        "93b9e7c3ece73b80e062b1c1f68202fbb1c52a040ea2478864295282234aaada"
    )


class Literal:
    """The standard's steps, one block after the other (10.2.1.2, 10.2.1.3.1, 10.2.1.5.1)."""

    def __init__(self, seed: bytes) -> None:
        self.key, self.v = bytes(32), 0
        self.update(seed)

    def block(self) -> bytes:
        self.v = (self.v + 1) % 2**128
        return Cipher(AES256(self.key), ECB()).encryptor().update(self.v.to_bytes(16, "big"))

    def update(self, provided: bytes) -> None:
        temp = b"".join(self.block() for _ in range(3))
        temp = bytes(a ^ b for a, b in zip(temp, provided, strict=True))
        self.key, self.v = temp[:32], int.from_bytes(temp[32:], "big")

    def generate(self, count: int) -> bytes:
        temp = b""
        while len(temp) < count:
            temp += self.block()
        self.update(bytes(48))
        return temp[:count]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.binary(min_size=48, max_size=48),
    counts=st.lists(st.integers(0, 100), max_size=4),
    fresh=st.binary(min_size=48, max_size=48),
)
def test_it_takes_the_standards_steps(seed: bytes, counts: list[int], fresh: bytes) -> None:
    ours, literal = CtrDrbg(seed), Literal(seed)
    for count in counts:
        assert ours.generate(count) == literal.generate(count)
    ours.reseed(fresh)
    literal.update(fresh)
    assert ours.generate(33) == literal.generate(33)


def test_the_counter_goes_round() -> None:
    ours, literal = CtrDrbg(bytes(48)), Literal(bytes(48))
    ours._v = literal.v = 2**128 - 2
    assert ours.generate(64) == literal.generate(64)


def test_lengths_that_the_standard_does_not_allow_are_refused() -> None:
    with pytest.raises(LengthError):
        CtrDrbg(bytes(SEED_BYTES - 1))
    drbg = CtrDrbg(bytes(SEED_BYTES))
    assert len(drbg.generate(MAX_REQUEST_BYTES)) == MAX_REQUEST_BYTES
    for count in (-1, MAX_REQUEST_BYTES + 1):
        with pytest.raises(LengthError):
            drbg.generate(count)
    with pytest.raises(LengthError):
        drbg.reseed(b"")


def test_its_repr_shows_no_state() -> None:
    assert repr(CtrDrbg(bytes(SEED_BYTES))) == "CtrDrbg()"
