"""A node's key-encryption key, from the settings to the store: shown, rotated, refused."""

from pathlib import Path

import pytest
from tests.crypto.kek.conftest import Hsm, MemoryKeyring, own
from tests.crypto.kek.conftest import hsm as hsm  # noqa: PLC0414 - a fixture
from tests.crypto.kek.conftest import memory_keyring as memory_keyring  # noqa: PLC0414 - a fixture
from tests.keys.stores import PREPLACED

from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.crypto.kek.errors import KekRefused, KekUnavailable, KekUnusable
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.keys.errors import StoreBusy
from bellwire.node.assemble import open_store
from bellwire.node.errors import ConfigError
from bellwire.node.kek import kek_source, rotate_kek, show_kek
from bellwire.node.settings import Settings, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def home(folder: Path) -> Path:
    """A node's folder with a store that has a key, wrapped by a file."""
    key = own(folder / "authentication.key", "")
    key.write_bytes(PREPLACED.reveal())
    open_store(folder / "node-a", Side.ALICE, key).close()
    return folder / "node-a"


def says(source: str) -> Settings:
    return load(None, {"kek": {"source": source}})


def has_key(home: Path, source: str) -> bool:
    store = open_store(home, Side.ALICE, None, kek=kek_source(says(source), home))
    try:
        return store.has_preplaced()
    finally:
        store.close()


def unplugged(self: KeyFiles, key: str) -> None:
    raise KekUnavailable("expected the stick, got none")


def test_a_store_moves_from_source_to_source_and_keeps_its_keys(
    home: Path,
    folder: Path,
    hsm: Hsm,
    memory_keyring: MemoryKeyring,
) -> None:
    words = own(folder / "words", "correct horse battery staple")
    now = "file"
    for then in (f"file:{folder}/stick", f"passphrase:{words}", "keyring", hsm.source().setting):
        done = rotate_kek(says(now), home, Side.ALICE, then)
        assert done["source"] == then
        assert has_key(home, then)
        with pytest.raises(KekRefused):
            has_key(home, now)
        now = then
    assert not [path for path in home.iterdir() if path.name.startswith("kek")]
    assert list((folder / "stick").iterdir()) == []
    assert memory_keyring.entries == {}
    assert rotate_kek(says(now), home, Side.ALICE, None)["source"] == now
    assert has_key(home, now)


def test_a_node_that_runs_keeps_its_key(home: Path) -> None:
    before = (home / "key.wrapped").read_bytes()
    store = open_store(home, Side.ALICE, None)
    try:
        with pytest.raises(StoreBusy):
            rotate_kek(says("file"), home, Side.ALICE, None)
    finally:
        store.close()
    assert (home / "key.wrapped").read_bytes() == before
    assert len(list(home.glob("kek-*"))) == 1


@pytest.mark.parametrize("then", ["file", "file:{}/stick", "keyring"])
def test_a_rotation_that_could_not_destroy_the_old_key_is_finished_by_the_same_call(
    then: str,
    home: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    memory_keyring: MemoryKeyring,
) -> None:
    (old,) = home.glob("kek-*")
    then = then.format(folder)

    with monkeypatch.context() as patch:
        patch.setattr(KeyFiles, "retire", unplugged)
        with pytest.raises(KekUnavailable):
            rotate_kek(says("file"), home, Side.ALICE, then)
    assert old.exists()
    left = {"source": "file", "key": old.name.removeprefix("kek-")}
    assert show_kek(home)["replaces"] == left
    done = rotate_kek(says("file"), home, Side.ALICE, then)
    assert done["source"] == then
    assert not old.exists()
    assert show_kek(home)["replaces"] is None
    assert has_key(home, then)


def test_a_key_that_was_left_elsewhere_stays_named(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = home.glob("kek-*")
    with monkeypatch.context() as patch:
        patch.setattr(KeyFiles, "retire", unplugged)
        with pytest.raises(KekUnavailable):
            rotate_kek(says("file"), home, Side.ALICE, f"file:{folder}/stick")
    assert has_key(home, f"file:{folder}/stick")
    assert show_kek(home)["replaces"] == {"source": "file", "key": old.name.removeprefix("kek-")}


def test_what_is_shown_has_no_secret_and_needs_none(home: Path, folder: Path) -> None:
    words = own(folder / "words", "correct horse battery staple")
    (key,) = home.glob("kek-*")
    shown = show_kek(home)
    assert shown["source"] == "file"
    assert key.name == f"kek-{shown['key']}"
    assert key.read_bytes().hex() not in str(shown)
    rotate_kek(says("file"), home, Side.ALICE, f"passphrase:{words}")
    words.unlink()
    assert show_kek(home) == {
        "source": "passphrase",
        "key": None,
        "argon2id": {"memory_mib": 256, "iterations": 3, "lanes": 4},
        "replaces": None,
    }


def test_without_a_store_there_is_nothing_to_rotate_and_none_is_made(folder: Path) -> None:
    with pytest.raises(UsageError, match="expected a node's store in"):
        rotate_kek(says("file"), folder / "node-b", Side.BOB, None)
    with pytest.raises(UsageError, match="expected a node's store in"):
        show_kek(folder / "node-b")
    assert not list(folder.glob("node-b/*"))


def test_a_new_source_that_cannot_be_used_leaves_the_old_one(home: Path, folder: Path) -> None:
    before = {path: path.read_bytes() for path in home.iterdir()}
    short = own(folder / "short", "too short")
    for then in (f"passphrase:{short}", "passphrase:fd:9999", "pkcs11:token=x?module-path=/none"):
        with pytest.raises(UsageError):
            rotate_kek(says("file"), home, Side.ALICE, then)
    with pytest.raises(KekUnusable, match="as source of"):
        rotate_kek(says("file"), home, Side.ALICE, "nowhere")
    assert {path: path.read_bytes() for path in home.iterdir()} == before
    assert has_key(home, "file")


@pytest.mark.parametrize(
    "source", ["", "4711-SECRET", "pkcs11:token=x?module-path=/l.so&pin-value=4711-SECRET"]
)
def test_a_setting_that_names_no_source_is_refused_and_not_repeated(source: str) -> None:
    with pytest.raises(ConfigError, match=r"kek\.source: expected") as refused:
        says(source)
    assert "SECRET" not in str(refused.value)


def test_credentials_of_systemd_are_found(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "credentials"
    place.mkdir(mode=0o700)
    own(place / "bellwire-passphrase", "correct horse battery staple\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(place))
    rotate_kek(says("file"), home, Side.ALICE, "passphrase")
    assert has_key(home, "passphrase")
    own(place / "bellwire-passphrase", "incorrect horse battery staple")
    with pytest.raises(KekRefused):
        has_key(home, "passphrase")
