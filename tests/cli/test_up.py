"""`bellwire up`, `status` and `down`: real services, killed and stopped in every way."""

import asyncio
import contextlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.patience import PATIENCE_S

from bellwire.cli import main
from bellwire.services.overview import overview

NAMES = ["link", "node-a", "node-b", "cloud", "console-a", "console-b", "relay", "admission"]
RECORD = ["ledger", "witness-a", "witness-b"]
SRC = Path(__file__).resolve().parents[2] / "src"


@dataclass
class Machine:
    """A state folder, and commands in it; all ports are free ones.

    Without `record`, the settings name a log elsewhere, which is away: three processes less.
    """

    home: Path
    record: bool = False

    @property
    def state(self) -> Path:
        return self.home / "s"

    def environment(self) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if "BELLWIRE_" not in key}
        ports = ["CLASSICAL", "KME_A", "KME_B", "CLOUD", "CONSOLE_A", "CONSOLE_B", "RELAY"]
        ports += ["LEDGER", "WITNESS_A", "WITNESS_B", "ADMISSION"]
        away = self.home / "token"
        if not away.exists():
            away.touch(0o600)
            away.write_text("0" * 64)
        elsewhere = {
            "BELLWIRE_LEDGER__URL": "http://127.0.0.1:9",
            "BELLWIRE_LEDGER__WRITER": "site",
            "BELLWIRE_LEDGER__TOKEN": str(away),
        }
        return {
            **ours,
            **({} if self.record else elsewhere),
            **{f"BELLWIRE_ADDRESSES__{name}_PORT": "0" for name in ports},
            "BELLWIRE_KME__SKIP": '{"app-a": ["app-b"], "app-b": ["app-a"]}',
            "BELLWIRE_STATE__DIR": str(self.state),
            "BELLWIRE_DISTILL__PROTOCOL": "bb84",
            "BELLWIRE_DISTILL__PULSES": "50000",
            "BELLWIRE_DISTILL__TARGET_STOCK_BITS": "30000",
            "BELLWIRE_DISTILL__PROBE_INTERVAL_S": "0.2",
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": "",
            "PYTHONPATH": str(SRC),
        }

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "bellwire", *words],
            cwd=self.home,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, Any]:
        """Exit code, and the document of `--json`."""
        with self.begin(*words, "--json") as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        assert out.count("\n") == 1, (out, err)
        return process.returncode, json.loads(out)

    def here(self, *words: object) -> Any:
        """The document of `--json` of a command in this process, which does what it is told."""
        code, document = self.refused(*words)
        assert code == 0, document
        return document

    def refused(self, *words: object) -> tuple[int, Any]:
        """Exit code and document of a command in this process."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = main.run([*map(str, words), "--json"])
        return code, json.loads(out.getvalue())

    def services(self) -> dict[str, dict[str, Any]]:
        # Here, and not by a program of its own: what waits must not keep services from starting.
        found = asyncio.run(overview(self.state))
        return {each["name"]: each for each in found["services"]}

    def processes(self) -> list[psutil.Process]:
        """All of bellwire's that work in this state folder."""
        found = []
        for each in psutil.process_iter():
            try:
                line = each.cmdline()
            except psutil.Error:
                continue
            if str(self.state) in line and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        return found


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("u"))
    yield machine
    for process in machine.processes():
        process.kill()


