"""The console's pages in real browsers, all services behind them; steps: `console/journeys`."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from tests.pages.services import ACCOUNT, CORRESPONDENT, DEVICE, operators_links
from tools import console_build

from bellwire.admission.keys import KINDS, own_keys
from bellwire.ledger.policy import parse_policy
from bellwire.ledger.receipt import parse_receipt, verify_receipt
from bellwire.ledger.tree import leaf_hash


def test_every_journey_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = console_build.need_node()
    console_build.build(node, all_packages=True)
    with operators_links(tmp_path) as (link, other):
        monkeypatch.setenv("LINK", link)
        monkeypatch.setenv("OTHER_LINK", other)
        monkeypatch.setenv("SAID", str(tmp_path / "said"))
        monkeypatch.setenv("RECEIPT", str(tmp_path / "receipt"))
        monkeypatch.setenv("REGISTERED", str(tmp_path))
        monkeypatch.setenv("TALKER", "\n".join([sys.executable, "-m", "tests.pages.talker"]))
        monkeypatch.setenv("DEVICE", "\n".join([*DEVICE, str(tmp_path / "s")]))
        monkeypatch.setenv("CORRESPONDENT", "\n".join([*CORRESPONDENT, str(tmp_path / "s")]))
        newcomer = (*ACCOUNT, str(tmp_path / "s"), "fern", "a")
        monkeypatch.setenv("ACCOUNT", "\n".join(newcomer))
        said = console_build.run(
            node, console_build.VITEST, "run", "--config", console_build.JOURNEYS
        )
    assert "3 passed" in said, "the journeys were not run"
    receipt = parse_receipt((tmp_path / "receipt").read_bytes())
    policy = parse_policy((tmp_path / "s" / "ledger.policy").read_bytes())
    verify_receipt(receipt, leaf_hash(receipt.extra or b""), policy)
    for name in ("attic-reader", "cellar-reader"):
        made = keys_of_the_page(tmp_path, name)
        certificate = x509.load_pem_x509_certificate((made / "client.crt").read_bytes())
        assert certificate.public_key() == own_keys(made)["p-256"].public_key()


def keys_of_the_page(home: Path, name: str) -> Path:
    """The folder that a page saved, with a key of each kind, as `bellwire register` has it."""
    subprocess.run(["tar", "-xf", f"{name}.tar"], cwd=home, check=True)
    files = {each.name for each in (home / name).iterdir()}
    assert files == {*(f"{kind}.key" for kind in KINDS), "client.crt", "ca.crt"}
    return home / name
