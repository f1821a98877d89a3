"""A node's store on a PostgreSQL server, as the settings say."""

import shutil
from pathlib import Path

import pytest
from tests.keys.postgres.server import Server
from tests.keys.stores import PREPLACED, add_ready, pool_of, some_bytes, take

from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.crypto.kek.errors import KekRefused
from bellwire.keys.errors import PreplacedKeyInvalid
from bellwire.keys.reserve import preplaced_bytes
from bellwire.keys.store import KeyStore
from bellwire.node.assemble import open_store
from bellwire.node.backup import back_up
from bellwire.node.errors import ConfigError
from bellwire.node.fence import fence_store
from bellwire.node.kek import rotate_kek, show_kek
from bellwire.node.restore import restore
from bellwire.node.settings import load

ANOTHER = some_bytes(preplaced_bytes(6), 815)


@pytest.fixture(autouse=True)
def no_schemas(server: Server) -> None:
    for site in ("a", "b"):
        server.sql(f"DROP SCHEMA IF EXISTS bellwire_{site} CASCADE", database="keys")


def test_a_node_keeps_its_keys_on_the_server_and_its_data_key_at_home(
    server: Server, folder: Path
) -> None:
    home, key = folder / "node-a", folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(PREPLACED.reveal())
    store = open_store(home, Side.ALICE, key, url=server.url)
    assert not key.exists()
    add_ready(store, 1, 4096)
    taken = take(pool_of(store))
    store.close()
    names = {path.name for path in home.iterdir()}
    assert "key.wrapped" in names
    assert not any(name.startswith("keys.sqlite") for name in names)
    settings = load(overrides={"store": {"url": server.url}})
    assert rotate_kek(settings, home, Side.ALICE, None)["source"] == "file"
    assert show_kek(home)["source"] == "file"
    store = open_store(home, Side.ALICE, None, url=server.url)
    assert take(pool_of(store)).ids != taken.ids
    store.close()
    (home / "key.wrapped").unlink()
    with pytest.raises(KekRefused, match=r"key\.wrapped"):
        open_store(home, Side.ALICE, None, url=server.url)


def test_a_schema_that_may_have_been_put_back_is_fenced_or_voided_and_gives_no_key_again(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "none"))
    state, key = folder / "state", folder / "key"
    state.mkdir(mode=0o700)
    home = state / "node-a"

    def start(content: bytes | None) -> KeyStore:
        if content is not None:
            key.touch(mode=0o600)
            key.write_bytes(content)
        return open_store(home, Side.ALICE, key if content else None, url=server.url)

    store = start(PREPLACED.reveal())
    add_ready(store, 1, 4096)
    grants = store.grants()
    grants.load()
    grants.propose("app-a", ("app-b",))
    store.close()
    settings = load(overrides={"store": {"url": server.url}, "state": {"dir": state}})
    assert back_up(settings, folder / "a.tar", None).sites == ("a",)

    fence_store(settings, home, Side.ALICE)
    with pytest.raises(PreplacedKeyInvalid, match="its pads are used"):
        start(PREPLACED.reveal())
    store = start(ANOTHER)
    assert pool_of(store).free_bits == 0
    add_ready(store, 1, 4096)
    assert pool_of(store).free_bits > 0
    store.close()

    # A restored folder, and beside it, by hand, what opens the schema that is still there.
    home.rename(folder / "lost")
    restore(folder / "a.tar", state)
    with pytest.raises(KekRefused, match=r"key\.wrapped"):
        start(ANOTHER[::-1])
    for path in (folder / "lost").glob("ke*"):
        shutil.copy2(path, home / path.name)
    store = start(ANOTHER[::-1])
    assert pool_of(store).free_bits == 0
    assert [each.master for each in store.history().grants] == ["app-a"]
    store.close()


def test_a_store_in_the_folder_is_not_left_behind_for_one_on_a_server(
    server: Server, folder: Path
) -> None:
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(PREPLACED.reveal())
    open_store(folder / "node-b", Side.BOB, key).close()
    with pytest.raises(UsageError, match=r"expected no store .* got keys\.sqlite"):
        open_store(folder / "node-b", Side.BOB, None, url=server.url)


def test_a_password_in_the_settings_is_refused_and_not_told() -> None:
    with pytest.raises(ConfigError, match=r"store\.url: expected a URL without") as caught:
        load(overrides={"store": {"url": "postgresql://keys:hunter2@db/keys"}})
    assert "hunter2" not in str(caught.value)