def until(ask: Callable[[], Any], what: str) -> Any:
    """What `ask` says once it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := ask()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


def a_key_at_both_sites(machine: Machine) -> bytes:
    """The key that an SAE of site a got, and one of site b fetched; the same bits."""

    def got() -> Any:
        code, document = machine.run("keys", "get", "--sae", "app-b")
        return document["keys"][0] if code == 0 else None

    key = until(got, "no key came")
    code, document = machine.run("keys", "fetch", "--sae", "app-a", key["key_ID"])
    assert code == 0, document
    assert document["keys"] == [key]
    return bytes(key["key"], "ascii")


def by_curl(machine: Machine, site: str, what: str, below: str = "/api/v1/keys") -> Any:
    """An answer of a site's KME to plain curl, with the certificates that `up` made."""
    folder = machine.state / "saes" / f"app-{site}"
    url = machine.services()[f"node-{site}"]["addresses"]["kme"]
    line = ["curl", "-sS", "--fail-with-body", "--cacert", str(folder / "ca.crt")]
    line += ["--cert", str(folder / f"app-{site}.crt"), "--key", str(folder / f"app-{site}.key")]
    done = subprocess.run(
        [*line, f"{url}{below}/{what}"], capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def at_console(
    machine: Machine, site: str, path: str, token: str, body: object = None
) -> tuple[int, Any]:
    """Code and document of a console's answer to plain curl."""
    url = machine.services()[f"console-{site}"]["addresses"]["console"]
    line = ["curl", "-sS", "--noproxy", "*", "-w", "%{stderr}%{http_code}"]
    line += ["-H", f"Authorization: Bearer {token}", "-X", "POST"]
    line += ["--json", json.dumps(body)] if body is not None else []
    done = subprocess.run(
        [*line, f"{url}/{path}"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return int(done.stderr), json.loads(done.stdout)


def a_session(machine: Machine, tokens: dict[str, str]) -> dict[str, Any]:
    """What alice of site a and bob of site b have alike, once they do."""
    got: dict[str, Any] = {"alice": None, "bob": None}

    def call(site: str, name: str, peer: str) -> Any:
        """Ask anew, and what both have if it is the same session."""
        asked = {"client_id": name, "peer_id": peer}
        code, answer = at_console(machine, site, "get_session_key", tokens[name], asked)
        got[name] = answer if code == 200 else got[name]
        one, other = got["alice"], got["bob"]
        return one and other and one["session_id"] == other["session_id"] and (one, other)

    one, other = until(
        lambda: call("a", "alice", "bob") or call("b", "bob", "alice"), "no session came"
    )
    alike = {name: one[name] for name in ("session_id", "aes_key", "source")}
    assert {name: other[name] for name in alike} == alike
    return alike


def a_fresh_pad(machine: Machine) -> dict[str, Any]:
    """The record of a session whose pad an SAE of site b got, and one of site a fetched."""

    def made() -> Any:
        code, document = machine.run("keys", "session", "--sae", "app-a", "--bits", "1024")
        return document if code == 0 else None

    document = until(made, "no session gave a pad")
    (key,) = document["keys"]
    code, fetched = machine.run("keys", "fetch", "--sae", "app-b", key["key_ID"])
    assert (code, fetched["keys"]) == (0, [key])
    record: dict[str, Any] = document["session"]
    assert (record["session"], record["verdict"]) == (key["key_ID"], "accept")
    assert (record["final_bits"], record["source"]) == (1024, "simulated")
    return record


def a_channel_by_the_record(machine: Machine, log: str) -> None:
    """A device and a cloud register, find each other in the log, and open a channel."""
    state, home, where = ("--state", machine.state), machine.home, machine.services()
    policy = ("--policy", machine.state / "ledger.policy")
    door = ("--at", where["admission"]["addresses"]["admission"], "--log-policy", policy[1])
    for name, role in (("thermo-1", "--device"), ("cloud-b", "--cloud")):
        token = home / f"{name}.token"
        machine.here("admission", "token", "--out", token, *state)
        joined = machine.here("register", name, role, "--token", token, *door, *state)
        assert joined["status"] == "admitted"
        proved = machine.here("log", "verify", joined["receipt"], *policy)
        assert (len(proved["witnesses"]), proved["quorum"]) == (2, "2 of 2")
    find, pin = ("--log", log, *policy, *state), home / "cloud-b.pub"
    allowed = machine.state / "cloud" / "allowed"
    machine.here("people", "find", "thermo-1", *find, "--allow", allowed)
    machine.here("people", "find", "cloud-b", *find, "--cloud-key", pin)
    machine.here("device", "enroll", "--cloud-key", pin, *state)
    (home / "readings.csv").write_text("celsius\n20\n21\n")
    send = ("--data", home / "readings.csv", "--to", where["cloud"]["addresses"]["cloud"])
    keys = ("--keys", machine.state / "node-a" / "keys.sock")
    sent = machine.here("device", "send", *send, *keys, *state)
    assert (sent["complete"], sent["qkd_source"]) == (True, "simulated")


def a_changed_byte_is_named(machine: Machine, log: str) -> None:
    """Whoever reads the log is told which entry was changed in its store; a receipt still holds."""
    policy = ("--policy", machine.state / "ledger.policy")
    shown = machine.here("log", "entries", log, *policy, "--kind", "key-exchange")
    number, receipt = shown["entries"][-1]["number"], machine.home / "key.tlog-proof"
    machine.here("log", "receipt", log, number, *policy, "--out", receipt)
    watch = ("log", "watch", log, *policy, "--once", "--state", machine.home / "watcher")
    assert machine.here(*watch)["findings"] == []
    store = sqlite3.connect(machine.state / "ledger" / "log.sqlite", timeout=PATIENCE_S)
    with contextlib.closing(store), store:
        asked = "SELECT entry FROM entries WHERE number = ?"
        entry = bytearray(store.execute(asked, (number,)).fetchone()[0])
        entry[len(entry) // 2] ^= 1
        store.execute("UPDATE entries SET entry = ? WHERE number = ?", (bytes(entry), number))
    code, refused = machine.refused("log", "verify", log, *policy)
    assert (code, f"entry {number} is not" in refused["error"]["message"]) == (3, True)
    code, seen = machine.refused(*watch)
    assert (code, seen["findings"][0]["number"]) == (3, number)
    assert machine.here("log", "verify", receipt, *policy)["entry"]["index"] == number


def test_members_of_two_sites_get_session_keys_and_none_while_eve_is_there(
    machine: Machine,
) -> None:
    machine.record = True
    code, document = machine.run("up", "--detach", "--lab")
    assert code == 0, document
    assert {each["name"] for each in document["services"]} == {*NAMES, *RECORD}
    tokens = {}
    for name, site in (("alice", "a"), ("bob", "b")):
        code, made = machine.run("accounts", "add", name, "--site", site)
        assert code == 0, made
        tokens[name] = made["token"]
    one = a_session(machine, tokens)
    assert one["source"] == "simulated"
    pad = a_fresh_pad(machine)
    assert pad["s"] > 2.5
    code, heard = machine.run("lab", "overhear", "--site", "b")
    assert code == 0
    assert pad["session"] in {each["session"] for each in heard["messages"]}
    assert {"slots", "settings", "test"} <= {each["phase"] for each in heard["messages"]}

    os.kill(machine.services()["console-a"]["pid"], signal.SIGKILL)

    def again_there() -> bool:
        now = machine.services()["console-a"]
        return bool(now["restarts"] == 1 and now["state"] == "running")

    until(again_there, "console-a did not come back")
    again = a_session(machine, tokens)
    assert not set(again.values()) & {one["session_id"], one["aes_key"]}

    policy = ("--policy", str(machine.state / "ledger.policy"), "--kind", "key-exchange")
    url = machine.services()["ledger"]["addresses"]["log"]
    code, shown = machine.run("log", "entries", url, *policy)
    assert (code, [each["name"] for each in shown["witnesses"]]) == (0, ["a", "b"])
    assert {each["entry"]["writer"] for each in shown["entries"]} == {"node-a", "node-b"}
    a_channel_by_the_record(machine, url)
    a_changed_byte_is_named(machine, url)

    operator = (machine.state / "console-a" / "operator.token").read_text().strip()
    assert at_console(machine, "a", "force_attack", tokens["alice"])[0] == 403
    code, attack = at_console(machine, "a", "force_attack", operator)
    assert (code, attack["attack"]["kind"]) == (200, "intercept-resend")

    def red() -> bool:
        asked = {"client_id": "bob", "peer_id": "alice"}
        code, _ = at_console(machine, "b", "get_session_key", tokens["bob"], asked)
        return code == 503

    until(red, "not RED")
    code, document = machine.run("keys", "session", "--sae", "app-b")
    assert code == 3
    aborted = document["session"]
    assert (aborted["verdict"], aborted["reason"], aborted["final_bits"]) == (
        "abort", "chsh below limit", 0
    )  # fmt: skip
    assert aborted["s"] < 2
    assert aborted["qber"] > 0.11
    assert at_console(machine, "a", "reset", operator)[0] == 200
    back = a_session(machine, tokens)
    a_fresh_pad(machine)
    logs = "".join(each.read_text() for each in (machine.state / "logs").iterdir())
    assert not any(each in logs for each in (*tokens.values(), one["aes_key"], back["aes_key"]))
    assert machine.run("down")[0] == 0


def test_services_survive_being_killed_give_keys_go_down_and_come_back_from_a_backup(
    machine: Machine,
) -> None:
    assert machine.run("status")[0] == 4
    code, document = machine.run("up", "--detach")
    assert code == 0, document
    assert [each["name"] for each in document["services"]] == NAMES
    assert all(each["state"] == "running" for each in document["services"])

    first = a_key_at_both_sites(machine)
    (key,) = by_curl(machine, "a", "app-b/enc_keys?number=1")["keys"]
    (same,) = by_curl(machine, "b", f"app-a/dec_keys?key_ID={key['key_ID']}")["keys"]
    assert key["key"] == same["key"] != first.decode()
    skip = by_curl(machine, "a", "key?remoteSystemID=app-b", below="")
    assert by_curl(machine, "b", f"key/{skip['keyId']}?remoteSystemID=app-a", below="") == skip
    (waiting,) = by_curl(machine, "a", "app-b/enc_keys?number=1")["keys"]
    backup = str(machine.home / "backup.tar")
    code, document = machine.run("keys", "backup", backup)
    assert (code, document["sites"]) == (0, ["a", "b"])
    (late,) = by_curl(machine, "a", "app-b/enc_keys?number=1")["keys"]

    code, refused = machine.run("up")
    assert code == 2
    assert "another `bellwire up`" in refused["error"]["message"]

    before = machine.services()
    for each in before.values():
        os.kill(each["pid"], signal.SIGKILL)

    def back() -> bool:
        now = machine.services()
        return all(
            now[name]["state"] == "running" and now[name]["pid"] != before[name]["pid"]
            for name in NAMES
        )

    until(back, "not all services came back")
    after = machine.services()
    assert [after[name]["restarts"] for name in NAMES] == [1] * len(NAMES)
    assert [after[name]["addresses"] for name in NAMES] == [
        before[name]["addresses"] for name in NAMES
    ]
    assert a_key_at_both_sites(machine) != first

    os.kill(after["node-b"]["pid"], signal.SIGKILL)  # It goes down while one starts again.
    code, down = machine.run("down")
    assert (code, down["left"]) == (0, [])
    assert {"link", "cloud", "node-a", "console-a", "console-b"} <= set(down["stopped"])
    assert machine.processes() == []
    assert machine.run("down") == (0, {"supervisor": None, "stopped": [], "left": []})
    assert machine.run("status")[0] == 4

    come_back(machine, backup, [each["key_ID"] for each in (key, waiting, late)])


def come_back(machine: Machine, backup: str, before: list[str]) -> None:
    """Both sites are restored from a backup: they make keys, and those of before are nobody's."""
    machine.state.rename(machine.home / "lost")
    assert machine.run("keys", "restore", backup)[0] == 0
    code, document = machine.run("up", "--detach")
    assert code == 0, document
    a_key_at_both_sites(machine)
    for key_id in before:
        code, document = machine.run("keys", "fetch", "--sae", "app-a", key_id)
        assert (code, "not found on KME" in document["error"]["message"]) == (2, True)
    assert machine.run("down")[0] == 0


def test_a_supervisor_that_is_killed_or_interrupted_leaves_nothing(machine: Machine) -> None:
    with machine.begin("up", "--json", "--state", str(machine.state)) as supervisor:
        # Before all are up: some services have begun, others wait for them.
        until(lambda: len(machine.processes()) > 2, "no service started")
        supervisor.kill()
        supervisor.wait()
    until(lambda: not machine.processes(), "services outlived their supervisor")

    with machine.begin("up", "--json", "--state", str(machine.state)) as supervisor:
        assert supervisor.stdout is not None
        line = supervisor.stdout.readline()
        running = {each.pid for each in machine.processes()}
        supervisor.send_signal(signal.SIGINT)
        rest, err = supervisor.communicate(timeout=PATIENCE_S)
    document = json.loads(line)
    assert document["ready"]
    assert {each["pid"] for each in document["services"]} < running
    assert (supervisor.returncode, rest) == (0, ""), err
    assert machine.processes() == []


def test_services_that_somebody_started_by_hand_are_seen_and_left_alone(machine: Machine) -> None:
    link = machine.begin("link", "--state", str(machine.state))
    with link:
        assert link.stdout is not None
        assert json.loads(link.stdout.readline())["ready"]
        code, document = machine.run("status")
        (service,) = document["services"]
        assert (code, document["supervisor"]) == (0, None)
        assert (service["name"], service["pid"]) == ("link", link.pid)
        assert machine.run("down") == (0, {"supervisor": None, "stopped": [], "left": ["link"]})
        link.send_signal(signal.SIGTERM)
        assert link.wait(PATIENCE_S) == 0


def test_a_state_folder_that_cannot_be_used_is_said_at_once(machine: Machine) -> None:
    machine.state.mkdir()
    (machine.state / "up").write_text("not a folder")
    code, document = machine.run("up", "--detach")
    assert code == 2
    assert str(machine.state / "up") in document["error"]["message"]
