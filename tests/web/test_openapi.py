"""Schemathesis asks what the description of the API permits and what it forbids, over the wire."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.web.doors import ALICE, BOB, CAROL, ODD, Pair

CASES = 40


def described(pair: Pair) -> dict[str, Any]:
    with pair.a.client(ALICE) as alice:
        found: dict[str, Any] = alice.get("/openapi.json").json()
    return found


def known(description: dict[str, Any]) -> dict[str, Any]:
    """The same, for SAEs that there are: no description can say which these are."""
    for path in description["paths"].values():
        path["parameters"][0]["schema"] = {"type": "string", "enum": [BOB]}
    further = description["components"]["schemas"]["KeyRequest"]["properties"]
    further["additional_slave_SAE_IDs"]["items"] = {"type": "string", "enum": [CAROL, ODD]}
    return description


@pytest.mark.parametrize(
    ("operations", "left_out"),
    [
        (["get_status", "get_key_simple", "get_key"], []),
        # An id that fits its pattern leads to no key: it is rejected, as it should be.
        (["get_key_with_key_id", "get_key_with_key_ids"], ["positive_data_acceptance"]),
    ],
    ids=["new", "by id"],
)
def test_what_is_described_is_what_is_answered(
    pair: Pair, tmp_path: Path, operations: list[str], left_out: list[str]
) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(known(described(pair))))
    pair.clients.context(ALICE)
    certificate, key = pair.clients.issued[ALICE]
    command: list[str | Path] = [Path(sys.executable).parent / "schemathesis", "run", file]
    command += ["--no-color"]
    command += ["--url", "https://{}:{}".format(*pair.a.address)]
    command += ["--request-cert", certificate, "--request-cert-key", key]
    command += ["--tls-verify", pair.clients.authority.file, "--generation-database", "none"]
    command += ["--checks", "all", "--phases", "examples,coverage,fuzzing", "--seed", "6"]
    command += ["--max-examples", str(CASES), "--suppress-health-check", "all"]
    for each in operations:
        command += ["--include-operation-id", each]
    for each in left_out:
        command += ["--exclude-checks", each]
    trust = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}
    clean = {name: value for name, value in os.environ.items() if name not in trust}
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=clean, timeout=150.0
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr
    cases = re.search(r"(\d+) generated, (\d+) passed", run.stdout)
    assert cases is not None, run.stdout
    assert cases[1] == cases[2]
    assert int(cases[1]) > 100
