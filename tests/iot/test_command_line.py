"""`bellwire cloud` as a process of its own, `bellwire device` beside it."""

import contextlib
import io
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE_S

from bellwire.cli import main

PROGRAM = (
    "from bellwire.cli import main; "
    "main.COMMANDS.setdefault('cloud', main.Entry('bellwire.cli.cloud', '')); main.main()"
)


@pytest.fixture(autouse=True)
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(main.COMMANDS, "cloud", main.Entry("bellwire.cli.cloud", ""))
    monkeypatch.setitem(main.COMMANDS, "device", main.Entry("bellwire.cli.device", ""))
    monkeypatch.setenv("HOME", str(tmp_path))


@contextmanager
def cloud_process(
    state: Path, *more: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    arguments = [sys.executable, "-c", PROGRAM, "cloud", "--state", str(state), *more]
    process = subprocess.Popen(
        [*arguments, "--with-parent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any, str]:
    """Exit code, JSON document and standard error of a command line with --json."""
    code = main.run([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def enroll(capsys: pytest.CaptureFixture[str], state: Path, ready: dict[str, Any]) -> None:
    code, document, _ = run(
        capsys,
        *("device", "enroll", "--state", state),
        *("--cloud-key", ready["public_key"], "--allow", ready["allowed"]),
    )
    assert code == 0
    assert Path(document["admitted"]).exists()


def test_a_cloud_killed_while_a_device_sends_has_everything_after_a_second_send(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(b"number,text\n" + b"".join(b"%d,%s\n" % (n, b"x" * 90) for n in range(5000)))
    state, listen = tmp_path / "state", ("--listen", "127.0.0.1:0", "--qkd", "off")
    send = ("device", "send", "--state", state, "--data", data, "--qkd", "off", "--to")
    with cloud_process(state, *listen, "--print") as (process, ready):
        assert ready["service"] == "cloud"
        assert ready["ready"] is True
        enroll(capsys, state, ready)
        sender = subprocess.Popen(
            [
                sys.executable,
                "-c",
                PROGRAM.replace("cloud", "device"),
                *map(str, (*send, ready["listen"])),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["number"], first["reading"]) == (0, "number,text\n")
        process.send_signal(signal.SIGKILL)
        assert sender.wait(PATIENCE_S) in (0, 4)
    with cloud_process(state, *listen) as (_, ready):
        code, document, _ = run(capsys, *send, ready["listen"])
    assert code == 0
    assert document["complete"]
    assert document["sha256_in"] == document["sha256_out"]
    assert document["already"] >= 1
    assert document["protections"] == ["x25519", "ml-kem-768"]
    (kept,) = Path(ready["devices"]).glob("*/*.readings")
    assert kept.read_bytes() == data.read_bytes()


def test_live_readings_and_parts_of_a_file_in_words_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a": 3}')
    state = tmp_path / "state"
    with cloud_process(state, "--listen", "127.0.0.1:0") as (_, ready):
        enroll(capsys, state, ready)
        send = ("device", "send", "--state", state, "--to", ready["listen"], "--qkd", "off")
        code, part, _ = run(capsys, *send, "--data", data, "--from", 0, "--to-reading", 2)
        assert (code, part["sent"], part["complete"]) == (0, 2, False)
        assert main.run([*map(str, send), "--data", str(data), "--from", "2"]) == 0
        words = capsys.readouterr().out
        assert "sent 1 readings, 2 were there; the cloud has 3 of 3" in words
        assert "x25519, ml-kem-768" in words
        code, live, notes = run(capsys, *send, "--live", 2, "--interval", 0)
        assert (code, live["sent"]) == (0, 2)
        assert live["data"] in notes.replace("\n", "")
        assert Path(live["data"]).read_bytes().count(b"\n") == 2


def test_readings_go_on_to_a_table_and_a_place_without_a_server_holds_up_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, table = tmp_path / "state", tmp_path / "readings.db"
    data = tmp_path / "data.csv"
    data.write_bytes(b"a,b\n1,2\n3,4\n")
    places = ("--to", f"sqlite:{table}", "--to", "nats://127.0.0.1:1")
    with cloud_process(state, "--listen", "127.0.0.1:0", *places) as (_, ready):
        assert ready["outputs"] == [f"sqlite:{table}", "nats://127.0.0.1:1/bellwire.readings"]
        enroll(capsys, state, ready)
        send = ("device", "send", "--state", state, "--to", ready["listen"], "--qkd", "off")
        code, document, _ = run(capsys, *send, "--data", data)
        assert (code, document["complete"]) == (0, True)
        deadline = time.monotonic() + PATIENCE_S
        rows: list[tuple[int, str]] = []
        while len(rows) < 3 and time.monotonic() < deadline:
            with (
                contextlib.suppress(sqlite3.OperationalError),
                contextlib.closing(sqlite3.connect(f"file:{table}?mode=ro", uri=True)) as file,
            ):
                rows = file.execute("SELECT number, reading FROM readings").fetchall()
            time.sleep(0.02)
    assert rows == [(0, "a,b\n"), (1, "1,2\n"), (2, "3,4\n")]


def test_a_place_that_is_misspelt_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["cloud", "--state", str(tmp_path / "state"), "--to", "kafka://h"]) == 2
    assert "expected sqlite:PATH" in capsys.readouterr().err
    assert not (tmp_path / "state" / "cloud").exists()


def test_a_cloud_whose_output_nobody_reads_goes_on_storing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(b"a\n1\n")
    state = tmp_path / "state"
    with cloud_process(state, "--listen", "127.0.0.1:0", "--print") as (process, ready):
        assert process.stdout is not None
        process.stdout.close()
        enroll(capsys, state, ready)
        send = ("device", "send", "--state", state, "--to", ready["listen"], "--qkd", "off")
        for name in ("one", "two"):
            code, document, _ = run(capsys, *send, "--data", data, "--stream", name)
            assert (code, document["complete"]) == (0, True)


def test_the_cloud_ends_with_its_parent_and_leaves_a_folder_for_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        with cloud_process(tmp_path / "state", "--listen", "127.0.0.1:0") as (process, ready):
            assert stat.S_IMODE((tmp_path / "state" / "cloud").stat().st_mode) == 0o700
            assert Path(ready["allowed"]).is_dir()
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(PATIENCE_S) == 0


def test_a_port_in_use_is_one_sentence_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main.run(["cloud", "--state", str(tmp_path), "--listen", listen]) == 2
    assert f"expected to listen at {listen}, but it is in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--data", "missing.csv", "--qkd", "off"], 2, "No such file"),
        (["--qkd", "off"], 2, "either --data FILE or --live N"),
        (["--data", "a", "--live", "1", "--qkd", "off"], 2, "either --data FILE or --live N"),
        (["--live", "1"], 2, "--keys SOCKET"),
        (["--to", "nowhere", "--live", "1", "--qkd", "off"], 2, "HOST:PORT"),
        (["--to", "host:99999", "--live", "1", "--qkd", "off"], 2, "HOST:PORT"),
        (["--live", "1", "--interval", "0", "--qkd", "off"], 4, "expected a cloud at"),
    ],
)
def test_wrong_use_of_send_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, message: str
) -> None:
    from bellwire.crypto.kem import XWingPrivateKey
    from bellwire.iot.identity import PublicIdentity, write_public

    write_public(
        tmp_path / "cloud.pub",
        PublicIdentity("cloud", "cloud", XWingPrivateKey.generate().public_bytes),
    )
    state = ("--state", tmp_path / "state")
    assert run(capsys, "device", "enroll", *state, "--cloud-key", tmp_path / "cloud.pub")[0] == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    found, document, _ = run(capsys, "device", "send", *state, "--to", address, *more)
    assert found == code
    assert message in document["error"]["message"]


def test_a_node_that_is_not_there_is_exit_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cloud_process(tmp_path / "state", "--listen", "127.0.0.1:0") as (_, ready):
        enroll(capsys, tmp_path / "state", ready)
        code, document, _ = run(
            capsys,
            *("device", "send", "--state", tmp_path / "state", "--to", ready["listen"]),
            *("--keys", tmp_path / "no.sock", "--live", 1, "--interval", 0),
        )
    assert code == 4
    assert "expected a node at" in document["error"]["message"]


def test_a_device_that_is_not_enrolled_is_told_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document, _ = run(
        capsys, "device", "send", "--state", tmp_path / "state", "--live", 1, "--qkd", "off"
    )
    assert code == 2
    assert "device enroll" in document["error"]["hint"]


def test_enrolment_in_words_says_what_to_do_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cloud_process(tmp_path / "state", "--listen", "127.0.0.1:0") as (_, ready):
        line = ["device", "enroll", "--state", str(tmp_path / "state")]
        line += ["--cloud-key", ready["public_key"]]
        assert main.run(line) == 0
        assert "Copy" in capsys.readouterr().out
        assert main.run([*line, "--allow", ready["allowed"]]) == 0
        assert "admits it" in capsys.readouterr().out


def test_a_device_and_a_cloud_trust_an_authority_instead_of_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(b"number\n1\n2\n")
    state, at_ca = tmp_path / "state", ("--state", tmp_path / "authority")
    code, authority, _ = run(capsys, "device", "ca", "init", *at_ca)
    assert code == 0
    trusting = ("--authority", authority["public_key"], "--revoked", authority["revoked"])
    listen = ("--listen", "127.0.0.1:0", "--qkd", "off", *trusting)
    issue = ("device", "ca", "issue", *at_ca)
    enrol = ("device", "enroll", "--state", state, "--authority", authority["public_key"])
    with cloud_process(state, *listen) as (_, ready):
        cloud, device = tmp_path / "cloud.cert", tmp_path / "device.cert"
        key = ready["public_key"]
        assert run(capsys, *issue, key, "--out", cloud, "--role", "cloud")[0] == 0
        code, document, _ = run(capsys, *enrol, "--cloud-certificate", cloud)
        assert code == 0
        public = document["public_key"]
        code, issued, _ = run(capsys, *issue, public, "--out", device, "--days", "30")
        assert (code, issued["role"], issued["name"]) == (0, "device", "device")
        known = ("--cloud-certificate", cloud, "--certificate", device)
        for more, told in ((known[:2], "certify"), (known, "by its certificate")):
            assert main.run([str(word) for word in (*enrol, *more)]) == 0
            assert told in capsys.readouterr().out
        send = ("device", "send", "--state", state, "--data", data, "--qkd", "off", "--to")
        code, sent, _ = run(capsys, *send, ready["listen"])
        assert (code, sent["complete"], sent["cipher"]) == (0, True, "aes-256-gcm")
        assert 0 < sent["message_ms"]["p50"] <= sent["message_ms"]["max"]
        assert sent["handshake_ms"] > 0
        assert sent["overhead_bytes"] > 20 * sent["records"] >= 80
        code, taken, _ = run(capsys, "device", "ca", "revoke", *at_ca, device)
        assert (code, taken["serial"], taken["number"]) == (0, issued["serial"], 2)
        code, refused, _ = run(capsys, *send, ready["listen"])
        assert code == 3
        assert "refused" in str(refused)
    assert run(capsys, *enrol)[0] == 2
    assert run(capsys, *enrol, "--cloud-certificate", device)[0] == 3


def test_a_device_and_a_cloud_whose_keys_are_protected_work_as_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, data = tmp_path / "state", tmp_path / "data.csv"
    data.write_bytes(b"n\n1\n2\n")
    protected = ("--key-protection", f"file:{tmp_path / 'stick'}")
    listen = ("--listen", "127.0.0.1:0", "--qkd", "off")
    with cloud_process(state, *listen) as (_, ready):
        enroll(capsys, state, ready)
    for side in ("cloud", "device"):
        code, done, _ = run(capsys, side, "protect", "--state", state, "--to", protected[1])
        assert (code, done) == (0, {"source": protected[1], "destroyed": None})
        assert not (state / side / "identity.seed").exists()
        code, shown, _ = run(capsys, side, "protect", "--state", state)
        assert (code, shown["source"]) == (0, "file")
    send = ("device", "send", "--state", state, "--data", data, "--qkd", "off")
    with cloud_process(state, *listen, *protected) as (_, again):
        assert Path(again["public_key"]).exists()
        code, document, _ = run(capsys, *send, "--to", again["listen"])
        assert code == 3
        assert "expected a plain identity key" in document["error"]["message"]
        code, report, _ = run(capsys, *send, "--to", again["listen"], *protected)
        assert (code, report["complete"]) == (0, True)
    assert len(list((tmp_path / "stick").iterdir())) == 2


def test_a_passphrase_comes_from_a_descriptor_and_a_wrong_one_is_exit_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"

    def given(words: str) -> str:
        read, write = os.pipe()
        os.write(write, words.encode() + b"\n")
        os.close(write)
        return f"passphrase:fd:{read}"

    def initialise(*more: object) -> tuple[int, Any, str]:
        return run(capsys, "device", "ca", "init", "--state", state, *more)

    code, made, _ = initialise("--key-protection", given("correct horse battery"))
    assert code == 0
    right, wrong = "correct horse battery", "correct horse battery staple"
    public = Path(made["public_key"])
    issue = ("device", "ca", "issue", public, "--out", tmp_path / "x", "--state", state)
    code, document, err = run(capsys, *issue, "--key-protection", given(wrong))
    assert (code, "belong together" in document["error"]["message"]) == (3, True)
    assert wrong not in err
    code, document, _ = run(capsys, *issue, "--key-protection", given(right))
    assert (code, "public key of a device" in document["error"]["message"]) == (2, True)


def test_what_was_protected_does_not_become_plain_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "device", "ca", "init", "--state", tmp_path / "state")
    code, document, _ = run(
        capsys, "device", "ca", "protect", "--state", tmp_path / "state", "--to", "plain"
    )
    assert (code, "got plain" in document["error"]["message"]) == (2, True)


