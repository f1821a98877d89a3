"""Who gets in by TLS, and whose certificate it is: good, expired, revoked, foreign, a server's."""

import datetime
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.pki.conftest import Now
from tests.pki.handshakes import client_of, only, shake

from bellwire.base.secret import Secret
from bellwire.pki import registry as polling
from bellwire.pki.authority import Authority, Issue, authority_folder
from bellwire.pki.certificates import (
    DAY_S,
    Signer,
    certify_sae,
    key_pem,
    new_authority,
    new_key,
    pem,
)
from bellwire.pki.errors import AuthorityDamaged, AuthorityMissing, AuthorityUnusable, NameUnusable
from bellwire.pki.folder import index_file
from bellwire.pki.registry import OperatorAuthority, Registry
from bellwire.pki.tls import KmeTls, client_context, local_names, server_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def site(tmp_path: Path) -> Authority:
    """An authority of today: OpenSSL has no clock but the system's."""
    made = Authority(authority_folder(tmp_path / "state", "a"), "a")
    made.create()
    return made


@pytest.fixture(autouse=True)
def always_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "POLL_S", 0.0)


def der(issue: Issue | bytes) -> bytes:
    content = issue if isinstance(issue, bytes) else issue.certificate
    found = x509.load_pem_x509_certificates(content)[0]
    return found.public_bytes(serialization.Encoding.DER)


def context_of(folder: Path, issue: Issue) -> ssl.SSLContext:
    return client_of(folder, issue.certificate, issue.key, issue.authorities)


# Handshakes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["vpn", "量" * 64, "long " * 40])
def test_an_sae_and_its_kme_meet_and_the_kme_knows_who_it_is(
    site: Authority, tmp_path: Path, version: ssl.TLSVersion, name: str
) -> None:
    kme = KmeTls(site, "kme-a", ["kme.example"])
    client = only(context_of(tmp_path / "sae", site.issue(name)), [version])
    registry = Registry(site.folder)
    for host in ("localhost", "127.0.0.1", "::1", "kme.example"):
        assert registry.identify(shake(kme.server, client, host)) == name


def test_a_client_without_a_certificate_is_not_let_in(site: Authority) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=site.trusted().decode())
    with pytest.raises(ssl.SSLError, match=r"(?i)peer did not return a certificate"):
        shake(KmeTls(site, "kme-a").server, client)


def test_old_versions_of_tls_are_not_spoken(site: Authority, tmp_path: Path) -> None:
    client = context_of(tmp_path / "sae", site.issue("vpn"))
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        shake(KmeTls(site, "kme-a").server, client)


def test_another_name_of_the_host_is_not_believed(site: Authority, tmp_path: Path) -> None:
    client = context_of(tmp_path / "sae", site.issue("vpn"))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname mismatch"):
        shake(KmeTls(site, "kme-a").server, client, "kme.example")


def test_a_foreign_certificate_of_the_same_name_is_not_let_in(
    site: Authority, tmp_path: Path
) -> None:
    other = Authority(authority_folder(tmp_path / "other", "a"), "a")
    other.create()
    false = other.issue("vpn")
    client = client_of(tmp_path / "sae", false.certificate, false.key, site.trusted())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(KmeTls(site, "kme-a").server, client)
    site.issue("vpn")
    assert Registry(site.folder).identify(der(false)) is None


def test_an_expired_certificate_is_not_let_in(site: Authority, tmp_path: Path) -> None:
    long_ago = Authority(site.folder, "a", lambda: datetime.datetime.now().timestamp() - 7200)
    expired = long_ago.issue("vpn", days=1 / 24)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake(KmeTls(site, "kme-a").server, context_of(tmp_path / "sae", expired))
    assert Registry(site.folder).identify(der(expired)) is None


def test_a_certificate_for_servers_is_no_client_s(site: Authority, tmp_path: Path) -> None:
    """Signed by our own authority, as a slip of an operator with openssl could."""
    key_file = site.folder / "authority-1.key"
    signing = serialization.load_pem_private_key(key_file.read_bytes(), None)
    (authority,) = x509.load_pem_x509_certificates(site.trusted())
    good = site.issue("vpn")
    (leaf,) = x509.load_pem_x509_certificates(good.certificate)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = (
        x509.CertificateBuilder()
        .issuer_name(authority.subject)
        .subject_name(leaf.subject)
        .public_key(leaf.public_key())
        .serial_number(5)
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
        .add_extension(usage, critical=False)
    )
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    wrong = builder.sign(signing, hashes.SHA256())
    client = client_of(tmp_path / "sae", pem([wrong]), good.key, site.trusted())
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        shake(KmeTls(site, "kme-a").server, client)
    assert Registry(site.folder).identify(der(pem([wrong]))) is None


