"""DES is broken here as it should be, and is nowhere else."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.cli.main import run
from bellwire.distill.errors import ParameterError
from bellwire.lab import des
from bellwire.lab.kernels import des as kernel
from bellwire.node import settings as product

ROOT = Path(__file__).resolve().parents[2]


def openssl(key: int, block: int) -> int:
    """A block under a DES key of 56 bits, by OpenSSL: three times one key is DES."""
    single = kernel.spread(key).to_bytes(8, "big")
    cipher = Cipher(TripleDES(3 * single), modes.ECB()).encryptor()
    return int.from_bytes(cipher.update(block.to_bytes(8, "big")), "big")


def accepted(key: int, plain: int, sealed: int) -> bool:
    """Whether the kernel takes a block for what another becomes under a key."""
    block, wanted = np.uint64(kernel.initial(plain)), np.uint64(kernel.initial(sealed))
    tables = kernel.schedule(key), kernel.DELTAS[:1], kernel.BOXES
    found = kernel.search(*tables, block, wanted, np.int64(0), np.int64(1))
    return int(found) == 0


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**56 - 1), st.integers(0, 2**64 - 1), st.integers(0, 63))
def test_the_kernel_is_the_des_of_openssl(key: int, block: int, flipped: int) -> None:
    sealed = openssl(key, block)
    assert accepted(key, block, sealed)
    assert not accepted(key, block, sealed ^ 1 << flipped)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**56 - 1), st.integers(0, 2**64 - 1), st.integers(1, 12))
def test_a_search_finds_the_key_wherever_it_lies(key: int, block: int, unknown: int) -> None:
    given_bits = key >> unknown << unknown
    told: list[int] = []
    found, tried = des.search(block, openssl(key, block), given_bits, unknown, told.append)
    assert found == key
    assert tried == sum(told) == 1 << unknown


def test_a_key_that_is_not_there_is_not_found() -> None:
    assert des.search(1, openssl(1 << 40, 1), 0, 10) == (None, 1024)


def test_a_search_over_several_parts_stops_at_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(des, "CHUNK_BITS", 6)
    monkeypatch.setattr(des, "available", lambda: 2)
    for low in (0, 63, 64, 700, 1023):
        number = low ^ low >> 1
        assert des.search(7, openssl(number, 7), 0, 10)[0] == number
    assert des.search(7, openssl(0, 7), 0, 10) == (0, 128), "the rest is not tried"


def test_a_demonstration_recovers_the_text_and_reckons_from_what_it_measured() -> None:
    text = b"temperature;21.5\n" * 20
    broken = des.demonstrate(text, unknown=12, machines=100)
    assert broken.recovered
    assert broken.data_bytes == len(text)
    assert broken.keys_per_s == pytest.approx(broken.tried / broken.search_s)
    assert broken.des_s == pytest.approx(2**56 / broken.keys_per_s)
    assert broken.des_machines_s == pytest.approx(broken.des_s / 100)
    assert broken.aes_years > 1e50 > broken.des_s
    assert broken.aes_machines_years == pytest.approx(broken.aes_years / 100)
    assert broken.des_sealed != broken.aes_sealed
    assert json.loads(broken.to_json()) == broken.to_dict()


@pytest.mark.parametrize(
    ("data", "words", "said"),
    [
        (b"short", {}, "data: expected 8 to"),
        (b"long enough", {"unknown": 33}, "unknown: expected 8 to 32"),
        (b"long enough", {"unknown": 7}, "unknown: expected 8 to 32"),
        (b"long enough", {"machines": 0}, "machines: expected 1 to"),
    ],
)
def test_what_cannot_be_is_refused(data: bytes, words: dict[str, int], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        des.demonstrate(data, **words)  # type: ignore[arg-type]  # one word at a time


def test_the_command_tells_and_says_that_it_is_a_demonstration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["lab", "des", "--unknown", "10"]) == 0
    out = capsys.readouterr().out
    for said in ("a demonstration; bellwire encrypts with AES-256-GCM", "gave the whole text back"):
        assert said in out, said
    readings = tmp_path / "readings.csv"
    readings.write_text("time,load\n1,2\n")
    assert run(["lab", "des", "--unknown", "10", "--data", str(readings), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data_bytes"] == 14
    assert run(["lab", "des", "--data", str(tmp_path / "none")]) == 2
    assert "No such file" in capsys.readouterr().err
    readings.write_bytes(bytes(des.MAX_DATA + 1))
    assert run(["lab", "des", "--data", str(readings)]) == 2


SOURCES = sorted((ROOT / "src" / "bellwire").rglob("*.py"))
OWN = {
    ROOT / "src" / "bellwire" / place
    for place in ("lab/des.py", "lab/kernels/des.py", "cli/lab/des.py", "cli/lab/__init__.py")
}


def imported(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_nothing_outside_the_demonstration_knows_des() -> None:
    known = re.compile(r"\bDES\b|TripleDES|decrepit|\b3DES\b")
    assert {each for each in SOURCES if known.search(each.read_text())} <= OWN
    users = {
        source
        for source in SOURCES
        if any(re.search(r"(^|\.)des(\.|$)|decrepit", name) for name in imported(source))
    }
    assert users <= OWN
    assert ROOT / "src" / "bellwire" / "lab" / "des.py" in users, "the search itself finds users"


def test_no_setting_and_no_wire_format_offers_des() -> None:
    rows = product.describe(product.load())
    said = " ".join(f"{row.name} {row.value} {row.explanation}" for row in rows)
    formats = "\n".join(page.read_text() for page in sorted((ROOT / "spec").glob("*.md")))
    assert not re.search(r"\bDES\b", said + formats)
