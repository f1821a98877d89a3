"""`bellwire people find`: keys with proof, and a chat that takes a name for nobody else."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.logs import MLDSA44, ORIGIN, WITNESSES, SmallLog
from tests.ledger.test_monitor import files_of
from tests.ledger.test_people import joined

from bellwire.admission.possession import public_bytes
from bellwire.chat.messenger.home import Home, make, person_of
from bellwire.cli import main, output
from bellwire.cli.register import _with_identity
from bellwire.ledger.entries.codec import encode
from bellwire.ledger.entries.fields import KeyAlgorithm, PublicKey
from bellwire.ledger.entries.model import Entry, Registration
from bellwire.node.settings import load

TRUST = ("--key", str(MLDSA44.verifier))


def as_bobby(number: int, signing: bytes) -> Registration:
    keys = (
        PublicKey(KeyAlgorithm.ED25519, signing[:32]),
        PublicKey(KeyAlgorithm.ML_DSA_65, signing[32:]),
    )
    like = joined(number, "bobby", 1)
    return Registration(
        v=1,
        at=like.at,
        writer=like.writer,
        epoch=like.epoch,
        sequence=like.sequence,
        handle="bobby",
        keys=keys,
        verdict="secure",
    )


def export(folder: Path, *entries: Entry) -> Path:
    for name, content in files_of(SmallLog([encode(each) for each in entries])).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any]]:
    output.forget()
    code = main.run([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_keys_are_found_with_proof_and_pinned_in_a_chat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    keks = f"file:{tmp_path / 'keks'}"
    for who in ("alice", "bob"):
        make(state, who, Home(who, "", "ws://127.0.0.1:1", keks))
    with person_of(state, "bob") as person:
        public, fingerprint = person.identity.public.public_bytes, person.fingerprint.hex()
    settings = load(None, {"state": {"dir": state}})
    registered = _with_identity(tmp_path / "keys", settings, "bob")
    assert public == b"".join(public_bytes(registered[each]) for each in ("ed25519", "ml-dsa-65"))
    assert sorted(each.name for each in (tmp_path / "keys").iterdir()) == [
        "ml-dsa-44.key",
        "ml-kem-768.key",
        "p-256.key",
    ]

    folder = export(tmp_path / "log", joined(0, "carol", 3), as_bobby(1, public))
    find = ("people", "find", "@Bobby", "--log", folder, *TRUST, "--state", state)
    receipt = tmp_path / "bobby.tlog-proof"
    code, found = run(capsys, *find, "--as", "alice", "--receipt", receipt)
    assert (code, found["number"], found["identity"]) == (0, 1, fingerprint)
    assert (found["origin"], found["size"], found["witnesses"]) == (ORIGIN, 2, [])
    assert run(capsys, "log", "verify", receipt, *TRUST)[1]["entry"]["index"] == 1
    output.forget()
    assert main.run([*map(str, find)]) == 0
    assert f"in chat     {fingerprint}" in capsys.readouterr().out

    watch = ("log", "watch", folder, *TRUST, "--once", "--known", "--state", state)
    assert run(capsys, *watch)[0] == 0
    export(folder, joined(0, "carol", 3), as_bobby(1, public), joined(2, "bobby", 7))
    code, seen = run(capsys, *watch)
    assert (code, [(each["what"], each["number"]) for each in seen["findings"]]) == (
        3, [("their name", 2)]
    )  # fmt: skip
    code, refused = run(capsys, *find)
    assert (code, "ed25519, ml-dsa-65" in refused["error"]["message"]) == (3, True)
    code, changed = run(capsys, *find, "--accept")
    assert (code, changed["number"], changed["earlier"]) == (0, 2, [1])
    assert run(capsys, *watch)[0] == 0
    code, refused = run(capsys, *find, "--as", "alice")  # the chat knows the first one
    assert (code, "expected bobby to be" in refused["error"]["message"]) == (3, True)
    assert run(capsys, *find, "--as", "alice", "--accept")[0] == 0

    for words, code in (
        (("people", "find", "dave", *find[3:]), 3),
        (("people", "find", "!", *find[3:]), 2),
        ((*find, "--writer", "admission-b"), 3),
        ((*find, "--witness", WITNESSES[0][1].verifier), 3),
        ((*find, "--as", "nobody"), 2),
    ):
        got, refused = run(capsys, *words)
        assert (got, refused["error"]["code"]) == (code, code), words
    export(folder, joined(0, "carol", 3), as_bobby(1, public))  # put back
    assert run(capsys, *find)[0] == 3
