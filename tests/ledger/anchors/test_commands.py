"""`bellwire log anchor`: what its verbs say and how they end."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.anchors.conftest import NAME, Anvil
from tests.ledger.logs import MLDSA44, SmallLog

from bellwire.cli import main, output
from bellwire.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, tiles

TRUST = ("--key", str(MLDSA44.verifier))
PRIVATE = "0x" + "5b" * 32


def exported(log: SmallLog, folder: Path, size: int) -> Path:
    """A log as a folder of files."""
    for tile in tiles(size):
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        width = min(TILE_WIDTH, (size >> TILE_HEIGHT * tile.level) - TILE_WIDTH * tile.number)
        path.write_bytes(log._read(tile).hashes[: 32 * width])
    (folder / "checkpoint").write_bytes(log.note(size=size).encode())
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any]]:
    output.forget()
    code = main.run(["log", "anchor", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in (("private", PRIVATE), ("bad", "0x12")):
        (tmp_path / name).write_text(text + "\n")
        (tmp_path / name).chmod(0o600)
    return tmp_path


def test_a_log_is_anchored_shown_and_verified(
    anvil: Anvil, log: SmallLog, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ("--state", place / "state")
    chain = ("--chain", NAME)
    rented = place / "node"
    rented.write_text(f"{anvil.url}\n")
    rented.chmod(0o600)
    node = ("--rpc", rented)

    code, said = run(capsys, "key", *chain, *state, "--import", place / "private")
    assert code == 0
    sender = said["public"]
    assert run(capsys, "key", *chain, *state, "--import", place / "private")[0] == 2
    assert run(capsys, "key", *chain, *state) == (0, said)
    assert run(capsys, "protect", *chain, *state)[1]["source"] == "plain"
    to = f"file:{place / 'stick'}"
    assert run(capsys, "protect", *chain, *state, "--to", to)[0] == 0
    sealed = ("--key-protection", to)
    assert run(capsys, "key", *chain, *state)[0] == 3
    anvil.do("anvil_setBalance", sender, hex(10**18))

    folder = exported(log, place / "log", 300)
    write = ("write", folder, *TRUST, *chain, *node, *state, *sealed, "--depth", 2)
    code, begun = run(capsys, *write, "--within", 0)  # one block is there, and a second is not
    assert (code, begun["new"]) == (4, True)
    assert begun["stage"] in {"sent", "included"}
    anvil.mine(2)
    code, written = run(capsys, *write, "--within", 5)
    assert (code, written["new"], written["stage"], written["size"]) == (0, False, "final", 300)
    assert int(written["cost_wei"]) > 22_000 * 10**7
    assert run(capsys, *write)[1] == written

    assert run(capsys, "list", *state)[1]["anchors"] == [
        {name: value for name, value in written.items() if name != "new"}
    ]
    output.forget()
    assert main.run(["log", "anchor", "list", *map(str, state)]) == 0
    shown = capsys.readouterr().out
    assert written["transaction"] in shown
    assert f"block {written['block']:,}" in shown

    verify = ("verify", written["transaction"])
    how = (*TRUST, *chain, *node, *node, "--depth", 2)
    exported(log, folder, 700)
    code, held = run(capsys, *verify, folder, *how, "--by", sender)
    assert (code, held["holds"], held["anchored_size"], held["size"]) == (0, True, 300, 700)
    assert held["block_id"] == written["block_id"]
    checkpoint = place / "checkpoint"
    checkpoint.write_bytes(log.note(size=300).encode())
    assert run(capsys, *verify, checkpoint, *how)[0] == 0
    output.forget()
    assert main.run(["log", "anchor", *map(str, (*verify, checkpoint, *how))]) == 0
    assert "first 300 of 300 entries" in capsys.readouterr().out

    other = exported(SmallLog([b"rewritten", *log.entries[1:]]), place / "other", 700)
    for words, code in (
        ((folder, *how, "--by", "0x" + "0" * 40), 3),
        ((other, *how), 3),
        ((folder, *how, "--depth", 9000), 3),
        ((folder, *TRUST, "--chain", "eip155:1", *node), 3),
        ((folder, *TRUST, *chain, "--rpc", "http://127.0.0.1:1"), 4),
        ((folder, *chain, *node), 2),
        ((folder, *TRUST, "--chain", "doge", *node), 2),
    ):
        got, refused = run(capsys, *verify, *words)
        assert (got, refused["error"]["code"]) == (code, code), words
    assert run(capsys, "write", other, *write[2:], "--within", 5)[0] == 3
    assert anvil.do("eth_getTransactionCount", sender, "latest") == "0x1"


def test_what_was_asked_wrongly_is_said_and_no_key_is_shown(
    place: Path, log: SmallLog, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ("--state", place / "state")
    folder = exported(log, place / "log", 3)
    evm, hive = ("--chain", NAME), ("--chain", "hive")
    node = ("--rpc", "http://127.0.0.1:1")
    (place / "private").chmod(0o644)
    for words, code in (
        (("key", *evm, *state, "--import", place / "bad"), 2),
        (("key", *hive, *state, "--import", place / "bad"), 2),
        (("key", *evm, *state, "--import", place / "none"), 2),
        (("key", *evm, *state, "--import", place / "private"), 3),
        (("write", folder, *TRUST, *evm, *node, *state), 2),
        (("write", folder, *TRUST, *evm, "--rpc", place / "none", *state), 2),
    ):
        got, refused = run(capsys, *words)
        assert (got, refused["error"]["code"]) == (code, code), words
        assert PRIVATE not in str(refused)
    assert run(capsys, "key", *hive, *state)[1]["public"].startswith("STM")
    code, refused = run(capsys, "write", folder, *TRUST, *hive, *node, *state)
    assert (code, "--account" in refused["error"]["message"]) == (2, True)
    assert run(capsys, "list", *state) == (0, {"anchors": []})
    output.forget()
    assert main.run(["log", "anchor", "list", *map(str, state)]) == 0
    assert "nothing was anchored" in capsys.readouterr().out
