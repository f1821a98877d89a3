"""Schemathesis asks what the description of the API permits and what it forbids, over the wire."""

from pathlib import Path
from typing import Any

import pytest
from tests.web.described import answers_as_described
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
    pair.clients.context(ALICE)
    certificate, key = pair.clients.issued[ALICE]
    command: list[str | Path] = ["--request-cert", certificate, "--request-cert-key", key]
    command += ["--tls-verify", pair.clients.authority.file]
    command += ["--seed", "6", "--max-examples", str(CASES)]
    for each in operations:
        command += ["--include-operation-id", each]
    for each in left_out:
        command += ["--exclude-checks", each]
    url = "https://{}:{}".format(*pair.a.address)
    answers_as_described(known(described(pair)), url, tmp_path, *command, least=100)
