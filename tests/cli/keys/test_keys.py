"""`bellwire keys` over real mutual TLS, with certificates of our own authority."""

import json
import stat
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE_S
from tests.simulators.kme import Kme, Reply, VendorLink

from bellwire.cli import main
from bellwire.pki.authority import Authority, authority_folder
from bellwire.pki.tls import local_names

Run = Callable[..., tuple[int, str, str]]


@dataclass
class Sites:
    """Two key servers with certificates of their sites' authorities, each serving its own SAE."""

    state: Path
    certs: Path
    kmes: dict[str, Kme]

    def options(self, sae: str) -> list[str]:
        site = {"vpn-1": "a", "vpn-2": "b"}[sae]
        names = {"--cert": f"{sae}.crt", "--key": f"{sae}.key", "--ca": "ca.crt"}
        files = [
            each for name, file in names.items() for each in (name, str(self.certs / site / file))
        ]
        return ["--kme", self.kmes[site].url, *files]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: object) -> tuple[int, str, str]:
        code = main.run(["keys", *map(str, words)])
        return code, *capsys.readouterr()

    return command


@pytest.fixture
def sites(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    state, certs = tmp_path / "state", tmp_path / "certs"
    monkeypatch.setenv("BELLWIRE_STATE__DIR", str(state))
    link, kmes = VendorLink(), {}
    for site, sae, peer in (("a", "vpn-1", "b"), ("b", "vpn-2", "a")):
        code, _, said = run("ca", "issue", sae, "--site", site, "--out", certs / site)
        assert code == 0, said
        ours = Authority(authority_folder(state, site), site).kme(f"kme-{site}", local_names())
        kmes[site] = Kme(f"kme-{site}", f"kme-{peer}", link, (ours, ours), certs / site / "ca.crt")
        kmes[site].start()
    try:
        yield Sites(state, certs, kmes)
    finally:
        for each in kmes.values():
            each.stop()


def profile(run: Run, sites: Sites, site: str, sae: str, peer: str, *more: object) -> None:
    words = ["ca", "issue", sae, "--site", site, "--out", sites.certs / f"profile-{site}"]
    words += ["--profile", site, "--kme", sites.kmes[site].url, "--peer", peer, *more]
    code, _, said = run(*words)
    assert code == 0, said


# Keys


def test_what_one_site_gets_the_other_fetches_once(run: Run, sites: Sites) -> None:
    code, out, _ = run("get", *sites.options("vpn-1"), "--sae", "vpn-2", "--number", 2, "--json")
    drawn = json.loads(out)["keys"]
    assert code == 0
    assert [len(b64decode(each["key"])) for each in drawn] == [32, 32]
    ids = [each["key_ID"] for each in drawn]
    ask = ["fetch", *sites.options("vpn-2"), "--sae", "vpn-1", "--json", *ids]
    code, out, _ = run(*ask)
    assert (code, json.loads(out)["keys"]) == (0, drawn)
    code, out, said = run(*ask)
    assert (code, json.loads(out)["error"]["code"]) == (2, 2)
    assert "one or more keys specified are not found on KME" in said


def test_a_status_is_the_standards_document(run: Run, sites: Sites) -> None:
    code, out, _ = run("status", *sites.options("vpn-1"), "--sae", "vpn-2", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["source_KME_ID"], found["target_KME_ID"]) == ("kme-a", "kme-b")
    assert (found["master_SAE_ID"], found["slave_SAE_ID"]) == ("vpn-1", "vpn-2")
    assert found["stored_key_count"] == 10_000
    code, out, _ = run("status", *sites.options("vpn-1"), "--sae", "vpn-2")
    assert code == 0
    assert "stored_key_count     10000\n" in out


def test_size_and_number_reach_the_server(run: Run, sites: Sites) -> None:
    words = ["get", *sites.options("vpn-1"), "--sae", "vpn-2", "--size", 1024, "--number", 3]
    code, out, _ = run(*words)
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert [len(b64decode(key)) for _, key in lines] == [128] * 3
    run(*words, "--also", "vpn-3", "--also", "vpn-4")
    assert sites.kmes["a"].served[-1][2] == {
        "number": 3,
        "size": 1024,
        "additional_slave_SAE_IDs": ["vpn-3", "vpn-4"],
    }


def test_keys_may_go_to_a_file_of_their_owner_alone(run: Run, sites: Sites, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    words = ["get", *sites.options("vpn-1"), "--sae", "vpn-2", "--out", path]
    code, out, said = run(*words, "--json")
    (told,) = json.loads(out)["keys"]
    (kept,) = json.loads(path.read_text())["keys"]
    assert code == 0
    assert list(told) == ["key_ID"]
    assert told["key_ID"] == kept["key_ID"]
    assert kept["key"] not in out + said
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = len(sites.kmes["a"].served)
    for bad in (path, tmp_path / "no" / "folder"):
        assert run(*words[:-1], bad)[0] == 2
    assert len(sites.kmes["a"].served) == before  # no key was asked for that nobody could keep


# Exit codes


def refused(code: int, message: str) -> Callable[..., Reply]:
    return lambda handler, method, reply: (code, {"message": message})


@pytest.mark.parametrize(("answer", "exits"), [(400, 2), (401, 3), (503, 4), (500, 1)])
def test_each_refusal_of_the_server_has_its_exit_code(
    run: Run, sites: Sites, answer: int, exits: int
) -> None:
    sites.kmes["a"].fault = refused(answer, "no, because")
    words = ["get", *sites.options("vpn-1"), "--sae", "vpn-2", "--json"]
    code, out, said = run(*words)
    assert (code, json.loads(out)["error"]["code"]) == (exits, exits)
    assert "no, because" in said


def test_a_server_that_is_not_there_is_told_by_4(run: Run, sites: Sites) -> None:
    sites.kmes["a"].stop()
    for verb in (["get"], ["status"], ["fetch", "some-id"]):
        assert run(*verb, *sites.options("vpn-1"), "--sae", "vpn-2")[0] == 4


def test_a_certificate_that_either_end_refuses_is_told_by_3(run: Run, sites: Sites) -> None:
    ours = dict(zip(*[iter(sites.options("vpn-1"))] * 2, strict=True))
    theirs = dict(zip(*[iter(sites.options("vpn-2"))] * 2, strict=True))
    for changed in (
        {**ours, "--ca": theirs["--ca"]},  # whom we do not believe
        {**ours, "--cert": theirs["--cert"], "--key": theirs["--key"]},  # who does not believe us
    ):
        words = [word for pair in changed.items() for word in pair]
        assert run("get", *words, "--sae", "vpn-2")[0] == 3
    Path(ours["--key"]).chmod(0o644)
    assert run("get", *sites.options("vpn-1"), "--sae", "vpn-2")[0] == 3


@pytest.mark.parametrize(
    "words",
    [
        ["get"],
        ["get", "--number", "0"],
        ["get", "--size", "12"],
        ["get", "--number", "x"],
        ["get", "--sae", "a\nb"],
        ["fetch"],
        ["fetch", "same", "SAME"],
    ],
)
def test_what_cannot_be_asked_is_told_by_2_and_not_sent(
    run: Run, sites: Sites, words: list[str]
) -> None:
    more = [] if words == ["get"] else ["--sae", "vpn-2"] if "--sae" not in words else []
    assert run(*words, *sites.options("vpn-1"), *more)[0] == 2
    assert sites.kmes["a"].served == []


# Profiles


def test_the_only_profile_is_taken_and_several_are_chosen_by_name(run: Run, sites: Sites) -> None:
    code, _, said = run("get")
    assert code == 2
    assert "expected one profile" in said
    profile(run, sites, "a", "vpn-1", "vpn-2")
    code, out, _ = run("get", "--json")
    assert code == 0
    (drawn,) = json.loads(out)["keys"]
    profile(run, sites, "b", "vpn-2", "vpn-1")
    assert "got 2: a, b" in run("fetch", drawn["key_ID"])[2]
    code, out, _ = run("fetch", drawn["key_ID"], "--profile", "b", "--json")
    assert (code, json.loads(out)["keys"]) == (0, [drawn])
    code, out, _ = run("status", "--profile", "a", "--sae", "another", "--json")
    assert json.loads(out)["slave_SAE_ID"] == "another"
    assert "There are: a, b." in run("status", "--profile", "c")[2]


def test_options_take_the_place_of_a_profile_s_values_and_half_of_them_are_refused(
    run: Run, sites: Sites
) -> None:
    profile(run, sites, "a", "vpn-1", "vpn-2")
    kme = ["--kme", sites.kmes["b"].url]
    code, _, said = run("status", *kme)
    assert code == 2
    assert "--cert, --key, --ca as well" in said
    assert run("status", *kme, "--profile", "a")[0] == 3  # site b does not know site a's SAEs


def test_a_profile_is_refused_before_anything_is_issued(run: Run, sites: Sites) -> None:
    words = ["ca", "issue", "vpn-9", "--site", "a", "--out", sites.certs]
    for more in (
        ["--profile", "../up"],
        ["--profile", "p", "--kme", "http://127.0.0.1"],
        ["--profile", "p", "--peer", ".."],
        ["--peer", "vpn-2"],
    ):
        assert run(*words, *more)[0] == 2
    assert [each["name"] for each in certificates(run, "a")] == ["vpn-1", "kme-a"]


# Certificates


def certificates(run: Run, site: str) -> list[dict[str, Any]]:
    code, out, _ = run("ca", "list", "--site", site, "--json")
    assert code == 0
    found: list[dict[str, Any]] = json.loads(out)["certificates"]
    return found


def test_files_of_an_sae_are_whole_private_and_never_written_over(run: Run, sites: Sites) -> None:
    folder = sites.certs / "a"
    assert stat.S_IMODE((folder / "vpn-1.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = (folder / "vpn-1.key").read_bytes()
    code, _, said = run("ca", "issue", "vpn-1", "--site", "a", "--out", folder)
    assert code == 2
    assert "keys ca rotate" in said
    assert (folder / "vpn-1.key").read_bytes() == before
    assert [each["name"] for each in certificates(run, "a")] == ["vpn-1", "kme-a"]


def test_any_id_has_files_of_its_own_in_the_folder(run: Run, sites: Sites) -> None:
    ids = ["ca", "CA", "../../up", "a/b", ".hidden", "%2F", "x" * 256, "Zoë & co", "-v"]
    folder = sites.certs / "many"
    for sae in ids:
        words = ["ca", "issue", "--site", "a", "--out", folder, "--json", "--", sae]
        code, out, said = run(*words)
        assert code == 0, said
        assert json.loads(out)["sae"] == sae
    assert len(list(folder.iterdir())) == 2 * len(ids) + 1
    assert len(list(sites.certs.iterdir())) == 3


def test_a_rotated_certificate_has_a_new_key_and_the_old_one_goes_on_until_it_is_revoked(
    run: Run, sites: Sites
) -> None:
    folder = sites.certs / "a"
    before = (folder / "vpn-1.key").read_bytes()
    ask = ["ca", "rotate", "vpn-1", "--site", "a", "--out", folder, "--json"]
    assert run(*ask)[0] == 0
    assert (folder / "vpn-1.key").read_bytes() != before
    states = [each["state"] for each in certificates(run, "a") if each["kind"] == "sae"]
    assert states == ["valid", "valid"]
    code, out, _ = run(*ask, "--revoke-old")
    assert (code, len(json.loads(out)["revoked"])) == (0, 2)
    states = [each["state"] for each in certificates(run, "a") if each["kind"] == "sae"]
    assert states == ["revoked", "revoked", "valid"]
    assert run("get", *sites.options("vpn-1"), "--sae", "vpn-2")[0] == 0


def test_old_and_new_certificates_are_good_on_both_sides_of_a_new_authority(
    run: Run, sites: Sites
) -> None:
    code, out, _ = run("ca", "rotate", "--authority", "--site", "a", "--json")
    assert code == 0
    assert json.loads(out)["others_end"].endswith("Z")
    assert run("get", *sites.options("vpn-1"), "--sae", "vpn-2")[0] == 0
    assert run("ca", "rotate", "vpn-1", "--site", "a", "--out", sites.certs / "a")[0] == 0
    assert (sites.certs / "a" / "ca.crt").read_text().count("BEGIN") == 2
    assert run("get", *sites.options("vpn-1"), "--sae", "vpn-2")[0] == 0


def test_two_sites_may_share_a_folder_whose_ca_crt_then_has_both(run: Run, sites: Sites) -> None:
    folder = sites.certs / "both"
    for sae, site in (("one", "a"), ("two", "b"), ("three", "a")):
        assert run("ca", "issue", sae, "--site", site, "--out", folder)[0] == 0
    assert (folder / "ca.crt").read_text().count("BEGIN") == 2


def test_certificates_are_revoked_by_id_or_by_number(run: Run, sites: Sites) -> None:
    run("ca", "rotate", "vpn-1", "--site", "a", "--out", sites.certs / "a")
    serial = certificates(run, "a")[0]["serial"]
    code, out, _ = run("ca", "revoke", "--serial", serial, "--site", "a", "--json")
    assert [each["serial"] for each in json.loads(out)["revoked"]] == [serial]
    code, out, _ = run("ca", "revoke", "vpn-1", "--site", "a")
    assert code == 0
    assert out.startswith("revoked ")
    assert "revoked before" in run("ca", "revoke", "vpn-1", "--site", "a")[1]
    assert "revoked" in run("ca", "list", "--site", "a")[1]


@pytest.mark.parametrize(
    "words",
    [
        ["issue", "x", "--site", "c", "--out", "certs"],
        ["issue", "..", "--site", "a", "--out", "certs"],
        ["issue", "x", "--site", "a", "--out", "certs", "--days", "0"],
        ["issue", "x", "--site", "a", "--out", "certs", "--days", "nan"],
        ["rotate", "--site", "a"],
        ["rotate", "x", "--site", "a"],
        ["rotate", "x", "--authority", "--site", "a"],
        ["rotate", "nobody", "--site", "a", "--out", "certs"],
        ["revoke", "--site", "a"],
        ["revoke", "nobody", "--site", "a"],
        ["revoke", "vpn-1", "--serial", "1", "--site", "a"],
    ],
)
def test_what_no_authority_does_is_told_by_2(
    run: Run, sites: Sites, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("ca", *words)[0] == 2
    assert not (tmp_path / "certs" / "x.key").exists()


def test_a_certificate_that_could_not_be_written_is_revoked(run: Run, sites: Sites) -> None:
    folder = sites.certs / "else"
    (folder / "vpn-1.key").mkdir(parents=True)
    assert run("ca", "rotate", "vpn-1", "--site", "a", "--out", folder, "--revoke-old")[0] == 2
    states = [each["state"] for each in certificates(run, "a") if each["name"] == "vpn-1"]
    assert states == ["valid", "revoked"]


def test_a_ca_crt_that_is_none_is_left_as_it_is_and_nothing_is_issued(
    run: Run, sites: Sites
) -> None:
    folder = sites.certs / "else"
    folder.mkdir()
    (folder / "ca.crt").write_text("notes\n")
    assert run("ca", "issue", "vpn-9", "--site", "a", "--out", folder)[0] == 2
    assert [each.name for each in folder.iterdir()] == ["ca.crt"]
    assert (folder / "ca.crt").read_text() == "notes\n"
    assert "vpn-9" not in {each["name"] for each in certificates(run, "a")}


def test_curl_gets_a_key_and_fetches_it_at_the_other_site(sites: Sites) -> None:
    """As docs/how-to/certificates.md shows it."""

    def curl(sae: str, path: str, *more: str) -> Any:
        site = {"vpn-1": "a", "vpn-2": "b"}[sae]
        folder = sites.certs / site
        line = ["curl", "-q", "--silent", "--show-error", "--fail", "--noproxy", "*"]
        line += ["--cert", f"{folder / sae}.crt", "--key", f"{folder / sae}.key"]
        line += ["--cacert", str(folder / "ca.crt"), *more, sites.kmes[site].url + path]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    status = curl("vpn-1", "/api/v1/keys/vpn-2/status")
    assert status["master_SAE_ID"] == "vpn-1"
    body = ["--json", '{"number": 1, "size": 256}']
    (drawn,) = curl("vpn-1", "/api/v1/keys/vpn-2/enc_keys", *body)["keys"]
    asked = json.dumps({"key_IDs": [{"key_ID": drawn["key_ID"]}]})
    (fetched,) = curl("vpn-2", "/api/v1/keys/vpn-1/dec_keys", "--json", asked)["keys"]
    assert fetched == drawn
