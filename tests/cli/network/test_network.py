"""`bellwire network`: what it prints, and what it says of what does not fit."""

import json
from pathlib import Path

import pytest

from bellwire.cli.main import run

NODES = ["--node", "r=link/node-a"]


@pytest.fixture
def topology(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A line of three sites, and this one's state, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BELLWIRE_STATE__DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert run(["network", "identity", "--site", "a"]) == 0
    ours = capsys.readouterr().out.strip()
    assert len(bytes.fromhex(ours)) == 32
    lines = []
    for number, (name, identity) in enumerate([("a", ours), ("r", "1" * 64), ("c", "2" * 64)]):
        lines += [f'[sites.{name}]\nidentity = "{identity}"\naddress = "127.0.0.1:{8461 + number}"']
    lines += ['saes = ["app-c"]', '[[links]]\nbetween = ["a", "r"]']
    lines += ['[[links]]\nbetween = ["r", "c"]']
    path = tmp_path / "topology.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_identity_stays_and_is_one_json_document(
    topology: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for _ in range(2):
        assert run(["network", "identity", "--site", "a", "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1]
    assert told[0]["identity"] in topology.read_text()
    assert run(["network", "identity"]) == 2
    assert "network.site: expected a value" in capsys.readouterr().err
    assert run(["network", "identity", "--site", "a b"]) == 2


def test_check_says_who_could_know_keys(topology: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["network", "check", "--site", "a", "--topology", str(topology), *NODES]
    assert run(line) == 0
    told = capsys.readouterr().out
    assert "c, 1 SAEs: 2 hops, 1 disjoint routes; a key can be known to r" in told
    assert "r, 0 SAEs: a link of our own" in told
    assert run([*line, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["site"], document["sites"], document["links"]) == ("a", 3, 2)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--site", "a"], "link to r, got none"),
        (["--site", "z", *NODES], "expected a site of"),
        (["--site", "a", "--node", "r"], "--node: expected SITE=DIR"),
        (["--site", "a", *NODES, "--node", "c=x"], "got c"),
        (["--site", "r", "--node", "a=x", "--node", "c=x"], "expected this node's identity"),
    ],
)
def test_what_does_not_fit_is_named(
    topology: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    assert run(["network", "check", "--topology", str(topology), *more]) == 2
    assert told in capsys.readouterr().err


def test_another_identity_than_the_pinned_one_is_refused(
    topology: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topology.write_text(
        topology.read_text()
        .replace("[sites.r]", "[sites.a]", 1)
        .replace("[sites.a]", "[sites.r]", 1)
    )
    line = ["network", "check", "--site", "a", "--topology", str(topology), *NODES]
    assert run(line) == 2
    assert "expected this site's identity" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["show"], ["route", "c"], ["forget", "c"]])
def test_a_process_that_does_not_run_is_told_by_4(
    topology: Path, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    assert run(["network", *verb, "--site", "a"]) == 4
    assert "bellwire network run" in capsys.readouterr().err
    assert run(["network", *verb[:1], *(["a b"] if verb[1:] else []), "--site", "a/b"]) == 2


def test_certificates_are_for_sites_of_networks_that_have_their_state_here(
    topology: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["network", "identity", "--site", "berlin"]) == 0
    assert run(["keys", "ca", "issue", "app", "--site", "berlin", "--out", "certs"]) == 0
    assert (Path("certs") / "app.crt").exists()
    assert run(["keys", "ca", "issue", "app", "--site", "bonn", "--out", "certs"]) == 2
    assert run(["keys", "ca", "issue", "app", "--site", "../x", "--out", "certs"]) == 2
