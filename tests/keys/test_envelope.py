"""The envelope of a store: whatever happens, what is there opens, and with the first data key."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from tests.crashes import Crash, Steps, mortal
from tests.crypto.kek.conftest import KINDS, PASSPHRASE, Hsm, own, passphrase
from tests.crypto.kek.conftest import hsm as hsm  # noqa: PLC0414 - a fixture
from tests.crypto.kek.conftest import make_source as make_source  # noqa: PLC0414 - a fixture
from tests.crypto.kek.conftest import memory_keyring as memory_keyring  # noqa: PLC0414 - a fixture
from tests.keys.stores import KEK, PREPLACED

from bellwire.base.detections import Side
from bellwire.base.private import PathExposed, PathUnusable
from bellwire.base.secret import Secret
from bellwire.crypto.kek.envelope import Envelope
from bellwire.crypto.kek.errors import KekRefused
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.crypto.kek.record import Kek, Kind, PassphraseKek
from bellwire.crypto.kek.source import KekSource
from bellwire.keys.errors import StoreRefused
from bellwire.keys.sealing import STORE_KEY
from bellwire.keys.store import KeyStore
from bellwire.node.assemble import open_store

MakeSource = Callable[[str], KekSource]


@pytest.fixture
def home(folder: Path) -> Path:
    return folder / "node-a"


def begin(home: Path, source: KekSource) -> Secret:
    envelope = Envelope(home, source, STORE_KEY)
    data_key = envelope.unlock(fresh=True)
    envelope.settle(data_key)
    return data_key


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_key_is_made_once_and_comes_back(
    kind: str, home: Path, make_source: MakeSource
) -> None:
    data_key = begin(home, make_source(kind))
    assert len(data_key) == 32
    assert [path.name for path in home.iterdir()] == ["key.wrapped"]
    assert (home / "key.wrapped").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    before = content(home)
    assert Envelope(home, make_source(kind), STORE_KEY).unlock(fresh=False) == data_key
    assert begin(home, make_source(kind)) == data_key
    assert content(home) == before


def test_of_several_that_begin_at_once_all_get_the_same_key(home: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: begin(home, KeyFiles(home)), range(8)))
    assert all(key == keys[0] for key in keys)
    assert len(list(home.iterdir())) == 2


def test_a_store_whose_wrapped_key_is_missing_is_refused_and_gets_no_new_one(home: Path) -> None:
    open_store(home, Side.ALICE, own_key(home))
    (home / "key.wrapped").rename(home / "away")
    before = content(home)
    with pytest.raises(KekRefused, match=r"key\.wrapped, got no file"):
        open_store(home, Side.ALICE, None)
    assert content(home) == before


def own_key(home: Path) -> Path:
    home.mkdir(mode=0o700)
    path = own(home.parent / "authentication.key", "")
    path.write_bytes(PREPLACED.reveal())
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_record_that_others_may_read_is_refused(home: Path, mode: int) -> None:
    begin(home, KeyFiles(home))
    (home / "key.wrapped").chmod(mode)
    with pytest.raises(PathExposed, match=f"got {mode:04o}"):
        Envelope(home, KeyFiles(home), STORE_KEY).unlock(fresh=False)


def test_a_full_disk_leaves_no_half_a_record(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    home.mkdir(mode=0o700)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PathUnusable, match="No space left"):
        Envelope(home, KeyFiles(home), STORE_KEY).unlock(fresh=True)
    assert list(home.iterdir()) == []


# Wrong secrets


def test_with_a_wrong_secret_or_a_changed_record_the_store_is_not_touched(
    home: Path, folder: Path, hsm: Hsm
) -> None:
    hsm.add("other")
    cases: list[tuple[KekSource, list[KekSource]]] = [
        (passphrase(folder), [passphrase(folder, PASSPHRASE + "!"), KeyFiles(folder / "no")]),
        (hsm.source(), [hsm.source("other"), hsm.source(pin="0000-0000"), passphrase(folder)]),
        (KeyFiles(folder / "keys"), [KeyFiles(folder / "others")]),
    ]
    for number, (right, wrongs) in enumerate(cases):
        place = home / str(number)
        store = open_store(place, Side.ALICE, None, signed=True, kek=right)
        store.close()
        before = content(place)
        for wrong in wrongs:
            with pytest.raises(KekRefused):
                open_store(place, Side.ALICE, None, signed=True, kek=wrong)
            assert content(place) == before
        record = place / "key.wrapped"
        for at in range(0, len(before["key.wrapped"]), 13):
            spoilt = bytearray(before["key.wrapped"])
            spoilt[at] ^= 1
            record.write_bytes(spoilt)
            with pytest.raises(KekRefused):
                open_store(place, Side.ALICE, None, signed=True, kek=right)
        record.write_bytes(before["key.wrapped"])
        assert content(place) == before
        open_store(place, Side.ALICE, None, signed=True, kek=right).close()


def test_the_record_of_another_store_opens_none(home: Path, folder: Path) -> None:
    source = KeyFiles(folder / "keys")
    for name in ("one", "two"):
        open_store(home / name, Side.ALICE, None, signed=True, kek=source).close()
    (home / "one" / "key.wrapped").replace(home / "two" / "key.wrapped")
    with pytest.raises(StoreRefused, match="the data key that this store was made with"):
        open_store(home / "two", Side.ALICE, None, signed=True, kek=source)


# Stores of earlier versions, whose data key lies bare


def bare_store(home: Path) -> None:
    """A store and its `kek`, as versions before the envelope left them."""
    home.mkdir(mode=0o700)
    own(home / "kek", "")
    (home / "kek").write_bytes(KEK.reveal())
    store = KeyStore.open(home / "keys.sqlite", KEK, Side.ALICE)
    store.install_preplaced(PREPLACED)
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_bare_data_key_is_wrapped_at_the_next_start_by_any_source(
    kind: str, home: Path, make_source: MakeSource
) -> None:
    bare_store(home)
    for _ in range(2):
        store = open_store(home, Side.ALICE, None, kek=make_source(kind))
        assert store.has_preplaced()
        store.close()
    assert not (home / "kek").exists()
    assert not [name for name, data in content(home.parent).items() if KEK.reveal() in data]
    assert Envelope(home, make_source(kind), STORE_KEY).unlock(fresh=False) == KEK


def test_a_bare_key_that_is_not_the_stores_is_neither_wrapped_nor_destroyed(home: Path) -> None:
    bare_store(home)
    (home / "kek").write_bytes(bytes(32))
    before = content(home)
    with pytest.raises(StoreRefused, match="the data key that this store was made with"):
        open_store(home, Side.ALICE, None)
    assert content(home) == before
    (home / "kek").write_bytes(KEK.reveal())
    open_store(home, Side.ALICE, None).close()
    own(home / "kek", "x" * 32)
    open_store(home, Side.ALICE, None).close()
    assert (home / "kek").read_bytes() == b"x" * 32


@pytest.mark.parametrize("size", [0, 31, 33, 1000])
def test_a_bare_key_of_another_size_is_refused(home: Path, size: int) -> None:
    home.mkdir(mode=0o700)
    own(home / "kek", "x" * size)
    with pytest.raises(KekRefused, match="of 32 bytes"):
        Envelope(home, KeyFiles(home), STORE_KEY).unlock(fresh=False)


# Crashes


class Mortal:
    """A source in a process that may die before and after each of its actions."""

    def __init__(self, source: KekSource, steps: Steps) -> None:
        self.source = source
        self.setting = source.setting
        self.kind: Kind = source.kind
        self.new: Callable[[], tuple[Secret, Kek]] = steps.around(source.new)
        self.recover: Callable[[Kek], Secret] = steps.around(source.recover)
        self.retire: Callable[[str], None] = steps.around(source.retire)


def ends(home: Path, old: KekSource, new: KekSource) -> Secret:
    """Rotate, or finish a rotation that a crash interrupted, as `rotate_kek` does."""
    envelope = Envelope(home, old, STORE_KEY)
    record = envelope.record()
    if record is not None and record.replaces is not None and old.kind != new.kind:
        finishing = Envelope(home, new, STORE_KEY)
        data_key = finishing.unlock(fresh=False)
        finishing.settle(data_key, old)
        return data_key
    data_key = envelope.unlock(fresh=False)
    envelope.settle(data_key)
    envelope.rotate(data_key, new)
    return data_key


def opens(home: Path, source: KekSource, data_key: Secret) -> bool:
    try:
        return Envelope(home, source, STORE_KEY).unlock(fresh=False) == data_key
    except KekRefused:
        return False


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_a_rotation_keeps_the_data_key_and_destroys_the_old_one(
    of: str, to: str, home: Path, make_source: MakeSource
) -> None:
    old, new = make_source(of), make_source(to)
    data_key = begin(home, old)
    before = Envelope(home, old, STORE_KEY).record()
    assert ends(home, old, new) == data_key
    after = Envelope(home, new, STORE_KEY).record()
    assert before is not None
    assert after is not None
    assert (after.kek == before.kek, after.replaces) == (False, None)
    assert opens(home, new, data_key)
    assert opens(home, old, data_key) == (of == to)
    if not isinstance(before.kek, PassphraseKek):
        with pytest.raises(KekRefused):
            old.recover(before.kek)


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_a_crash_at_any_step_of_a_rotation_leaves_what_opens_and_can_be_finished(
    of: str, to: str, folder: Path, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make_source(of), make_source(to)
    seen = set()
    for last in count():
        home = folder / f"node-{last}"
        data_key = begin(home, old)
        first = Envelope(home, old, STORE_KEY).record()
        assert first is not None
        died = False
        with mortal(last, monkeypatch) as steps:
            try:
                ends(home, Mortal(old, steps), Mortal(new, steps))
            except Crash:
                died = True
        state = (opens(home, old, data_key), opens(home, new, data_key))
        assert True in state, last
        seen.add(state)
        record = Envelope(home, old, STORE_KEY).record()
        assert record is not None
        if record.kek == first.kek or record.replaces is not None:
            assert ends(home, old, new) == data_key
        assert opens(home, new, data_key)
        record = Envelope(home, new, STORE_KEY).record()
        assert record is not None
        assert record.replaces is None
        if not isinstance(first.kek, PassphraseKek):
            with pytest.raises(KekRefused):
                old.recover(first.kek)
        if not died:
            break
    assert last > 10
    assert of == to or seen == {(True, False), (False, True)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_at_any_step_of_the_first_start_or_of_wrapping_a_bare_key_loses_nothing(
    kind: str, folder: Path, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source(kind)

    def start(home: Path, source: KekSource) -> None:
        envelope = Envelope(home, source, STORE_KEY)
        envelope.settle(envelope.unlock(fresh=not (home / "kek").exists()))

    for bare in (False, True):
        for last in count():
            home = folder / f"{bare}-{last}"
            home.mkdir(mode=0o700)
            if bare:
                own(home / "kek", "x" * 32)
            died = False
            with mortal(last, monkeypatch) as steps:
                try:
                    start(home, Mortal(source, steps))
                except Crash:
                    died = True
            data_key = begin(home, source)
            assert not bare or data_key == Secret(b"x" * 32)
            assert not (home / "kek").exists()
            assert opens(home, source, data_key)
            if not died:
                break
        assert last > 5
