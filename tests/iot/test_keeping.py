"""Long-term keys at rest: plain or wrapped, and never lost on the way from one to the other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.crypto.kek.conftest import KINDS, PASSPHRASE, own, passphrase
from tests.crypto.kek.conftest import folder as folder  # noqa: PLC0414 - a fixture
from tests.crypto.kek.conftest import hsm as hsm  # noqa: PLC0414 - a fixture
from tests.crypto.kek.conftest import make_source as make_source  # noqa: PLC0414 - a fixture
from tests.crypto.kek.conftest import memory_keyring as memory_keyring  # noqa: PLC0414 - a fixture

from bellwire.base.private import PathExposed
from bellwire.base.secret import Secret
from bellwire.crypto.kek.errors import KekRefused, KekUnavailable, KekUnusable
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.crypto.kek.record import Kek, Kind
from bellwire.crypto.kek.source import KekSource
from bellwire.iot import authority, keeping
from bellwire.iot.authority import SEEDS
from bellwire.iot.identity import IDENTITY, SEED_FILE, load_or_create

MakeSource = Callable[[str], KekSource]


@pytest.fixture
def home(folder: Path) -> Path:
    return folder / "device"


def files(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()} - {keeping.LOCK_FILE}


def holds(place: Path, secret: bytes) -> bool:
    """Whether any file below has these bytes, plainly or in hexadecimal."""
    spelt = (secret, secret.hex().encode())
    found = [path.read_bytes() for path in place.rglob("*") if path.is_file()]
    return any(each in data for data in found for each in spelt)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_was_never_plain_comes_back_from_any_source(
    kind: str, home: Path, make_source: MakeSource
) -> None:
    made = load_or_create(home, make_source(kind), public_file="device.pub")
    assert files(home) == {"identity.wrapped"}
    assert (home / "identity.wrapped").stat().st_mode & 0o777 == 0o600
    again = load_or_create(home, make_source(kind), public_file="device.pub")
    assert again.public_bytes == made.public_bytes


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_key_is_wrapped_when_it_is_next_used_and_its_plain_file_goes(
    kind: str, home: Path, make_source: MakeSource
) -> None:
    plain = load_or_create(home)
    seed = (home / SEED_FILE).read_bytes()
    assert load_or_create(home, make_source(kind)).public_bytes == plain.public_bytes
    assert files(home) == {"identity.wrapped"}
    assert not holds(home, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_protecting_a_plain_key_keeps_it_and_doing_it_twice_is_harmless(
    kind: str, home: Path, make_source: MakeSource
) -> None:
    plain = load_or_create(home)
    for _ in range(2):
        assert keeping.protect(home, IDENTITY, None, make_source(kind)) is None
        assert load_or_create(home, make_source(kind)).public_bytes == plain.public_bytes
    assert keeping.show(home, IDENTITY)["source"] == kind


def test_a_protected_key_moves_from_source_to_source(
    home: Path, folder: Path, make_source: MakeSource
) -> None:
    plain = load_or_create(home)
    now: KekSource | None = None
    for kind in (*KINDS, "file"):
        then = make_source(kind)
        keeping.protect(home, IDENTITY, now, then)
        assert load_or_create(home, then).public_bytes == plain.public_bytes
        if now is not None:
            with pytest.raises(KekRefused, match=f"as identity.protection says, got one by {kind}"):
                load_or_create(home, now)
        now = then
    assert len(list((folder / "keys").iterdir())) == 1


def test_the_passphrase_can_be_changed_and_the_old_one_opens_no_longer(
    home: Path, folder: Path
) -> None:
    old, new = passphrase(folder), passphrase(folder, PASSPHRASE + ", changed")
    made = load_or_create(home, old)
    keeping.protect(home, IDENTITY, old, new)
    assert load_or_create(home, new).public_bytes == made.public_bytes
    with pytest.raises(KekRefused, match="belong together") as refused:
        load_or_create(home, old)
    assert refused.value.exit_code == 3
    assert PASSPHRASE not in f"{refused.value} {refused.value.hint}"


def test_a_wrong_passphrase_is_refused_and_changes_nothing(home: Path, folder: Path) -> None:
    load_or_create(home, passphrase(folder))
    before = (home / "identity.wrapped").read_bytes()
    wrong = passphrase(folder, "entirely different words")
    for attempt in (
        lambda: load_or_create(home, wrong),
        lambda: keeping.protect(home, IDENTITY, wrong, passphrase(folder)),
    ):
        with pytest.raises(KekRefused, match="belong together"):
            attempt()
        assert (home / "identity.wrapped").read_bytes() == before


def test_a_wrapped_key_is_not_taken_for_a_missing_one(home: Path, folder: Path) -> None:
    made = load_or_create(home, passphrase(folder))
    with pytest.raises(KekRefused, match="expected a plain identity key") as refused:
        load_or_create(home)
    assert "--key-protection" in str(refused.value.hint)
    assert files(home) == {"identity.wrapped"}
    assert load_or_create(home, passphrase(folder)).public_bytes == made.public_bytes


def test_a_wrapped_key_that_is_gone_is_not_replaced_by_another(home: Path, folder: Path) -> None:
    source = passphrase(folder)
    load_or_create(home, source)
    (home / "identity.wrapped").unlink()
    own(home / "device.pub", "{}")
    with pytest.raises(KekRefused, match=r"identity\.wrapped, got no file"):
        load_or_create(home, source, public_file="device.pub")
    assert files(home) == {"device.pub"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_wrapped_key_that_others_may_open_is_refused(mode: int, home: Path, folder: Path) -> None:
    load_or_create(home, passphrase(folder))
    (home / "identity.wrapped").chmod(mode)
    with pytest.raises(PathExposed, match=f"{mode:04o}"):
        load_or_create(home, passphrase(folder))


def test_nothing_can_be_protected_or_shown_where_there_is_no_key(home: Path, folder: Path) -> None:
    home.mkdir(mode=0o700)
    with pytest.raises(KekRefused, match="got none"):
        keeping.protect(home, IDENTITY, None, passphrase(folder))
    with pytest.raises(KekRefused, match="got none"):
        keeping.show(home, IDENTITY)
    assert files(home) == set()


@dataclass
class Unplugged:
    """A source whose token was taken out before the key it made could be destroyed."""

    source: KekSource

    @property
    def kind(self) -> Kind:
        return self.source.kind

    @property
    def setting(self) -> str:
        return self.source.setting

    def new(self) -> tuple[Secret, Kek]:
        return self.source.new()

    def recover(self, kek: Kek) -> Secret:
        return self.source.recover(kek)

    def retire(self, key: str) -> None:
        raise KekUnavailable("expected the token, got none")


@pytest.mark.parametrize("to", KINDS)
def test_a_change_that_was_interrupted_leaves_what_opens_and_is_finished_by_doing_it_again(
    to: str, home: Path, folder: Path, make_source: MakeSource
) -> None:
    old, new = KeyFiles(folder / "old", "file:old"), make_source(to)
    made = load_or_create(home, old)
    with pytest.raises(KekUnavailable):
        keeping.protect(home, IDENTITY, Unplugged(old), new)
    assert len(list((folder / "old").iterdir())) == 1
    assert load_or_create(home, new).public_bytes == made.public_bytes
    keeping.protect(home, IDENTITY, old, new)
    assert list((folder / "old").iterdir()) == []
    assert load_or_create(home, new).public_bytes == made.public_bytes
    assert keeping.show(home, IDENTITY)["replaces"] is None


@pytest.mark.parametrize("algorithms", ["both", "ed25519", "ml-dsa-65"])
def test_an_authoritys_seeds_are_wrapped_as_a_devices_key_is(
    algorithms: authority.Algorithms, folder: Path
) -> None:
    home, source = folder / "ca", passphrase(folder)
    made = authority.create(home, algorithms, source)
    assert "authority.seeds" not in files(home)
    assert authority.load(home, source).public == made.public
    with pytest.raises(KekRefused, match="expected a plain authority's seeds"):
        authority.load(home)
    with pytest.raises(KekRefused, match="wrapped by file, as identity"):
        authority.load(home, KeyFiles(folder / "keys"))


def test_a_plain_authority_can_be_protected_later(folder: Path) -> None:
    home, source = folder / "ca", passphrase(folder)
    made = authority.create(home, "both")
    keeping.protect(home, SEEDS, None, source)
    assert "authority.seeds" not in files(home)
    assert authority.load(home, source).public == made.public


def test_the_settings_say_plain_or_a_source_and_nothing_else(folder: Path) -> None:
    assert keeping.parse_protection("plain", folder) is None
    assert isinstance(keeping.parse_protection(f"file:{folder}/stick", folder), KeyFiles)
    with pytest.raises(KekUnusable, match="file alone"):
        keeping.parse_protection("file", folder)
    with pytest.raises(KekUnusable) as refused:
        keeping.parse_protection("hunter2", folder)
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"
