"""What an authority issues, replaces and revokes, and what is left of it after a crash."""

import multiprocessing
import os
import shutil
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.pki.conftest import Now

from bellwire.base.private import PathExposed, PathUnusable
from bellwire.pki import index as entries
from bellwire.pki.authority import Authority, authority_folder
from bellwire.pki.certificates import DAY_S, fingerprint
from bellwire.pki.errors import (
    AuthorityDamaged,
    AuthorityMissing,
    CertificateUnknown,
    LifetimeUnusable,
    NameUnusable,
)
from bellwire.pki.folder import index_file
from bellwire.pki.index import State
from bellwire.pki.names import check_id, common_names, file_stem, host_name, uris

OPENSSL = shutil.which("openssl") or ""


def certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(pem)[0]


def verify(folder: Path, leaf: bytes, trusted: bytes, purpose: str, at: float) -> str:
    """What openssl says of a certificate; the first of `leaf` is verified, the others may help."""
    folder.mkdir(exist_ok=True)
    for name, content in (("leaf", leaf), ("ca", trusted)):
        (folder / f"{name}.pem").write_bytes(content)
    line = [OPENSSL, "verify", "-x509_strict", "-purpose", purpose, "-attime", str(int(at))]
    line += ["-CAfile", str(folder / "ca.pem"), "-untrusted", str(folder / "leaf.pem")]
    done = subprocess.run(
        [*line, str(folder / "leaf.pem")], capture_output=True, text=True, check=False
    )
    return "OK" if done.returncode == 0 else done.stdout + done.stderr


# What is in a certificate


@pytest.mark.parametrize("name", ["vpn-1", "Straße/7 ?x=%41", "§" * 64, "x" * 256, "量" * 65])
def test_a_certificate_of_an_sae_passes_the_strict_checks_of_openssl(
    authority: Authority, now: Now, tmp_path: Path, name: str
) -> None:
    issue = authority.issue(name)
    assert verify(tmp_path / "v", issue.certificate, issue.authorities, "sslclient", now()) == "OK"
    refusal = verify(tmp_path / "v", issue.certificate, issue.authorities, "sslserver", now())
    assert "purpose" in refusal


def test_an_id_of_up_to_64_characters_is_the_common_name(authority: Authority) -> None:
    for name in ("vpn-1", "量" * 64):
        found = certificate(authority.issue(name).certificate)
        assert common_names(found) == [name]
        assert uris(found) == []


def test_a_longer_id_is_a_uri_and_no_common_name_is_cut_short(authority: Authority) -> None:
    name = "ä" * 65
    found = certificate(authority.issue(name).certificate)
    assert common_names(found) == []
    assert uris(found) == ["urn:bellwire:id:" + "%C3%A4" * 65]


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "x" * 257, "a\x00", "\ud800"])
def test_an_id_that_no_request_could_name_gets_no_certificate(
    authority: Authority, name: str
) -> None:
    with pytest.raises(NameUnusable, match="1 to 256 printable"):
        authority.issue(name)
    assert authority.certificates() == []


def test_a_client_s_certificate_is_for_clients_alone(authority: Authority, now: Now) -> None:
    issue = authority.issue("vpn", days=10)
    found = certificate(issue.certificate)
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert issue.record.issued.not_after == int(now()) + 10 * DAY_S
    assert found.not_valid_after_utc.timestamp() == issue.record.issued.not_after
    key = serialization.load_pem_private_key(issue.key.reveal(), None)
    assert key.public_key() == found.public_key()


@pytest.mark.parametrize("days", [0.0, -1.0, 3651.0, float("nan")])
def test_a_lifetime_out_of_range_is_refused(authority: Authority, days: float) -> None:
    with pytest.raises(LifetimeUnusable, match="days"):
        authority.issue("vpn", days=days)