def test_a_device_enrols_by_a_code_and_its_readings_arrive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, data = tmp_path / "cloud", tmp_path / "data.csv"
    data.write_bytes(b"n\n1\n2\n")
    _, invited, _ = run(capsys, "cloud", "invite", "--name", "sensor-7", "--state", state)
    enrol = ("device", "enroll", "--to")
    with cloud_process(state, "--listen", "127.0.0.1:0", "--qkd", "off") as (_, ready):
        monkeypatch.setattr("sys.stdin", io.StringIO(invited["code"].lower() + "\n"))
        first = ("--state", tmp_path / "a")
        code, _, err = run(capsys, *enrol, ready["listen"], "--code", "-", *first)
        assert code == 0, err
        assert invited["code"] not in err
        send = ("device", "send", "--data", data, "--qkd", "off", "--to", ready["listen"])
        code, report, _ = run(capsys, *send, *first)
        assert (code, report["complete"]) == (0, True)
        late = (*enrol, ready["listen"], "--code", invited["code"], "--state", tmp_path / "b")
        code, refused, _ = run(capsys, *late)
        assert (code, "got one that was used" in refused["error"]["message"]) == (3, True)
        _, second, _ = run(capsys, "cloud", "invite", "--name", "x", "--state", state)
        listing = ("cloud", "invitations", "--state", state)
        _, listed, _ = run(capsys, *listing)
        assert {each["name"]: each["state"] for each in listed["invitations"]} == {
            "sensor-7": "used",
            "x": "open",
        }
        _, listed, _ = run(capsys, *listing, "--cancel", second["id"])
        assert [each["name"] for each in listed["invitations"]] == ["sensor-7"]
        late = (*enrol, ready["listen"], "--code", second["code"], "--state", tmp_path / "b")
        code, refused, _ = run(capsys, *late)
        assert (code, "does not" in refused["error"]["message"]) == (3, True)
    code, refused, _ = run(capsys, *late)
    assert (code, "got no answer" in refused["error"]["message"]) == (4, True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--code", "K3QX"), "32 letters"),
        (("--code", "A" * 32), "slip"),
        (("--code", "A" * 32, "--cloud-key", "x"), "got both"),
        (("--cloud-key", "x", "--to", "127.0.0.1:1"), "--to HOST:PORT beside --code"),
    ],
)
def test_a_wrong_way_of_enrolling_is_wrong_usage(
    more: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document, _ = run(capsys, "device", "enroll", "--state", tmp_path / "state", *more)
    assert (code, message in document["error"]["message"]) == (2, True)
    assert not (tmp_path / "state").exists()


def test_a_device_that_runs_survives_its_own_death_and_the_cloud_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    program = PROGRAM.replace("cloud", "device")
    line = [sys.executable, "-c", program, "device", "run", "--state", str(state)]
    line += ["--data", "-", "--qkd", "off", "--json", "--to"]
    with cloud_process(state, "--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--print") as (
        cloud,
        ready,
    ):
        enroll(capsys, state, ready)
        first = subprocess.Popen(
            [*line, f"udp://{ready['udp']}"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert first.stdin is not None
        assert cloud.stdout is not None
        first.stdin.write(b"one\ntwo\n")
        first.stdin.flush()
        seen = [json.loads(cloud.stdout.readline())["reading"] for _ in range(2)]
        cloud.send_signal(signal.SIGKILL)
        first.stdin.write(b"three\n")
        first.stdin.flush()
        (segment,) = (state / "device" / "buffer").glob("*.segment")
        before = segment.stat().st_size
        ends = time.monotonic() + PATIENCE_S
        while segment.stat().st_size == before < 38 + 3 * 36:
            assert time.monotonic() < ends
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
        first.wait()
        first.stdin.close()
    with cloud_process(state, "--listen", "127.0.0.1:0") as (_, ready):
        second = subprocess.run(
            [*line, ready["listen"]],
            input=b"four\n",
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )
    report = json.loads(second.stdout)
    assert (report["taken"], report["waiting"]) == (1, 0)
    assert seen == ["one\n", "two\n"]
    (kept,) = Path(ready["devices"]).glob("*/*.readings")
    assert kept.read_bytes() == b"one\ntwo\nthree\nfour\n"
    assert not list((state / "device" / "buffer").glob("*.segment"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--qkd", "off"], "either --data FILE, --data - or --live N"),
        (["--data", "-", "--live", "1", "--qkd", "off"], "either --data FILE, --data - or"),
        (["--data", "-", "--follow", "--qkd", "off"], "--follow beside --data FILE"),
        (["--live", "1"], "--keys SOCKET"),
    ],
)
def test_wrong_use_of_run_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    code, document, _ = run(capsys, "device", "run", "--state", tmp_path / "state", *more)
    assert code == 2
    assert message in document["error"]["message"]
