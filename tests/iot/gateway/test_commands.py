"""`bellwire cloud send` and `routes`, and what a device shows."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.iot.test_command_line import cloud_process

from bellwire.cli import main


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    """Exit code and JSON document of a command line with --json."""
    code = main.run([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def admit(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, ready: Any) -> str:
    code, done = run(
        capsys,
        *("device", "enroll", "--state", tmp_path / name, "--name", name),
        *("--cloud-key", ready["public_key"], "--allow", ready["allowed"]),
    )
    assert code == 0
    return str(done["device"])


def test_a_message_waits_for_a_device_and_its_record_says_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, data, kept = tmp_path / "b", tmp_path / "data.csv", tmp_path / "received"
    data.write_bytes(b"1\n2\n3\n")
    with cloud_process(state, "--listen", "127.0.0.1:0", "--qkd", "off") as (_, ready):
        fingerprint = admit(capsys, tmp_path, "one", ready)
        other = admit(capsys, tmp_path, "two", ready)
        send = ("cloud", "send", "--state", state)
        code, sent = run(capsys, *send, "one", "--text", "hello \x1b[31m")
        assert (code, sent["device"], sent["messages"][0]["state"]) == (0, fingerprint, "QUEUED")
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\nc")))
        assert run(capsys, *send, fingerprint[:8], "--data", "-", "--lines")[0] == 0
        assert run(capsys, *send, other, "--data", data)[0] == 0
        device = (
            *("device", "send", "--state", tmp_path / "one", "--to", ready["listen"]),
            *("--qkd", "off", "--data", data),
        )
        assert run(capsys, *device)[0] == 0  # one document: messages go on waiting
        routes = ("cloud", "routes", "--state", state)
        _, found = run(capsys, *routes)
        assert [route["state"] for route in found["routes"]] == ["QUEUED"] * 5
        assert {each["name"]: each["messages"] for each in found["queues"]} == {"one": 4, "two": 1}
        assert run(capsys, *device, "--received", kept)[0] == 0
        _, found = run(capsys, *routes, "--device", "one")
        states = [(r["state"], r["size"], r["protections"]) for r in found["routes"]]
        keys = ["x25519", "ml-kem-768"]
        assert states == [("DELIVERED", size, keys) for size in (11, 1, 1, 1)]
        assert found["queues"] == []
    lines = [json.loads(line) for line in kept.read_bytes().splitlines()]
    assert [line["message"] for line in lines] == ["hello \x1b[31m", "a", "b", "c"]
    assert lines[0]["id"] == sent["messages"][0]["id"]
    assert main.run([*map(str, routes), "--last", "1"]) == 0
    words = capsys.readouterr().out
    assert re.search(r"QUEUED .* to 'two': 6 bytes\n", words)
    assert "1 messages of 6 bytes wait for 'two'." in words


def test_what_cannot_be_sent_is_refused_with_what_is_permitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "b"
    send = ("cloud", "send", "--state", state)
    code, refused = run(capsys, *send, "nobody", "--text", "x")
    assert code == 2
    assert "which no devices have" in refused["error"]["message"]
    assert not (state / "cloud" / "messages.db").exists()
    with cloud_process(state, "--listen", "127.0.0.1:0", "--qkd", "off") as (_, ready):
        admit(capsys, tmp_path, "one", ready)
    big = tmp_path / "big"
    big.write_bytes(b"x" * (5 * 2**20))
    for wrong, word in (
        ((), "--text TEXT"),
        (("--text", "x", "--data", big), "--text TEXT"),
        (("--text", "x", "--lines"), "--lines"),
        (("--text", ""), "32,768"),
        (("--text", "x" * 32_769), "32,768"),
        (("--text", "x", "--expires", "0.5"), "1 to 2,592,000 seconds"),
        (("--data", tmp_path / "missing"), "missing"),
        (("--data", big), "4,194,304"),
    ):
        code, refused = run(capsys, *send, "one", *wrong)
        assert (code, word in refused["error"]["message"]) == (2, True), refused
    admit(capsys, tmp_path / "more", "one", ready)
    code, refused = run(capsys, *send, "one", "--text", "x")
    assert (code, "2 devices" in refused["error"]["message"]) == (2, True)
    _, found = run(capsys, "cloud", "routes", "--state", state)
    assert found == {"routes": [], "queues": []}