def test_kmes_meet_as_client_and_server_and_no_kme_is_an_sae(
    site: Authority, tmp_path: Path
) -> None:
    far = Authority(authority_folder(tmp_path / "far", "b"), "b")
    far.create()
    path = far.kme("kme-b", local_names())
    server = server_context(path, far.trusted() + site.trusted())
    client = client_context(site.kme("kme-a", local_names()), far.trusted())
    shown = shake(server, client)
    assert shown == der(site.kme("kme-a", local_names()).read_bytes())
    assert Registry(site.folder).identify(shown) is None


def test_a_kme_serves_clients_of_the_old_and_the_new_authority_without_a_restart(
    site: Authority, tmp_path: Path
) -> None:
    kme = KmeTls(site, "kme-a")
    old = context_of(tmp_path / "old", site.issue("vpn"))
    assert not kme.renew()
    site.rotate()
    new = context_of(tmp_path / "new", site.issue("vpn"))
    assert kme.renew()
    assert not kme.renew()
    registry = Registry(site.folder)
    for client in (old, new):
        assert registry.identify(shake(kme.server, client)) == "vpn"
    site.rotate(overlap_days=0)
    kme.renew()
    with pytest.raises(ssl.SSLCertVerificationError):  # it does not know the new authority
        shake(kme.server, old)


def test_files_that_are_no_identity_are_named(site: Authority, tmp_path: Path) -> None:
    bad = tmp_path / "kme.pem"
    bad.write_text("nothing")
    with pytest.raises(AuthorityDamaged, match=r"kme\.pem"):
        server_context(bad, site.trusted())
    with pytest.raises(AuthorityDamaged):
        server_context(site.kme("kme-a", ["localhost"]), b"")


# The registry


def test_what_is_issued_and_revoked_meanwhile_counts_without_a_restart(site: Authority) -> None:
    registry = Registry(site.folder)
    first = registry.version
    assert registry.saes() == frozenset()
    issue = site.issue("vpn")
    assert registry.version != first
    assert registry.serves("vpn")
    assert registry.identify(der(issue)) == "vpn"
    second = registry.version
    assert registry.version == second
    site.revoke(name="vpn")
    assert registry.version != second
    assert registry.identify(der(issue)) is None
    assert not registry.serves("vpn")


def test_an_sae_is_served_as_long_as_one_certificate_is_not_revoked(site: Authority) -> None:
    one, two = site.issue("vpn"), site.issue("vpn")
    site.revoke(serial=one.record.issued.serial)
    registry = Registry(site.folder)
    assert [registry.identify(der(each)) for each in (one, two)] == [None, "vpn"]
    assert registry.serves("vpn")


def test_time_alone_ends_what_was_believed_and_changes_the_version(
    authority: Authority, now: Now
) -> None:
    issue = authority.issue("vpn", days=10)
    registry = Registry(authority.folder, clock=now)
    assert registry.identify(der(issue)) == "vpn"
    before = registry.version
    now.days(9.99)
    assert registry.version == before
    now.days(0.02)
    assert registry.version != before
    assert registry.identify(der(issue)) is None
    assert registry.serves("vpn")  # it exists; it has to come with a new one
    after = registry.version
    now.days(-11)
    assert registry.identify(der(issue)) is None  # a clock that was set back before its beginning
    assert registry.version == after


def test_trust_in_an_old_authority_ends_by_itself(authority: Authority, now: Now) -> None:
    old = authority.issue("vpn")
    authority.issue("else")
    registry = Registry(authority.folder, clock=now)
    authority.rotate(overlap_days=2)
    new = authority.issue("vpn")
    assert registry.identify(der(old)) == registry.identify(der(new)) == "vpn"
    before = registry.version
    now.days(2.1)
    assert registry.version != before
    assert (registry.identify(der(old)), registry.identify(der(new))) == (None, "vpn")


def test_a_site_without_an_authority_knows_nobody_until_it_has_one(tmp_path: Path) -> None:
    site = Authority(authority_folder(tmp_path, "a"), "a")
    registry = Registry(site.folder)
    assert isinstance(registry.fault, AuthorityMissing)
    assert registry.identify(b"anything") is None
    site.create()
    issue = site.issue("vpn")
    assert registry.identify(der(issue)) == "vpn"
    assert registry.fault is None


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"\n") + 1])


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"spoilt\n")


