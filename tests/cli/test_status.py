"""`bellwire status`, asked of real nodes."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from tests.node.nodes import key_at_both, two_nodes

from bellwire.cli.main import run
from bellwire.keys.delivery_server import DeliveryServer
from bellwire.node.operator import operator_server


async def _asked(folder: Path, *arguments: str) -> int:
    async with contextlib.AsyncExitStack() as stack:
        pair = await stack.enter_async_context(two_nodes(folder))
        for site, node in (("a", pair.alice), ("b", pair.bob)):
            place = folder / f"node-{site}"
            place.mkdir(mode=0o700)
            await stack.enter_async_context(DeliveryServer(place / "keys.sock", node.keys))
            server = operator_server(place / "operator.sock", node)
            await stack.enter_async_context(server)
        await key_at_both(pair)
        for node in (pair.alice, pair.bob):
            await node._keep_status()
        return await asyncio.to_thread(run, ["status", "--state", str(folder), *arguments])


def test_status_shows_both_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(_asked(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.split()[:2] in (["a", "GREEN"], ["b", "GREEN"])]
    assert len(rows) == 2
    assert all("bits" in row for row in rows)
    for site in ("a", "b"):
        assert f"  First contact of node {site}: pre-placed key." in lines


def test_status_as_a_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(_asked(tmp_path, "--json")) == 0
    lines = capsys.readouterr().out.splitlines()
    (document,) = (json.loads(line) for line in lines if line.startswith('{"nodes"'))
    assert [node["site"] for node in document["nodes"]] == ["a", "b"]
    assert all(node["running"] and node["keys_may_flow"] for node in document["nodes"])
    assert all(node["stock_bits"] > 0 for node in document["nodes"])
    assert all(node["first_contact"] == "pre-placed key" for node in document["nodes"])


def test_status_shows_how_the_link_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(_asked(tmp_path, "--history", "5", "--json")) == 0
    lines = capsys.readouterr().out.splitlines()
    (document,) = (json.loads(line) for line in lines if line.startswith('{"nodes"'))
    for node in document["nodes"]:
        assert node["history"]
        assert [each["at"] for each in node["history"]] == sorted(
            each["at"] for each in node["history"]
        )
        assert set(node["history"][-1]) == {"at", "status", "stale", "qber", "reason"}
        assert node["history"][-1]["status"] == "GREEN"


def test_status_without_nodes_is_unreachable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--state", str(tmp_path)]) == 4
    assert "no node answers" in capsys.readouterr().err
