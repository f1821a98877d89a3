"""Files of earlier versions go on: what was said, what waits, sessions and pads."""

import sqlite3
import zipfile
from pathlib import Path

import pytest
from tests.chat.store.people import Two, open_person

from bellwire.chat.errors import StoreCorrupt
from bellwire.chat.store.person import Person
from bellwire.chat.store.schema import SCHEMAS

OLD = Path(__file__).parent / "old"


def unpacked(version: int, folder: Path) -> Path:
    """Stores as that version left them."""
    with zipfile.ZipFile(OLD / f"version-{version}.zip") as kept:
        kept.extractall(folder)
    for each in folder.rglob("*"):
        each.chmod(0o700 if each.is_dir() else 0o600)
    folder.chmod(0o700)
    return folder


def go_on(folder: Path) -> Two:
    two = Two.__new__(Two)
    two.folders = {"alice": folder / "alice", "bob": folder / "bob"}
    two.people = {name: open_person(place) for name, place in two.folders.items()}
    two.ids = {name: each.identity.public.fingerprint for name, each in two.people.items()}
    return two


def version_of(folder: Path) -> int:
    with sqlite3.connect(folder / "chat.sqlite") as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


@pytest.mark.parametrize("version", [1, 2, 5])
def test_a_store_of_an_earlier_version_goes_on_where_it_was(tmp_path: Path, version: int) -> None:
    folder = unpacked(version, tmp_path / "old")
    assert version_of(folder / "alice") == version
    two = go_on(folder)
    two.say("bob", "meanwhile")
    two.settle()
    assert two.texts("bob") == [f"kept since version {version}", "not carried yet"]
    assert two.texts("alice") == ["and answered", "meanwhile"]
    assert all(each.protection.is_one_time for each in two.bob.entries() if not each.ours)
    if version >= 2:
        with two.alice.working() as work:
            waits = work.waiting.first(two.ids["bob"])
        assert waits is not None
        assert waits.text == b"waits"
        two.alice.seal(two.ids["bob"], waits)
        two.settle()
        assert two.texts("bob")[-1] == "waits"
    two.close()
    assert version_of(folder / "alice") == len(SCHEMAS)


def test_a_store_of_a_later_version_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "alice"
    open_person(folder).close()
    with sqlite3.connect(folder / "chat.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {len(SCHEMAS) + 1}")
    connection.close()
    before = (folder / "chat.sqlite").read_bytes()
    with pytest.raises(StoreCorrupt, match=f"version {len(SCHEMAS)} or below"):
        open_person(folder)
    assert (folder / "chat.sqlite").read_bytes() == before


def tables_of(person: Person) -> dict[str, set[str]]:
    with person.working() as work:
        names = work.cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: {row[1] for row in work.cursor.execute(f"PRAGMA table_info({name})")}
            for (name,) in names.fetchall()
        }


@pytest.mark.parametrize("version", [1, 2, 5])
def test_an_old_store_has_the_tables_of_a_new_one(tmp_path: Path, version: int) -> None:
    folder = unpacked(version, tmp_path / "old")
    with open_person(folder / "alice") as old, open_person(tmp_path / "new") as new:
        assert tables_of(old) == tables_of(new)
