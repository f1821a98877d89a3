"""The scripts of the how-to on refreshing keys, as they stand there, against key servers."""

import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S
from tests.simulators.kme import Vendor, vendor

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "how-to" / "refresh-keys.md"


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Vendor]:
    with vendor(tmp_path / "vendor") as found:
        yield found


def script(folder: Path, name: str) -> Path:
    """The script of the page that names itself so."""
    blocks = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", PAGE.read_text(), re.DOTALL)
    (text,) = [each for each in blocks if f"# {name}:" in each]
    path = folder / name
    path.write_text(text)
    path.chmod(0o700)
    return path


def environment(boxes: Vendor, sae: str, **more: str) -> dict[str, str]:
    certificate, key = boxes.sae[sae]
    trust = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}
    ours = {name: value for name, value in os.environ.items() if name not in trust}
    files = {"CERT": str(certificate), "KEY": str(key), "CA": str(boxes.authority.file)}
    return {**ours, "PYTHONPATH": str(ROOT / "src"), **files, **more}


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_plain_curl_and_jq_put_one_key_into_a_file_at_each_end(
    boxes: Vendor, tmp_path: Path
) -> None:
    fetch = script(tmp_path, "psk-fetch.sh")

    def run(sae: str, *words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [fetch, *map(str, words)],
            env=environment(boxes, sae),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    ours, theirs = tmp_path / "a.psk", tmp_path / "b.psk"
    drawn = run("sae-alice", "enc", boxes.alice.url, "sae-bob", ours)
    assert drawn.returncode == 0, drawn.stderr
    key_id = drawn.stdout.strip()
    fetched = run("sae-bob", "dec", boxes.bob.url, "sae-alice", theirs, key_id)
    assert (fetched.returncode, fetched.stdout.strip()) == (0, key_id), fetched.stderr
    assert ours.read_bytes() == theirs.read_bytes()
    assert len(b64decode(ours.read_text())) == 32
    assert theirs.stat().st_mode & 0o077 == 0
    before = theirs.read_bytes()
    again = run("sae-bob", "dec", boxes.bob.url, "sae-alice", theirs, key_id)
    assert again.returncode != 0
    assert theirs.read_bytes() == before


def test_each_new_key_is_installed_at_both_ends_in_the_same_order(
    boxes: Vendor, tmp_path: Path
) -> None:
    rotate = script(tmp_path, "psk-rotate.sh")
    install = tmp_path / "install"
    install.write_text('#!/bin/sh\ncat "$1" >> "$INSTALLED"\n')
    install.chmod(0o700)

    def end(sae: str, *words: str) -> str:
        """A pipeline of one end, as the page has it."""
        box, peer = (boxes.alice, "sae-bob") if sae == "sae-alice" else (boxes.bob, "sae-alice")
        psk = tmp_path / f"{sae}.psk"
        follow = (
            f'{sys.executable} -m bellwire keys follow --kme {box.url} --cert "$CERT" --key "$KEY" '
            f'--ca "$CA" --sae {peer} --number 4 --out {psk}'
        )
        return f"{follow} {' '.join(words)} | {rotate} {psk}"

    def begin(sae: str, line: str) -> "subprocess.Popen[bytes]":
        installed = str(tmp_path / f"{sae}.installed")
        more = {"SET": str(install), "INSTALLED": installed}
        return subprocess.Popen(["sh", "-c", line], env=environment(boxes, sae, **more))

    ids = tmp_path / "ids"
    os.mkfifo(ids)
    both = [
        begin("sae-alice", f"{end('sae-alice', '--every', '0.5')} > {ids}"),
        begin("sae-bob", f"{end('sae-bob', '--fetch', '<', str(ids))} > {tmp_path / 'told'}"),
    ]
    try:
        assert [each.wait(PATIENCE_S) for each in both] == [0, 0]
    finally:
        for each in both:
            each.kill()
            each.wait()
    ours, theirs = (tmp_path / f"sae-{who}.installed" for who in ("alice", "bob"))
    # A key may be replaced before it is installed: the file has the latest.
    assert theirs.read_text().splitlines()[-1] == ours.read_text().splitlines()[-1]
    assert len((tmp_path / "told").read_text().splitlines()) == 4
