"""A node's store on a PostgreSQL server, as the settings say."""

from pathlib import Path

import pytest
from tests.keys.postgres.server import Server
from tests.keys.stores import PREPLACED, add_ready, pool_of, take

from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.keys.kek.errors import KekRefused
from bellwire.node.assemble import open_store
from bellwire.node.errors import ConfigError
from bellwire.node.kek import rotate_kek, show_kek
from bellwire.node.settings import load


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
