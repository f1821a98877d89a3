"""Key ids outside: both nodes read them, and nobody else can say the next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.secret import Secret
from bellwire.keys.errors import KeyGone
from bellwire.keys.model import MAX_BLOCK, MAX_KEY_BITS, KeyId, OpaqueKeyId
from bellwire.keys.opaque import KeyIdCipher

MAC_KEY = Secret(bytes(range(32)))
IDS = KeyIdCipher(MAC_KEY)
PLACES = st.builds(
    KeyId,
    block=st.integers(1, MAX_BLOCK),
    first_unit=st.integers(0, 2**32 - 1),
    bits=st.integers(1, MAX_KEY_BITS // 8).map(lambda n: 8 * n),
)


@given(place=PLACES)
def test_the_peer_finds_what_a_node_hid(place: KeyId) -> None:
    assert KeyIdCipher(MAC_KEY).find(IDS.hide(place)) == place


@given(places=st.lists(PLACES, unique=True, min_size=2, max_size=5))
def test_different_keys_have_different_ids(places: list[KeyId]) -> None:
    assert len({IDS.hide(place) for place in places}) == len(places)


@given(first=st.integers(0, 1000))
def test_neighbouring_ids_have_no_more_bits_in_common_than_strangers(first: int) -> None:
    one, two = (IDS.hide(KeyId(1, unit, 256)).data for unit in (first, first + 1))
    differing = (int.from_bytes(one, "big") ^ int.from_bytes(two, "big")).bit_count()
    assert 20 < differing < 108  # 64 ± 44: eight standard deviations of 128 fair coins


@given(data=st.binary(min_size=16, max_size=16))
def test_an_id_that_was_made_up_is_said_to_be_gone(data: bytes) -> None:
    with pytest.raises(KeyGone, match=str(OpaqueKeyId(data))):
        IDS.find(OpaqueKeyId(data))


def test_another_links_ids_are_not_ours() -> None:
    with pytest.raises(KeyGone):
        IDS.find(KeyIdCipher(Secret(bytes(32))).hide(KeyId(1, 0, 256)))


def test_a_cipher_does_not_show_its_key() -> None:
    assert repr(IDS) == "KeyIdCipher()"
