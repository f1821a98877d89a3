import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from bellwire.base.secret import Secret
from bellwire.chat.accounts.password import check_new, key_of
from bellwire.chat.errors import ChatMisuse
from bellwire.chat.identity import Identity

PASSWORD = b"correct horse battery staple"
RELAY_ID = bytes(range(32))


@pytest.fixture(autouse=True)
def light_passwords() -> None:
    """Here they take what they take."""


def test_a_password_is_stretched_as_the_specification_says() -> None:
    salt = hashlib.sha256(b"bellwire chat password 1" + RELAY_ID + b"alice").digest()[:16]
    seed = Argon2id(salt=salt, length=64, iterations=3, lanes=1, memory_cost=65_536).derive(
        PASSWORD
    )
    expected = Identity(Secret(seed)).public
    assert key_of(Secret(PASSWORD), "alice", RELAY_ID).public == expected
    # As it was when accounts began: whoever changes it locks everybody out.
    assert expected.fingerprint.hex() == (
        "248f532be62003570eb5592317f4362319266dc672f96f30dee63da1acb93663"
    )


def test_handle_relay_and_password_each_make_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellwire.chat.accounts.password.MEMORY_KIB", 64)
    keys = {
        key_of(Secret(password), handle, relay_id).public.fingerprint
        for password in (PASSWORD, PASSWORD + b".")
        for handle in ("alice", "bobby")
        for relay_id in (RELAY_ID, bytes(32))
    }
    assert len(keys) == 8


def test_several_are_stretched_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellwire.chat.accounts.password.MEMORY_KIB", 1024)
    with ThreadPoolExecutor(8) as threads:
        keys = threads.map(lambda _: key_of(Secret(PASSWORD), "alice", RELAY_ID), range(16))
        assert len({key.public.fingerprint for key in keys}) == 1


def test_a_password_says_nothing_of_itself_when_it_is_refused() -> None:
    with pytest.raises(ChatMisuse) as caught:
        check_new(Secret(b"hunter2"))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ChatMisuse, match="at most 1024"):
        key_of(Secret(b"x" * 1025), "alice", RELAY_ID)