def test_nothing_outlives_its_authority(authority: Authority, now: Now) -> None:
    now.days(20 * 365 - 100)
    with pytest.raises(LifetimeUnusable, match="at most 100 days"):
        authority.issue("vpn")
    assert authority.issue("vpn", days=99).record.state(now()) is State.VALID
    now.days(101)
    with pytest.raises(LifetimeUnusable, match="has ended"):
        authority.issue("vpn", days=1)
    authority.rotate()  # the way out, with nobody left to vouch
    assert authority.issue("vpn").record.state(now()) is State.VALID


def test_the_kme_s_certificate_names_every_host_and_is_a_server_s_and_a_client_s(
    authority: Authority, now: Now, tmp_path: Path
) -> None:
    path = authority.kme("kme-a", ["localhost", "127.0.0.1", "::1", "KME.Example", "büro.example"])
    content = path.read_bytes()
    names = certificate(content).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    dns = names.value.get_values_for_type(x509.DNSName)
    assert dns == ["localhost", "kme.example", "xn--bro-hoa.example"]
    addresses = [str(each) for each in names.value.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1"]
    assert common_names(certificate(content)) == ["kme-a"]
    for purpose in ("sslserver", "sslclient"):
        assert verify(tmp_path / "v", content, authority.trusted(), purpose, now()) == "OK"


@pytest.mark.parametrize(
    "host",
    ["", "a b", "-a", "a..b", "x" * 64, ".".join(["x" * 60] * 5), "https://kme", "1.2.3.4/8"],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(NameUnusable, match="host name"):
        host_name(host)


def test_the_kme_s_certificate_stays_until_the_last_third_of_its_life(
    authority: Authority, now: Now
) -> None:
    path = authority.kme("kme-a", ["localhost"])
    first = path.read_bytes()
    now.days(260)
    assert authority.kme("kme-a", ["localhost"]).read_bytes() == first
    now.days(6)
    second = authority.kme("kme-a", ["localhost"]).read_bytes()
    assert second != first
    assert authority.kme("kme-a", ["localhost", "::1"]).read_bytes() != second
    third = path.read_bytes()
    assert authority.kme("kme-a", ["::1"]).read_bytes() == third
    assert authority.kme("kme-b", ["::1"]).read_bytes() != third


def test_secrets_rest_in_files_of_their_owner_alone(authority: Authority) -> None:
    authority.kme("kme-a", ["localhost"])
    authority.rotate()
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700
    for path in authority.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_an_authority_open_to_others_signs_nothing(authority: Authority) -> None:
    authority.folder.chmod(0o750)
    with pytest.raises(PathExposed, match="0750"):
        authority.issue("vpn")
    authority.folder.chmod(0o700)
    (authority.folder / "authority-1.key").chmod(0o644)
    with pytest.raises(PathExposed, match="0644"):
        authority.issue("vpn")


@given(
    names=st.lists(st.text(min_size=1, max_size=40), min_size=2, max_size=2, unique=True)
    | st.sampled_from([["ca", "CA"], ["a/b", "a%2Fb"], ["x" * 200, "x" * 201], ["ca", "%63a"]])
)
def test_file_names_are_safe_and_differ_as_ids_do(names: list[str]) -> None:
    valid = [name for name in names if is_id(name)]
    stems = [file_stem(name) for name in valid]
    for stem in stems:
        assert stem.isascii()
        assert "/" not in stem
        assert stem[0] not in ".-"
        assert len(stem) <= 200
        assert stem.lower() != "ca"
    assert len(set(stems)) == len(valid)


def is_id(text: str) -> bool:
    try:
        check_id(text)
    except NameUnusable:
        return False
    return True


# Revoking and rotating


def test_a_second_certificate_leaves_the_first_as_it_is(authority: Authority, now: Now) -> None:
    authority.issue("vpn")
    second = authority.issue("vpn").record
    assert [each.state(now()) for each in authority.certificates()] == [State.VALID] * 2
    authority.issue("else")
    (gone,) = authority.revoke_older(second)
    assert gone.revoked_at == int(now())
    states = [each.state(now()) for each in authority.certificates()]
    assert states == [State.REVOKED, State.VALID, State.VALID]
    assert authority.revoke_older(second) == []


def test_all_certificates_of_an_sae_are_revoked_at_once(authority: Authority, now: Now) -> None:
    for name in ("vpn", "else", "vpn"):
        authority.issue(name)
    assert len(authority.revoke(name="vpn")) == 2
    assert authority.revoke(name="vpn") == []  # nothing was left to revoke
    states = {each.issued.name: each.state(now()) for each in authority.certificates()}
    assert states == {"vpn": State.REVOKED, "else": State.VALID}


def test_one_certificate_is_revoked_by_its_serial_number_as_openssl_prints_it(
    authority: Authority, now: Now
) -> None:
    serial = certificate(authority.issue("vpn").certificate).serial_number
    authority.issue("vpn")
    printed = f"{serial:040X}"
    colons = ":".join(printed[i : i + 2] for i in range(0, 40, 2))
    assert [each.issued.name for each in authority.revoke(serial=colons)] == ["vpn"]
    states = [each.state(now()) for each in authority.certificates()]
    assert states == [State.REVOKED, State.VALID]


@pytest.mark.parametrize("what", [{"name": "nobody"}, {"serial": "00"}, {"serial": "no"}, {}])
def test_what_was_never_issued_cannot_be_revoked(
    authority: Authority, what: dict[str, str]
) -> None:
    authority.issue("vpn")
    authority.kme("kme-a", ["localhost"])
    with pytest.raises(CertificateUnknown, match="expected the id of an SAE"):
        authority.revoke(**what)


def test_old_and_new_authority_are_believed_side_by_side_and_then_the_new_alone(
    authority: Authority, now: Now, tmp_path: Path
) -> None:
    old = authority.issue("vpn")
    ends = authority.rotate(overlap_days=30)
    new = authority.issue("vpn")
    folder = tmp_path / "v"
    assert verify(folder, old.certificate, new.authorities, "sslclient", now()) == "OK"
    assert verify(folder, new.certificate, new.authorities, "sslclient", now()) == "OK"
    # Whoever knows the old authority alone believes the new one's certificates, by its word.
    assert verify(folder, new.certificate, old.authorities, "sslclient", now()) == "OK"
    server = authority.kme("kme-a", ["localhost"]).read_bytes()
    assert verify(folder, server, old.authorities, "sslserver", now()) == "OK"
    assert authority.certificates()[0].state(ends) is State.VALID
    assert authority.certificates()[0].state(ends + 1) is State.ENDED
    now.days(31)
    assert authority.issue("vpn").authorities.count(b"BEGIN") == 1
    assert authority.kme("kme-a", ["localhost"]).read_bytes().count(b"BEGIN CERT") == 1


def test_an_authority_may_end_at_once(authority: Authority, now: Now) -> None:
    old = authority.issue("vpn")
    authority.rotate(overlap_days=0)
    assert authority.certificates()[0].state(now()) is State.ENDED
    assert fingerprint(certificate(authority.trusted())) != fingerprint(
        certificate(old.authorities)
    )
    assert not (authority.folder / "authority-1.key").exists()
    with pytest.raises(LifetimeUnusable, match="0 to 3650"):
        authority.rotate(overlap_days=-1)


def test_authorities_of_two_sites_have_different_names(tmp_path: Path) -> None:
    made = [Authority(authority_folder(tmp_path / name, "a"), "a") for name in ("x", "y")]
    assert all(each.create() for each in made)
    names = {certificate(each.trusted()).subject for each in made}
    assert len(names) == 2


# The index


def test_without_an_authority_nothing_is_issued_and_nothing_made(tmp_path: Path) -> None:
    absent = Authority(authority_folder(tmp_path, "a"), "a")
    for ask in (lambda: absent.issue("vpn"), absent.certificates, absent.trusted, absent.rotate):
        with pytest.raises(AuthorityMissing, match="authority of site a"):
            ask()
    assert list(tmp_path.iterdir()) == []


def test_a_second_creation_changes_nothing(authority: Authority) -> None:
    trusted = authority.trusted()
    assert not authority.create()
    assert authority.trusted() == trusted


def test_an_index_cut_anywhere_is_a_shorter_one_and_the_next_entry_mends_it(
    authority: Authority,
) -> None:
    for name in ("one", "two"):
        authority.issue(name)
    authority.revoke(name="one")
    path = index_file(authority.folder)
    whole = path.read_bytes()
    assert whole.count(b"\n") == 4
    for length in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:length])
        authorities, ended = 1, whole[:length].count(b"\n")
        assert len(authority.certificates()) == ended - authorities
        if length % 37 == 0:
            authority.issue("three")
            assert authority.certificates()[-1].issued.name == "three"


