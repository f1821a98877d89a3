"""What `up` makes before services start, and what it leaves alone."""

import stat
from pathlib import Path

import pytest

from bellwire.console.accounts import AccountBook, Accounts, Role, console_folder
from bellwire.etsi014.profile import find_profile, read_profile
from bellwire.node.settings import Settings, load
from bellwire.pki.authority import Authority, authority_folder
from bellwire.services import prepare as module
from bellwire.services.place import Place
from bellwire.services.prepare import prepare, write_profiles

KNOWN = {
    "node-a": {"kme": "https://0.0.0.0:8441"},
    "node-b": {"kme": "https://127.0.0.1:8442"},
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "up").mkdir(mode=0o700)
    return Place(tmp_path)


def settings(**sections: dict[str, object]) -> Settings:
    return load(None, sections)


def serials(place: Place, site: str, sae: str = "app") -> list[str]:
    found = Authority(authority_folder(place.state, site), site).certificates()
    return [each.issued.serial for each in found if each.issued.name == f"{sae}-{site}"]


def test_both_sites_get_the_same_key_that_only_their_owner_may_read(place: Place) -> None:
    assert prepare(settings(), place) == {}
    files = [place.authentication_key(site) for site in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in files)
    assert sorted(each.name for each in place.folder.iterdir()) == [each.name for each in files]


@pytest.mark.parametrize("site", ["a", "b"])
def test_a_node_that_has_a_store_never_gets_another_key(place: Place, site: str) -> None:
    (place.state / f"node-{site}").mkdir(mode=0o700)
    (place.state / f"node-{site}" / "keys.sqlite").touch(mode=0o600)
    prepare(settings(), place)
    assert not place.authentication_key("a").exists()
    assert not place.authentication_key("b").exists()


def test_both_sites_get_another_key_when_both_were_fenced_and_only_then(place: Place) -> None:
    folders = [place.state / f"node-{site}" for site in "ab"]
    for folder in folders:
        folder.mkdir(mode=0o700)
        (folder / "keys.sqlite").touch(mode=0o600)
    for folder in folders:
        prepare(settings(), place)
        assert not place.authentication_key("a").exists()
        (folder / "fenced").touch(mode=0o600)
    prepare(settings(), place)
    files = [place.authentication_key(site) for site in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    # One has taken its key in, the other not yet: what is there stays.
    (place.state / "node-a" / "fenced").unlink()
    content = files[1].read_bytes()
    prepare(settings(), place)
    assert files[1].read_bytes() == content


def test_signed_first_contact_takes_identities_in_the_place_of_a_key(place: Place) -> None:
    made = prepare(settings(first_contact={"method": "signed"}), place)
    assert set(made) == {"a", "b"}
    assert made["a"] != made["b"]
    assert all(len(each) == 64 for each in made.values())
    assert not place.authentication_key("a").exists()
    assert prepare(settings(first_contact={"method": "signed"}), place) == made


@pytest.mark.parametrize("sae", ["app", "console", "pages"])
def test_each_site_has_saes_that_are_made_once(place: Place, sae: str) -> None:
    prepare(settings(), place)
    before = {site: serials(place, site, sae) for site in "ab"}
    prepare(settings(), place)
    assert {site: serials(place, site, sae) for site in "ab"} == before
    assert [len(each) for each in before.values()] == [1, 1]


def test_each_site_has_an_operator_whose_token_only_its_owner_may_read(place: Place) -> None:
    prepare(settings(), place)
    tokens = [place.state / f"console-{site}" / "operator.token" for site in "ab"]
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in tokens)
    before = [each.read_text() for each in tokens]
    for site, token in zip("ab", before, strict=True):
        folder = console_folder(place.state, site)
        account = Accounts(folder, site).identify(token.strip())
        assert account is not None
        assert account.role is Role.OPERATOR
    prepare(settings(), place)
    assert [each.read_text() for each in tokens] == before


def test_a_site_that_has_accounts_gets_no_other_operator(place: Place) -> None:
    AccountBook(console_folder(place.state, "a")).add("alice", Role.MEMBER)
    prepare(settings(), place)
    assert [each.name for each in AccountBook(console_folder(place.state, "a")).all()] == ["alice"]
    assert not (place.state / "console-a" / "operator.token").exists()


def test_files_of_an_sae_that_were_lost_are_made_again(place: Place) -> None:
    prepare(settings(), place)
    (place.state / "saes" / "app-a" / "app-a.crt").unlink()
    prepare(settings(), place)
    assert (place.state / "saes" / "app-a" / "app-a.crt").exists()
    assert [len(serials(place, site)) for site in "ab"] == [2, 1]


def test_an_sae_that_is_about_to_expire_gets_a_new_certificate(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(settings(), place)
    monkeypatch.setattr(module, "RENEW_BEFORE_S", 366 * 86_400)
    prepare(settings(), place)
    assert [len(serials(place, site)) for site in "ab"] == [2, 2]


def test_an_sae_that_an_operator_revoked_stays_revoked(place: Place) -> None:
    prepare(settings(), place)
    Authority(authority_folder(place.state, "a"), "a").revoke(name="app-a")
    prepare(settings(), place)
    assert len(serials(place, "a")) == 1


def test_profiles_name_each_other_and_an_address_that_can_be_reached(place: Place) -> None:
    prepare(settings(), place)
    assert len(write_profiles(place, KNOWN)) == 2
    a, b = (read_profile(place.state, name) for name in ("app-a", "app-b"))
    assert (a.kme, a.sae, a.peer) == ("https://127.0.0.1:8441", "app-a", "app-b")
    assert (b.kme, b.sae, b.peer) == ("https://127.0.0.1:8442", "app-b", "app-a")
    assert find_profile(place.state, "app-b") == a
    assert find_profile(place.state, "app-a") == b


def test_profiles_that_say_so_already_are_left_alone(place: Place) -> None:
    prepare(settings(), place)
    write_profiles(place, KNOWN)
    assert write_profiles(place, KNOWN) == []
    moved = {**KNOWN, "node-a": {"kme": "https://127.0.0.1:9000"}}
    assert [each.name for each in write_profiles(place, moved)] == ["app-a.toml"]
    assert read_profile(place.state, "app-a").kme == "https://127.0.0.1:9000"


def test_a_site_without_a_kme_has_no_profile(place: Place) -> None:
    prepare(settings(), place)
    assert write_profiles(place, {"node-a": {}, "node-b": {}}) == []
