"""Settings that a running node takes over: all that may change, or nothing."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.demo.runs import Place
from tests.patience import PATIENCE_S
from tests.simulators.kme import Authority as Foreign

from bellwire.cli.main import run
from bellwire.node.first_contact import new_authentication_key
from bellwire.node.reload import AT_RUN_TIME
from bellwire.node.settings import describe, load
from bellwire.pki.authority import Authority, authority_folder

SRC = Path(__file__).resolve().parents[2] / "src"
BEFORE = """
[kme]
key_bits = 256
[log]
format = "json"
"""


AFTER = """
[kme]
key_bits = 512
operators = ["bob"]
authority = "{authority}"
authority_saes = ["vendor"]
requests_per_s = 1
[distill]
target_stock_bits = 5
[addresses]
metrics_port = 1
[log]
format = "json"
level = "debug"
"""


@dataclass
class Running:
    """Node b in a process of its own, with a settings file."""

    place: Place
    process: "subprocess.Popen[str]"
    url: str
    manager: socket.socket

    def told(self) -> str:
        """What the node tells its manager next; the value of a clock is left out."""
        return self.manager.recv(4096).decode().partition("\n")[0]

    @property
    def config(self) -> Path:
        return self.place.root / "bellwire.toml"

    @property
    def log(self) -> str:
        return (self.place.root / "b.log").read_text()

    def client(self, context: ssl.SSLContext) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=context, trust_env=False, timeout=PATIENCE_S)

    def trusting(self, certificate: Path, key: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusted = Authority(authority_folder(self.place.state, "b"), "b").trusted()
        context.load_verify_locations(cadata=trusted.decode())
        context.load_cert_chain(certificate, key)
        return context

    def sae(self, name: str) -> ssl.SSLContext:
        """A certificate of the site's authority, which the node knows at the next reload."""
        issued = Authority(authority_folder(self.place.state, "b"), "b").issue(name)
        files = self.place.root / f"{name}.crt", self.place.root / f"{name}.key"
        for path, content in zip(files, (issued.certificate, issued.key.reveal()), strict=True):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return self.trusting(*files)

    def reload(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
        line = ["keys", "reload", "--site", "b", "--state", str(self.place.state), "--json"]
        code = run(line)
        return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with Place.fresh() as place:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(place.root / "none"))
        new_authentication_key(place.root / "key")
        (place.root / "bellwire.toml").write_text(BEFORE)
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(str(place.root / "notify"))
        manager.settimeout(60)
        with (place.root / "b.log").open("w") as log:
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "bellwire", "node", "--site", "b",
                    "--state", str(place.state), "--config", str(place.root / "bellwire.toml"),
                    "--kme", "127.0.0.1:0", "--listen", "127.0.0.1:0",
                    "--authentication-key", str(place.root / "key"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=place.environment(
                    PYTHONPATH=str(SRC), NOTIFY_SOCKET=str(place.root / "notify")
                ),
            )  # fmt: skip
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said, (place.root / "b.log").read_text()
            yield Running(place, process, json.loads(said)["kme"], manager)
        finally:
            process.kill()
            process.communicate()
            manager.close()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def port_of(answer: httpx.Response) -> int:
    """The client's end of the connection."""
    stream = answer.extensions["network_stream"]
    return int(stream.get_extra_info("client_addr")[1])


STATUS = "/api/v1/keys/nobody-here/status"


def test_a_running_node_takes_over_what_changed_and_keeps_its_connections(
    node: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    context, foreign = node.sae("bob"), Foreign(node.place.root, "vendor-ca")
    vendor = node.trusting(*foreign.issue("vendor"))
    assert node.reload(capsys) == (0, {"site": "b", "taken": [], "waiting": []})
    assert node.told() == "READY=1"
    with node.client(context) as kept:
        first = kept.get(STATUS)
        assert first.json()["message"] == "the slave SAE is not known"
        with node.client(context) as other:
            assert other.get("/metrics").status_code == 401
        with node.client(vendor) as other, pytest.raises(httpx.TransportError):
            other.get(STATUS)

        node.config.write_text(AFTER.format(authority=foreign.file))
        node.process.send_signal(signal.SIGHUP)
        with node.client(context) as other:
            assert [node.told(), node.told()] == ["RELOADING=1", "READY=1"]
            assert other.get("/metrics").status_code == 200
        code, done = node.reload(capsys)
        assert (code, done["taken"]) == (0, [])
        assert done["waiting"] == ["addresses.metrics_port", "kme.key_bits"]
        with node.client(vendor) as other:
            assert other.get(STATUS).status_code == 400
        # The connection of before is still the same, and under the new rate.
        codes: set[int] = set()
        while codes != {400, 503}:
            answer = kept.get(STATUS)
            assert port_of(answer) == port_of(first)
            codes.add(answer.status_code)
    taken = next(
        json.loads(line)["taken"]
        for line in node.log.splitlines()
        if "settings taken over" in line and "kme.operators" in line
    )
    assert taken == [
        "distill.target_stock_bits", "kme.authority", "kme.authority_saes", "kme.operators",
        "kme.requests_per_s", "log.level",
    ]  # fmt: skip

    # Bad settings leave all as it is.
    for bad in ('[kme]\noperators = "all"\n', "[kmee]\n", '[kme]\nauthority = "/nowhere"\n', "["):
        node.config.write_text(bad)
        code, refused = node.reload(capsys)
        assert code == 2, refused
        node.process.send_signal(signal.SIGHUP)
        assert [node.told(), node.told()] == ["RELOADING=1", "READY=1"]
        with node.client(context) as other:
            assert other.get("/metrics").status_code == 200
    assert node.log.count("settings not taken over") == 8

    node.process.send_signal(signal.SIGTERM)
    assert node.told() == "STOPPING=1"
    assert node.process.wait(PATIENCE_S) == 0
    audit = (node.place.state / "audit" / "site-b.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in audit]
    assert events[0] == "node started"
    assert events[-1] == "node stopped"
    assert events.count("settings taken over") == 3
    assert events.count("settings not taken over") == 8


def test_settings_that_need_no_restart_are_settings() -> None:
    assert {row.name for row in describe(load())} > AT_RUN_TIME


def test_reloading_a_node_that_does_not_run_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert run(["keys", "reload"]) == 2
    assert run(["keys", "reload", "--site", "a", "--state", str(tmp_path)]) == 4
    assert "expected a service at" in capsys.readouterr().err
