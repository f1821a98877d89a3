"""`bellwire log verify`: what it says, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.logs import ED25519, LOG, MLDSA44, ORIGIN, WITNESSES, SmallLog, numbered, signed

from bellwire.cli import main
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.tree import leaf_hash

VECTORS = Path(__file__).parents[3] / "vectors" / "tlog"
KEY = str(MLDSA44.verifier)


@pytest.fixture(scope="module")
def log() -> SmallLog:
    return SmallLog(numbered(300))


@pytest.fixture
def receipt(log: SmallLog, tmp_path: Path) -> Path:
    path = tmp_path / "7.tlog-proof"
    path.write_bytes(log.receipt(7, *LOG, *WITNESSES[0], *WITNESSES[1]).encode())
    return path


@pytest.fixture
def witnesses(tmp_path: Path) -> Path:
    path = tmp_path / "witnesses"
    lines = ["# witnesses", "", *(str(both[1].verifier) for both in WITNESSES)]
    path.write_text("\n".join(lines) + "\n")
    return path


def verify(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any]]:
    code = main.run(["log", "verify", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_receipt_says_which_log_entry_and_witnesses_and_when(
    capsys: pytest.CaptureFixture[str], log: SmallLog, receipt: Path, witnesses: Path
) -> None:
    code, said = verify(capsys, receipt, "--key", KEY, "--witness", witnesses, "--quorum", 2)
    assert code == 0
    assert said["holds"] is True
    assert (said["kind"], said["log"], said["size"]) == ("receipt", ORIGIN, 300)
    assert said["root"] == log.edge.root.hex()
    assert said["signature"] == "ML-DSA-44"
    assert said["signed_at"] == "2027-01-15T08:00:00Z"
    entry = log.entries[7]
    expected = {"index": 7, "hash": leaf_hash(entry).hex(), "bytes": len(entry), "from": "receipt"}
    assert said["entry"] == expected
    assert [each["name"] for each in said["witnesses"]] == [
        "witness.example/w1",
        "witness.example/w2",
    ]
    assert said["witnesses"][0]["cosigned_at"] == "2027-01-15T08:00:00Z"
    assert said["quorum"] == "2 of 3"


def test_people_read_the_same(
    capsys: pytest.CaptureFixture[str], receipt: Path, witnesses: Path
) -> None:
    words = ["log", "verify", str(receipt), "--key", KEY]
    assert main.run([*words, "--witness", str(witnesses), "--quorum", "1"]) == 0
    text = capsys.readouterr().out.replace("\n", " ")
    for part in (
        ORIGIN,
        "entry 7 is in it",
        "witness.example/w2",
        "2027-01-15T08:00:00Z",
        "1 of 3",
    ):
        assert part in text
    assert main.run(words) == 0
    assert "no witness was asked for" in capsys.readouterr().out.replace("\n", " ")


def test_a_checkpoint_of_another_program_holds(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    vector = json.loads((VECTORS / "mldsa44-checkpoint.json").read_text())
    path = tmp_path / "checkpoint"
    path.write_text(vector["checkpoint"])
    code, said = verify(capsys, path, "--key", vector["vkey"])
    assert code == 0
    assert (said["kind"], said["log"], said["size"]) == ("checkpoint", "example.com/mldsa-log", 1)
    assert said["signed_at"] is None
    assert said["entry"] is None


def test_an_entry_beside_the_receipt_is_checked_in_place_of_the_one_in_it(
    capsys: pytest.CaptureFixture[str], log: SmallLog, receipt: Path, tmp_path: Path
) -> None:
    entry = tmp_path / "entry"
    entry.write_bytes(log.entries[7])
    hash_ = leaf_hash(log.entries[7]).hex()
    for words, source in (
        (("--entry", entry), "file"),
        (("--hash", hash_), "hash"),
        (("--hash", hash_.upper()), "hash"),
    ):
        code, said = verify(capsys, receipt, "--key", KEY, *words)
        assert (code, said["entry"]["from"]) == (0, source)
    entry.write_bytes(log.entries[8])
    assert verify(capsys, receipt, "--key", KEY, "--entry", entry)[0] == 3
    assert verify(capsys, receipt, "--key", KEY, "--hash", "0" * 64)[0] == 3


def test_one_changed_byte_is_refused(
    capsys: pytest.CaptureFixture[str], receipt: Path, witnesses: Path
) -> None:
    good = receipt.read_bytes()
    for at in (30, 60, 120, 300, len(good) // 2, len(good) - 10):
        receipt.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        code, said = verify(capsys, receipt, "--key", KEY, "--witness", witnesses, "--quorum", 2)
        assert (code, said["error"]["code"]) == (3, 3)


def test_what_is_not_trusted_is_refused(
    capsys: pytest.CaptureFixture[str], receipt: Path, witnesses: Path, tmp_path: Path
) -> None:
    assert verify(capsys, receipt, "--key", KEY, "--witness", witnesses)[0] == 3  # three of three
    other = SmallLog(numbered(3), "log.example/other").note()
    path = tmp_path / "other"
    path.write_bytes(other.encode())
    assert verify(capsys, path, "--key", KEY)[0] == 3


def test_what_was_asked_wrongly_is_said(
    capsys: pytest.CaptureFixture[str],
    log: SmallLog,
    receipt: Path,
    witnesses: Path,
    tmp_path: Path,
) -> None:
    checkpoint, bare, empty = tmp_path / "checkpoint", tmp_path / "bare", tmp_path / "empty"
    checkpoint.write_bytes(log.note().encode())
    found = log.receipt(7)
    bare.write_bytes(type(found)(found.index, found.proof, found.note).encode())
    empty.write_text("# none\n")
    for words in (
        (receipt,),
        (receipt, "--key", "no key"),
        (receipt, "--key", empty),
        (receipt, "--key", tmp_path),
        (receipt, "--key", KEY, "--policy", witnesses),
        (receipt, "--policy", witnesses),
        (receipt, "--key", KEY, "--quorum", 1),
        (receipt, "--key", KEY, "--quorum", 65),
        (receipt, "--key", KEY, "--witness", KEY),
        (receipt, "--key", KEY, "--hash", "00"),
        (receipt, "--key", KEY, "--hash", "0" * 64, "--entry", receipt),
        (tmp_path / "missing", "--key", KEY),
        (checkpoint, "--key", KEY, "--hash", "0" * 64),
        (bare, "--key", KEY),
    ):
        code, said = verify(capsys, *words)
        assert (code, said["error"]["code"]) == (2, 2), words


def test_a_policy_file_takes_the_place_of_keys(
    capsys: pytest.CaptureFixture[str], receipt: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "policy"
    witness = WITNESSES[0][1].verifier
    for quorum, code in (("W", 0), ("none", 0), ("all", 3)):
        policy.write_text(
            f"log {KEY}\nwitness W {witness}\nwitness V {WITNESSES[2][1].verifier}\n"
            f"group all all W V\nquorum {quorum}\n"
        )
        assert verify(capsys, receipt, "--policy", policy)[0] == code


def test_escape_sequences_of_a_stranger_reach_no_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from bellwire.ledger.signing import Signer
    from bellwire.ledger.verifier_keys import KeyKind

    origin = "log.example/\u202e\u009b31m"
    with pytest.raises(Exception, match="name"):
        Signer(origin, KeyKind.ED25519, bytes(32))
    path = tmp_path / "checkpoint"
    path.write_bytes(signed(Checkpoint(origin, 1, bytes(32)), ED25519).encode())
    assert main.run(["log", "verify", str(path), "--key", KEY]) == 3
    assert "\u009b" not in capsys.readouterr().err