@pytest.mark.parametrize("how", [spoil, Path.unlink, cut])
def test_an_index_that_is_spoilt_or_gone_makes_everybody_nobody(
    site: Authority, how: Callable[[Path], None]
) -> None:
    issue = site.issue("vpn")
    registry = Registry(site.folder)
    before = registry.version
    path = index_file(site.folder)
    whole = path.read_bytes()
    how(path)
    assert registry.version != before
    assert registry.identify(der(issue)) is None
    assert registry.saes() == frozenset()
    path.write_bytes(whole)
    assert registry.identify(der(issue)) == "vpn"


def test_bytes_that_are_no_certificate_are_nobody_s(site: Authority, tmp_path: Path) -> None:
    operator = operator_of(tmp_path, {"x"})[1]
    for registry in (Registry(site.folder), Registry(site.folder, [operator])):
        for false in (b"", b"\x30\x80", os.urandom(600), bytes(1 << 17)):
            assert registry.identify(false) is None


# Operators' own authorities


def operator_of(folder: Path, names: set[str], **more: bool) -> tuple[Signer, OperatorAuthority]:
    signer = new_authority("an operator's", int(datetime.datetime.now().timestamp()))
    file = folder / "operator.pem"
    file.write_bytes(pem([signer.certificate]))
    return signer, OperatorAuthority(file, frozenset(names), **more)


def signed(signer: Signer, name: str, *, days: float = 1) -> tuple[x509.Certificate, Secret]:
    now, key = int(datetime.datetime.now().timestamp()), new_key()
    until = now + round(days * DAY_S)
    made = certify_sae(signer, name, key.public_key(), now=min(now, until), not_after=until)
    return made, key_pem(key)


def test_an_operator_s_authority_vouches_for_the_names_it_is_allowed(
    site: Authority, tmp_path: Path
) -> None:
    signer, operator = operator_of(tmp_path, {"router-7", "量" * 64})
    kme = KmeTls(site, "kme-a", operators=[operator])
    registry = Registry(site.folder, [operator])
    assert registry.saes() == {"router-7", "量" * 64}
    for name, known in (("router-7", "router-7"), ("量" * 64, "量" * 64), ("router-8", None)):
        made, key = signed(signer, name)
        client = client_of(tmp_path / "sae", pem([made]), key, site.trusted())
        assert registry.identify(shake(kme.server, client)) == known
    site.rotate()
    kme.renew()
    made, key = signed(signer, "router-7")
    client = client_of(tmp_path / "sae", pem([made]), key, site.trusted())
    assert registry.identify(shake(kme.server, client)) == "router-7"


def test_an_operator_s_id_may_be_a_uri(site: Authority, tmp_path: Path) -> None:
    name = "router " * 20
    uri = "urn:bellwire:id:" + "router%20" * 20
    signer, operator = operator_of(tmp_path, {uri}, from_uri=True)
    made, _ = signed(signer, name)
    assert Registry(None, [operator]).identify(der(pem([made]))) == uri
    by_name = OperatorAuthority(operator.file, frozenset({uri, name}))
    assert Registry(None, [by_name]).identify(der(pem([made]))) is None


def test_an_operator_s_certificate_ends_as_ours_do(tmp_path: Path, now: Now) -> None:
    now.time = datetime.datetime.now().timestamp()
    signer, operator = operator_of(tmp_path, {"router"})
    made, _ = signed(signer, "router", days=1)
    registry = Registry(None, [operator], now)
    assert registry.identify(der(pem([made]))) == "router"
    before = registry.version
    now.days(1.01)
    assert registry.version != before
    assert registry.identify(der(pem([made]))) is None


def test_an_operator_s_certificate_of_an_authority_or_of_strangers_is_nobody_s(
    tmp_path: Path,
) -> None:
    signer, operator = operator_of(tmp_path, {"router"})
    stranger = new_authority("an operator's", int(datetime.datetime.now().timestamp()))
    registry = Registry(None, [operator])
    assert registry.identify(der(pem([signed(stranger, "router")[0]]))) is None
    assert registry.identify(der(pem([signer.certificate]))) is None


def test_more_certificates_than_are_remembered_are_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "MAX_CACHED", 2)
    signer, operator = operator_of(tmp_path, {"router"})
    registry = Registry(None, [operator])
    many = [der(pem([signed(signer, "router")[0]])) for _ in range(3)]
    for each in many * 2:
        assert registry.identify(each) == "router"


def test_a_file_that_is_no_authority_is_refused(site: Authority, tmp_path: Path) -> None:
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(site.issue("vpn").certificate)
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    for file in (leaf, empty, tmp_path / "absent.pem"):
        with pytest.raises(AuthorityUnusable, match=file.name):
            Registry(None, [OperatorAuthority(file, frozenset({"a"}))])
    with pytest.raises(NameUnusable):
        Registry(None, [OperatorAuthority(leaf, frozenset({"a\n"}))])
