"""`bellwire relay --store --nats`: what it refuses, what it says, and what `doctor` finds."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.chat.relay.running import Process
from tests.keys.postgres.server import Server
from tests.network.conftest import NatsServer

from bellwire.cli import doctor
from bellwire.cli.doctor import Finding, Level
from bellwire.cli.main import run
from bellwire.node.settings import load

NOWHERE = "postgresql://keys@127.0.0.1:1/keys"
SILENT = "nats://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--nats", SILENT], "together with --store"),
        (["--store", "postgresql://keys:secret@127.0.0.1/keys"], "without a password"),
        (["--store", "mysql://127.0.0.1/keys"], "expected a URL postgresql://"),
        (["--store", NOWHERE, "--nats", "nats://user:secret@127.0.0.1:1"], "without a user"),
        (["--store", NOWHERE, "--ports", "20000-20010"], "expected no --ports"),
        (["--store", NOWHERE, "--signposts"], "expected no --ports"),
        (["--store", NOWHERE], "expected to reach schema bellwire_relay"),
    ],
)
def test_options_that_do_not_go_together_are_refused_and_secrets_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: Sequence[str], said: str
) -> None:
    assert run(["relay", "--state", str(tmp_path / "state"), *options]) == 2
    printed = capsys.readouterr()
    assert said in " ".join(printed.err.split())
    assert "secret" not in printed.out + printed.err


def test_a_store_stays_where_it_was_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "relay").mkdir()
    (tmp_path / "relay" / "relay.sqlite").touch()
    assert run(["relay", "--state", str(tmp_path), "--store", NOWHERE]) == 2
    assert "a store stays where it was made" in " ".join(capsys.readouterr().err.lower().split())


def test_relays_of_one_server_are_one_and_say_how_they_are(
    tmp_path: Path,
    server: Server,
    nats_server: NatsServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = Process(tmp_path / "1", 0, "--store", server.url, "--nats", nats_server.address)
    second = Process(tmp_path / "2", 0, "--store", server.url, "--nats", SILENT)
    try:
        assert first.ready["accounts"] == second.ready["accounts"]
        found = []
        for name in "12":
            while True:
                assert run(["relay", "status", "--state", str(tmp_path / name), "--json"]) == 0
                found.append(json.loads(capsys.readouterr().out))
                if name == "2" or found[-1]["news"] == "heard":
                    break
        assert found[-1] == {
            "connections": 0,
            "listeners": 0,
            "waiting": 0,
            "store": "postgresql",
            "store_works": True,
            "news": "away",
        }
        assert run(["relay", "status", "--state", str(tmp_path / "2")]) == 0
        assert "the NATS server is away" in " ".join(capsys.readouterr().out.split())
        assert run(["relay", "move", "lockdown", "--state", str(tmp_path / "1")]) == 2
        assert "others may share" in " ".join(capsys.readouterr().err.split())
        assert run(["relay", "--state", str(tmp_path / "1"), "--store", server.url]) == 2
        assert "in use by another" in " ".join(capsys.readouterr().err.split())
    finally:
        first.stop()
        second.stop()
    assert b"are not heard" in second.said
    assert run(["relay", "status", "--state", str(tmp_path / "1")]) == 4


def findings(monkeypatch: pytest.MonkeyPatch, store: str, nats: str) -> list[Finding]:
    monkeypatch.setenv("BELLWIRE_RELAY__STORE", store)
    monkeypatch.setenv("BELLWIRE_RELAY__NATS", nats)
    return list(doctor.relay(load(None, {})))


def test_doctor_tries_what_relays_would_share(
    server: Server, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert findings(monkeypatch, "", "") == []
    good = findings(monkeypatch, server.url, nats_server.address)
    assert [each.level for each in good] == [Level.OK, Level.OK]
    bad = findings(monkeypatch, NOWHERE, SILENT)
    assert [each.level for each in bad] == [Level.PROBLEM, Level.NOTE]
    assert all(each.mend for each in bad)
