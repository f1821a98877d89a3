"""`bellwire keys follow` at both ends, joined by a pipe, over real mutual TLS."""

import json
import os
import stat
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from tests.patience import PATIENCE_S
from tests.simulators.kme import Handler, Reply, Vendor, vendor

SRC = Path(__file__).resolve().parents[3] / "src"


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Vendor]:
    with vendor(tmp_path / "vendor") as found:
        yield found


def begin(
    boxes: Vendor, sae: str, *words: object, stdin: "int | IO[str] | None" = subprocess.DEVNULL
) -> "subprocess.Popen[str]":
    """`keys follow` as an SAE, at its own box."""
    box, peer = (boxes.alice, "sae-bob") if sae == "sae-alice" else (boxes.bob, "sae-alice")
    certificate, key = boxes.sae[sae]
    line = ["--kme", box.url, "--cert", certificate, "--key", key, "--ca", boxes.authority.file]
    return subprocess.Popen(
        [sys.executable, "-m", "bellwire", "keys", "follow", *map(str, (*line, "--sae", peer)),
         *map(str, words)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )  # fmt: skip


def ended(process: "subprocess.Popen[str]", code: int = 0) -> tuple[list[list[str]], str]:
    """Words of each line that it printed, and what it said beside."""
    with process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, err
    return [line.split() for line in out.splitlines()], err


def test_both_ends_print_the_same_keys_in_the_same_order(boxes: Vendor) -> None:
    master = begin(boxes, "sae-alice", "--every", 0.05, "--number", 4)
    drawn, _ = ended(master)
    assert len({key_id for key_id, _ in drawn}) == 4
    assert {len(b64decode(key)) for _, key in drawn} == {32}
    slave = begin(boxes, "sae-bob", "--fetch", stdin=subprocess.PIPE)
    assert slave.stdin is not None
    slave.stdin.write("".join(f"{key_id}\n" for key_id, _ in drawn) + "\n")
    fetched, _ = ended(slave)
    assert fetched == drawn


def test_keys_go_into_files_and_ids_through_a_pipe(boxes: Vendor, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "a.psk", tmp_path / "b.psk"
    ours.write_text("of before")
    master = begin(boxes, "sae-alice", "--every", 0.05, "--number", 3, "--out", ours)
    slave = begin(boxes, "sae-bob", "--fetch", "--number", 3, "--out", theirs, stdin=master.stdout)
    assert master.stdout is not None
    master.stdout.close()
    with master:
        master.wait(PATIENCE_S)
    ids, _ = ended(slave)
    assert [len(line) for line in ids] == [1, 1, 1]
    assert ours.read_text() == theirs.read_text()
    assert len(b64decode(ours.read_text())) == 32
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("words", "sizes", "keys"),
    [(("--uses", 2), [1, 1, 1, 1, 1], 3), (("--bytes", 100), [60, 60, 40, 100], 4)],
)
def test_messages_on_standard_input_use_a_key_up(
    boxes: Vendor, words: tuple[object, ...], sizes: list[int], keys: int
) -> None:
    process = begin(boxes, "sae-alice", *words, "--number", keys, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write("".join(f"{size}\n" for size in sizes))
    process.stdin.flush()  # and it stays open: the number of keys ends it
    assert process.stdout is not None
    lines = [process.stdout.readline().split() for _ in range(keys)]
    with process:
        assert process.wait(PATIENCE_S) == 0
    assert len({key_id for key_id, _ in lines}) == keys


def test_the_end_of_standard_input_ends_what_counts_messages(boxes: Vendor, tmp_path: Path) -> None:
    file = tmp_path / "sizes"
    file.write_text("1\n1\n")
    with file.open() as sizes:
        lines, _ = ended(begin(boxes, "sae-alice", "--uses", 2, stdin=sizes))
    assert len(lines) in {1, 2}  # the first key; the next one too if it came before the end


def test_a_server_without_keys_is_asked_again(boxes: Vendor) -> None:
    left = [3]

    def fault(_: Handler, __: str, ___: object) -> "Reply | None":
        left[0] -= 1
        if not left[0]:
            boxes.alice.fault = None
        return 503, {"message": "key data access error"}

    boxes.alice.fault = fault
    lines, said = ended(begin(boxes, "sae-alice", "--every", 60, "--number", 1))
    assert len(lines) == 1
    assert said.count("no key yet, asking again") == 1


def test_an_id_without_a_key_is_told_and_the_next_is_fetched(boxes: Vendor) -> None:
    drawn, _ = ended(begin(boxes, "sae-alice", "--every", 0.05, "--number", 2))
    slave = begin(boxes, "sae-bob", "--fetch", stdin=subprocess.PIPE)
    assert slave.stdin is not None
    ids = [drawn[0][0], "00000000-0000-4000-8000-000000000000", drawn[1][0]]
    slave.stdin.write("".join(f"{each}\n" for each in ids))
    fetched, said = ended(slave)
    assert fetched == drawn
    assert ids[1] in said


@pytest.mark.parametrize(
    "words",
    [(), ("--every", 0), ("--every", -1), ("--fetch", "--every", 1), ("--every", 1, "--number", 0),
     ("--every", "nan"), ("--every", 1, "--out", "/nowhere/at/all"), ("--every", 1, "--size", 7)],
    ids=range(8),
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(boxes: Vendor, words: tuple[object, ...]) -> None:
    _, said = ended(begin(boxes, "sae-alice", *words), code=2)
    assert "expected" in said


def test_lines_that_are_no_sizes_are_refused(boxes: Vendor) -> None:
    for line in ("x\n", "-1\n", "1.5\n", "9" * 30 + "\n", "z" * 100_000):
        process = begin(boxes, "sae-alice", "--uses", 5, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(line)
        _, said = ended(process, code=2)
        assert "expected" in said
        assert json.dumps(said)
