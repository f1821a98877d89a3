"""The scripts of `examples/` do what they say."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.logs import LOG, MLDSA44, WITNESSES, SmallLog, numbered
from tests.web.doors import BOB, doors

from bellwire.etsi014.errors import KmeRejected

FOLDER = Path(__file__).resolve().parent.parent / "examples"
Captured = pytest.CaptureFixture[str]


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / f"{name}.py"))


def main_of(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = script(name)["main"]
    return found


def test_every_script_is_in_the_list_and_here() -> None:
    here = Path(__file__).read_text()
    listed = (FOLDER / "README.md").read_text()
    names = [path.stem for path in sorted(FOLDER.glob("*.py"))]
    assert len(names) == 5
    assert [name for name in names if f"({name}.py)" not in listed or f'"{name}"' not in here] == []


def test_eve_is_seen_where_she_takes_much(capsys: Captured) -> None:
    main_of("eve_and_errors")(20_000)
    lines = capsys.readouterr().out.splitlines()[1:]
    bits = [int(line.split()[4].replace(",", "")) for line in lines]
    errors = [float(line.split()[1].rstrip("%")) for line in lines]
    assert bits[0] > 0 == bits[-1]
    assert errors[0] < 5 < 22 < errors[-1]


def test_longer_blocks_prove_more_for_each_pair(capsys: Captured) -> None:
    main_of("how_much_key")(0.02)
    shares = [
        float(line.split()[-1].rstrip("%")) for line in capsys.readouterr().out.splitlines()[1:]
    ]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 50 < shares[-1] < 100


def test_both_ends_read_each_other(capsys: Captured) -> None:
    main_of("channel_in_memory")()
    said = capsys.readouterr().out
    assert "the cloud reads b'21.5 degrees'" in said
    assert "the device reads b'thank you'" in said


def test_a_receipt_holds_and_an_altered_one_does_not(tmp_path: Path, capsys: Captured) -> None:
    receipt = SmallLog(numbered(9)).receipt(7, *LOG, *WITNESSES[0]).encode()
    witness = WITNESSES[0][1].verifier
    policy = tmp_path / "policy"
    policy.write_text(f"log {MLDSA44.verifier}\nwitness w {witness}\nquorum w\n")
    file = tmp_path / "7.tlog-proof"
    check = main_of("check_a_receipt")
    file.write_bytes(receipt)
    assert check(file, policy) == 0
    assert capsys.readouterr().out.startswith("entry 7 of 9 in ")
    file.write_bytes(receipt.replace(b"index 7", b"index 6"))
    assert check(file, policy) == 3
    assert capsys.readouterr().out.startswith("does not hold: ")


def test_a_message_is_read_at_the_other_site_and_its_key_is_gone(tmp_path: Path) -> None:
    from bellwire.etsi014.credentials import Credentials

    example = script("key_at_both_sites")
    example["send"].__globals__.update(MASTER="sae-alice", SLAVE=BOB)
    with doors(tmp_path) as pair:
        for name in ("sae-alice", BOB):
            pair.clients.context(name)
        ours, theirs = (
            Credentials(*pair.clients.issued[name], pair.clients.authority.file)
            for name in ("sae-alice", BOB)
        )
        at_a, at_b = ("https://{}:{}".format(*site.address) for site in (pair.a, pair.b))
        key_id, sealed = example["send"](at_a, ours, b"meet me at noon")
        assert b"noon" not in sealed
        assert example["receive"](at_b, theirs, key_id, sealed) == b"meet me at noon"
        with pytest.raises(KmeRejected):
            example["receive"](at_b, theirs, key_id, sealed)


@pytest.mark.parametrize("name", ["check_a_receipt", "key_at_both_sites"])
def test_a_script_that_needs_words_says_which(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [name])
    with pytest.raises(SystemExit, match=f"python examples/{name}.py "):
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
