"""How a node takes in its authentication key, and opens its store."""

from pathlib import Path

import pytest

from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.base.private import PathExposed
from bellwire.keys.errors import PreplacedKeyInvalid, StoreBusy
from bellwire.node.assemble import node_folder, open_store
from bellwire.node.first_contact import new_authentication_key
from bellwire.node.identity import load_identity, load_or_create_identity


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    new_authentication_key(path)
    return path


def test_a_new_key_is_its_owners_alone_and_never_replaces_a_file(key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    with pytest.raises(UsageError):
        new_authentication_key(key)
    assert key.read_bytes() == before
    with pytest.raises(UsageError):
        new_authentication_key(key / "below")


def test_the_file_of_the_key_is_gone_once_the_store_has_it(key: Path, tmp_path: Path) -> None:
    folder = node_folder(tmp_path, "a")
    open_store(folder, Side.ALICE, key).close()
    assert not key.exists()
    store = open_store(folder, Side.ALICE, key)
    assert store.has_preplaced()
    store.close()
    open_store(folder, Side.ALICE, None).close()


def test_a_file_that_a_crash_left_is_removed_at_the_next_start(key: Path, tmp_path: Path) -> None:
    content, folder = key.read_bytes(), node_folder(tmp_path, "a")
    open_store(folder, Side.ALICE, key).close()
    key.write_bytes(content)
    key.chmod(0o600)
    open_store(folder, Side.ALICE, key).close()
    assert not key.exists()


@pytest.mark.parametrize("content", [b"", b"short", bytes(1000)])
def test_another_key_than_the_stores_is_refused_and_left_where_it_is(
    key: Path, tmp_path: Path, content: bytes
) -> None:
    folder = node_folder(tmp_path, "a")
    open_store(folder, Side.ALICE, key).close()
    key.write_bytes(content)
    key.chmod(0o600)
    with pytest.raises(UsageError, match="expected the authentication key that this node has"):
        open_store(folder, Side.ALICE, key)
    assert key.read_bytes() == content
    open_store(folder, Side.ALICE, None).close()


def test_a_node_without_a_key_is_told_how_to_make_one(tmp_path: Path) -> None:
    for path in (None, tmp_path / "missing"):
        with pytest.raises(UsageError) as caught:
            open_store(tmp_path / "n", Side.BOB, path)
        assert "--new-authentication-key" in (caught.value.hint or "")


def test_a_key_of_another_size_is_refused_and_kept_and_the_right_one_still_fits(
    key: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(bytes(100))
    wrong.chmod(0o600)
    with pytest.raises(PreplacedKeyInvalid):
        open_store(tmp_path / "n", Side.BOB, wrong)
    assert wrong.exists()
    open_store(tmp_path / "n", Side.BOB, key).close()


def test_a_key_that_others_could_read_is_refused(key: Path, tmp_path: Path) -> None:
    key.chmod(0o644)
    with pytest.raises(PathExposed, match="0644"):
        open_store(tmp_path / "n", Side.BOB, key)
    assert key.exists()


def test_two_nodes_never_share_a_store(key: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path / "n", Side.ALICE, key)
    with pytest.raises(StoreBusy):
        open_store(tmp_path / "n", Side.ALICE, None)
    store.close()


# -- first contact by signatures ---------------------------------------------------------------


def test_a_signed_node_starts_without_a_key_and_with_one(key: Path, tmp_path: Path) -> None:
    folder = node_folder(tmp_path, "a")
    store = open_store(folder, Side.ALICE, None, signed=True)
    assert not store.has_preplaced()
    store.close()
    open_store(folder, Side.ALICE, key).close()
    store = open_store(folder, Side.ALICE, None, signed=True)
    assert store.has_preplaced()
    store.close()


def test_an_identity_is_made_once_is_its_owner_s_alone_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "n"
    made = load_or_create_identity(folder)
    seed, public = folder / "identity.seed", folder / "identity.pub"
    assert seed.stat().st_mode & 0o777 == 0o600
    assert seed.read_bytes() != b""
    public.unlink()
    again = load_or_create_identity(folder)
    assert again.public_bytes == made.public_bytes
    assert public.read_bytes() == made.public_pem
    assert load_identity(folder, "").public_bytes == made.public_bytes


def test_an_identity_that_others_could_read_or_of_another_size_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "n"
    load_or_create_identity(folder)
    seed = folder / "identity.seed"
    seed.chmod(0o640)
    with pytest.raises(PathExposed):
        load_identity(folder, "")
    seed.chmod(0o600)
    seed.write_bytes(bytes(31))
    with pytest.raises(UsageError, match="seed of 32 bytes"):
        load_or_create_identity(folder)
    assert seed.read_bytes() == bytes(31)