def test_an_index_that_somebody_else_wrote_is_refused(authority: Authority) -> None:
    authority.issue("vpn")
    path = index_file(authority.folder)
    whole = path.read_bytes()
    unknown = msgspec.json.encode(entries.Revoked("ab", 1)) + b"\n"
    for false in (b"{}\n", b"\xff\n", b"[" * 10_000 + b"\n", unknown, b'{"type":"else"}\n'):
        path.write_bytes(whole + false)
        with pytest.raises(AuthorityDamaged):
            authority.issue("vpn")


@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_a_full_disk_leaves_no_half_entry_and_no_certificate(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    authority.issue("one")
    path = index_file(authority.folder)
    before = path.read_bytes()

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if fails == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(entries, "_write", fail)
        with pytest.raises(PathUnusable, match="No space left"):
            authority.issue("two")
    assert path.read_bytes() == before
    authority.issue("two")


def test_an_authority_without_its_key_says_so(authority: Authority) -> None:
    key = authority.folder / "authority-1.key"
    other = authority.issue("vpn").key.reveal()
    for content in (b"", b"garbage", other):
        key.write_bytes(content)
        with pytest.raises(AuthorityDamaged, match="key"):
            authority.issue("vpn")
    key.unlink()
    with pytest.raises(AuthorityDamaged, match="private key"):
        authority.issue("vpn")
    authority.rotate(overlap_days=0)  # needs no word of the old one
    authority.issue("vpn")


def test_two_who_use_one_authority_see_what_the_other_does(authority: Authority, now: Now) -> None:
    other = Authority(authority.folder, "a", now)
    for turn, (one, two) in enumerate([(authority, other), (other, authority)] * 2):
        one.issue(f"sae-{turn}")
        one.rotate(overlap_days=10)
        two.issue(f"sae-{turn}")
        two.revoke(name=f"sae-{turn}")
        one.issue(f"sae-{turn}")
        assert one.certificates() == two.certificates()
        assert one.trusted() == two.trusted()
    path = index_file(authority.folder)
    fresh = Authority(authority.folder, "a", now)
    assert fresh.certificates() == authority.certificates()
    shorter = path.read_bytes().splitlines(keepends=True)[:-1]
    path.write_bytes(b"".join(shorter))  # an older copy was brought back
    assert authority.certificates() == fresh.certificates() == other.certificates()
    assert len(fresh.certificates()) == 11


def issue_some(folder: Path, mark: int) -> None:
    for each in range(5):
        Authority(folder, "a").issue(f"sae-{mark}-{each}")


def test_many_processes_issue_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = authority_folder(tmp_path, "a")
    Authority(folder, "a").create()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=issue_some, args=(folder, mark)) for mark in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(60)
        assert each.exitcode == 0
    names = {each.issued.name for each in Authority(folder, "a").certificates()}
    assert names == {f"sae-{mark}-{each}" for mark in range(3) for each in range(5)}


def test_the_subject_is_utf_8_and_nothing_else(authority: Authority) -> None:
    found = certificate(authority.issue("Zoë").certificate)
    (attribute,) = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert found.subject.public_bytes().endswith(b"\x0c\x04" + "Zoë".encode())
    assert attribute.value == "Zoë"
