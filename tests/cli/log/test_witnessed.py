"""A log and its witnesses at two sites, each a process: what readers see, what a kill costs."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.log.test_ledger import bring, ledger, run, wait_for
from tests.cli.test_witness import running
from tests.patience import PATIENCE_S

from bellwire.cli import main
from bellwire.pki.authority import Authority, authority_folder

ORIGIN = "log.example/one"
NAMES = ("witness.example/a", "witness.example/b")


def shown(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    assert main.run([*map(str, words)]) == 0
    return capsys.readouterr().out.split()


def health(url: str) -> Any:
    return httpx.get(f"{url}/healthz", trust_env=False, timeout=PATIENCE_S).json()


def policy_file(path: Path, witnesses: dict[str, tuple[str, str]], quorum: str) -> Path:
    lines = [f"witness {name} {key} {url}" for name, (key, url) in witnesses.items()]
    path.write_text("\n".join([*lines, f"group both all {' '.join(witnesses)}", quorum, ""]))
    return path


def test_two_witnesses_cosign_what_is_shown_and_writers_wait_for_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = shown(capsys, "ledger", "key", "--origin", ORIGIN, "--state", tmp_path / "state")
    authority = Authority(authority_folder(tmp_path, "b"), "b")
    authority.create()
    pem, ca = authority.kme("witness", ["127.0.0.1"]), tmp_path / "ca.pem"
    ca.write_bytes(authority.trusted())
    tls = ("--certificate", str(pem), "--key", str(pem))
    states = {name: tmp_path / name[-1] for name in NAMES}
    first, second = NAMES
    with contextlib.ExitStack() as stack:
        a = stack.enter_context(running(states[first], "--name", first, "--log", keys[1]))
        b = stack.enter_context(running(states[second], "--name", second, "--log", keys[1], *tls))
        places = {
            name: (each.said["keys"][1], each.said["url"])
            for name, each in zip("ab", (a, b), strict=True)
        }
        assert places["b"][1].startswith("https://")
        policy = policy_file(tmp_path / "policy", places, "quorum both")
        url = stack.enter_context(
            ledger(tmp_path, "--policy", str(policy), "--witness-ca", str(ca))
        )["url"]
        bring(url, 1, 20)
        wait_for(url, 20)
        trust = ("--key", keys[1], "--witness", places["a"][0], "--witness", places["b"][0])
        code, told = run(capsys, "log", "entries", url, *trust, "--count", 1)
        assert (code, [each["name"] for each in told["witnesses"]]) == (0, [*NAMES])

        b.process.kill()
        b.process.wait(PATIENCE_S)
        bring(url, 21, 20)  # who writes waits for no witness
        while (state := health(url))["witnesses"][1]["trouble"] is None:
            time.sleep(0.02)
        assert (state["entries"], state["shown"], state["quorum_met"]) == (40, 20, False)
        metrics = httpx.get(f"{url}/metrics", trust_env=False, timeout=PATIENCE_S).text
        assert 'bellwire_log_witness_cosigns{witness="b"} 0.0' in metrics

        receipt = tmp_path / "19.tlog-proof"
        code, _ = run(capsys, "log", "receipt", url, 19, *trust, "--out", receipt)
        assert code == 0
    code, verified = run(capsys, "log", "verify", receipt, *trust)
    assert (code, len(verified["witnesses"])) == (0, 2)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("quorum none\n", "expected witnesses"),
        ("witness a {0}\nquorum a\n", "expected its address"),
        ("witness a {0} ftp://x\nquorum a\n", "expected its address"),
        ("log {0}\nquorum none\n", "key of type 01 or 06"),
        ("witness a {1} http://x\nquorum a\n", "of its own"),
    ],
)
def test_a_policy_that_a_log_cannot_ask_by_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, said: str
) -> None:
    state = ("--state", str(tmp_path))
    assert main.run(["witness", "key", "--name", NAMES[0], *state, "--json"]) == 0
    witness = json.loads(capsys.readouterr().out)["keys"][0]
    assert main.run(["ledger", "key", "--origin", NAMES[0], *state, "--json"]) == 0
    own = json.loads(capsys.readouterr().out)["keys"][1]
    policy = tmp_path / "policy"
    policy.write_text(lines.format(witness, own))
    words = ["ledger", "--policy", str(policy), "--listen", "127.0.0.1:0", *state]
    assert main.run(words) == 2
    assert said in capsys.readouterr().err


def test_the_key_of_a_log_can_be_wrapped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, source = ["--state", str(tmp_path / "state")], f"file:{tmp_path / 'kek'}"
    signer = tmp_path / "state" / "ledger-signer"
    keys = shown(capsys, "ledger", "key", "--origin", ORIGIN, *state)
    shown(capsys, "ledger", "protect", "--to", source, *state)
    assert not (signer / "log.key").exists()
    assert shown(capsys, "ledger", "key", "--key-protection", source, *state) == keys
    assert main.run(["ledger", "key", *state]) == 3
    assert "plain" in capsys.readouterr().err
    (signer / "log.wrapped").unlink()
    assert main.run(["ledger", "key", *state]) == 2
    assert "expected 64 bytes of key" in capsys.readouterr().err
