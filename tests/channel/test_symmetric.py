import hashlib
import hmac

import pytest

from bellwire.base.secret import Secret
from bellwire.channel.messages import Suite
from bellwire.channel.symmetric import SymmetricState
from bellwire.crypto.errors import AuthenticationFailed


def noise_hkdf(ck: bytes, ikm: bytes, outputs: int) -> list[bytes]:
    """The Noise Protocol Framework, revision 34, 4.3, word for word."""
    temp = hmac.digest(ck, ikm, hashlib.sha256)
    out = [b""]
    for i in range(1, outputs + 1):
        out.append(hmac.digest(temp, out[-1] + bytes([i]), hashlib.sha256))
    return out[1:]


def test_mixing_follows_noise() -> None:
    state = SymmetricState(Suite.AES_256_GCM, b"name")
    h = ck = hashlib.sha256(b"name").digest()
    state.mix_hash(b"data")
    h = hashlib.sha256(h + b"data").digest()
    state.mix_key(Secret(b"a" * 32))
    ck, key = noise_hkdf(ck, b"a" * 32, 2)
    assert (state._hash, bytes(state._ck), bytes(state._key)) == (h, ck, key)
    state.mix_key_and_hash(Secret(b"b" * 32))
    ck, commitment, key = noise_hkdf(ck, b"b" * 32, 3)
    h = hashlib.sha256(h + commitment).digest()
    assert (state._hash, bytes(state._ck), bytes(state._key)) == (h, ck, key)


def test_two_states_agree_only_on_the_same_transcript() -> None:
    one, other = (
        SymmetricState(Suite.AES_256_GCM, b"name"),
        SymmetricState(Suite.AES_256_GCM, b"name"),
    )
    for state in (one, other):
        state.mix_key(Secret(b"a" * 32))
    assert other.open(one.seal(b"text")) == b"text"
    assert other.open(one.seal(b"text")) == b"text"
    one.mix_hash(b"only here")
    with pytest.raises(AuthenticationFailed):
        other.open(one.seal(b"text"))


def test_session_keys_depend_on_the_transcript_and_are_unlike_each_other() -> None:
    splits = []
    for data in (b"one", b"other"):
        state = SymmetricState(Suite.AES_256_GCM, b"name")
        state.mix_key(Secret(b"a" * 32))
        state.mix_hash(data)
        splits.append(state.split())
        assert repr(state) == "SymmetricState()"
        assert state._ck == state._key == bytes(32)
    one, other = splits
    assert one.up != other.up
    assert one.up != one.down
    assert (len(one.up), len(one.down)) == (32, 32)
