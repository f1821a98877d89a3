"""Nodes that find each other by multicast, in networks of their own, and believe no address."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.demo.runs import Place
from tests.patience import PATIENCE_S

from bellwire.base.errors import BellwireError, UsageError
from bellwire.cli.main import run
from bellwire.keys.delivery import DeliveryClient
from bellwire.node.discovery import MAX_FOUND, Announced, Found, reachable
from bellwire.node.first_contact import new_authentication_key
from bellwire.node.settings import load

SRC = Path(__file__).resolve().parents[2] / "src"
IDENTITY, OTHER = "ab" * 32, "cd" * 32
NUMBERS = itertools.count()


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@dataclass
class Networks:
    """Two networks of their own, joined by a cable.

    Attributes:
        names: Of the network namespaces.
        addresses: Of the end of the cable in each.
    """

    names: tuple[str, str]
    addresses: tuple[str, str]

    def begin(
        self, which: int, *words: str, environment: dict[str, str] | None = None, **more: Any
    ) -> "subprocess.Popen[str]":
        """Start Python in a network."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.names[which], sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**(environment or os.environ), "PYTHONPATH": str(SRC)},
            **more,
        )


@pytest.fixture
def networks() -> Iterator[Networks]:
    mark = f"{os.getpid()}x{next(NUMBERS)}"
    names = (f"bwa{mark}", f"bwb{mark}")
    ends = [f"va{mark}"[:15], f"vb{mark}"[:15]]
    addresses = ("10.211.55.1", "10.211.55.2")
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1],
           "netns", names[1])  # fmt: skip
        for name, end, address in zip(names, ends, addresses, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", end)
            for each in ("lo", end):
                ip("-n", name, "link", "set", each, "up")
            ip("-n", name, "route", "add", "224.0.0.0/4", "dev", end)
        yield Networks(names, addresses)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


ANNOUNCER = """
import asyncio, sys
from bellwire.node.discovery import announced
async def main():
    async with announced(sys.argv[1], sys.argv[2], int(sys.argv[3])):
        print("announced", flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""

LISTENER = """
import asyncio, json, sys
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf
from bellwire.node.discovery import SERVICE, looked_for
async def until(condition):
    while not condition():
        await asyncio.sleep(0.02)
async def main():
    async with looked_for() as found:
        await until(found.all)
        own = AsyncZeroconf()
        info = AsyncServiceInfo(SERVICE, next(iter(found._by_name)))
        while not await info.async_request(own.zeroconf, 3000):
            pass
        await own.async_close()
        told = {key.decode(): value.decode() for key, value in info.properties.items()}
        print(json.dumps([
            [[each.identity, each.addresses] for each in found.all()], told, info.server, info.name
        ]), flush=True)
        await until(lambda: not found.all())
        print("gone", flush=True)
asyncio.run(main())
"""


@contextlib.contextmanager
def announcing(networks: Networks, identity: str, host: str, port: int) -> Iterator[None]:
    with networks.begin(1, "-c", ANNOUNCER, identity, host, str(port)) as process:
        while (said := line_of(process)) != "announced\n":
            assert "announced on the local network" in said
        try:
            yield
        finally:
            process.communicate(timeout=PATIENCE_S)


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_an_announcement_says_who_and_where_and_nothing_else_and_ends_with_its_node(
    networks: Networks,
) -> None:
    with networks.begin(0, "-c", LISTENER) as listener:
        with announcing(networks, IDENTITY, "0.0.0.0", 4711):
            found, told, server, name = json.loads(line_of(listener))
        assert line_of(listener) == "gone\n"
        listener.communicate(timeout=PATIENCE_S)
    assert found == [[IDENTITY, [[networks.addresses[1], 4711]]]]
    assert told == {"v": "1", "id": IDENTITY}
    assert re.fullmatch(r"[0-9a-f]{32}\.local\.", server)
    assert name == server.replace(".local.", "._bellwire._tcp.local.")
    assert socket.gethostname() not in json.dumps([told, server, name])


def test_discover_lists_who_is_there_and_marks_the_peer(networks: Networks) -> None:
    environment = {**os.environ, "BELLWIRE_FIRST_CONTACT__PEER_IDENTITY": IDENTITY.upper()}
    where = networks.addresses[1]
    words = ("-m", "bellwire", "discover", "--wait", "2", "--json")
    out = '{"nodes": []}'
    with announcing(networks, IDENTITY, where, 1), announcing(networks, OTHER, where, 2):
        for _ in range(10):  # a machine that has much to do answers late
            with networks.begin(0, *words, environment=environment) as process:
                out, _ = process.communicate(timeout=PATIENCE_S)
            if len(json.loads(out)["nodes"]) == 2:
                break
    assert json.loads(out) == {
        "nodes": [
            {"identity": IDENTITY, "addresses": [f"{where}:1"], "pinned": True},
            {"identity": OTHER, "addresses": [f"{where}:2"], "pinned": False},
        ]
    }


SILENT = """
import socket, sys, time
with socket.create_server((sys.argv[1], 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    kept = []
    while True:
        kept.append(listening.accept()[0])
        kept[-1].close()
        print("somebody came", flush=True)
"""


def test_a_node_finds_its_peer_by_what_is_pinned_though_another_claims_to_be_it(
    networks: Networks, capsys: pytest.CaptureFixture[str]
) -> None:
    with Place.fresh() as place, contextlib.ExitStack() as stack:
        line = ["node", "--site", "b", "--identity", "--state", str(place.state)]
        assert run(line) == 0
        identity = json.loads(capsys.readouterr().out)["identity"]
        new_authentication_key(place.root / "key-a")
        key = (place.root / "key-a").read_bytes()
        (place.root / "key-b").touch(mode=0o600)
        (place.root / "key-b").write_bytes(key)
        environment = place.environment(
            BELLWIRE_DISCOVERY__ENABLED="true",
            BELLWIRE_FIRST_CONTACT__PEER_IDENTITY=identity,
            BELLWIRE_DISTILL__PROTOCOL="bb84",
            BELLWIRE_DISTILL__PULSES="50000",
            BELLWIRE_DISTILL__TARGET_STOCK_BITS="10000",
        )

        def begin(which: int, *words: str) -> "subprocess.Popen[str]":
            log = stack.enter_context((place.root / f"{len(started)}.log").open("w"))
            common = ["--state", str(place.state), "--with-parent"]
            process = networks.begin(
                which, "-m", "bellwire", *words, *common, environment=environment, stderr=log
            )
            started.append(process)
            return process

        started: list[subprocess.Popen[str]] = []
        try:
            liar = networks.begin(1, "-c", SILENT, networks.addresses[1])
            started.append(liar)
            port = int(line_of(liar))
            stack.enter_context(announcing(networks, identity, networks.addresses[1], port))
            begin(0, "link")
            assert json.loads(line_of(started[-1]))["ready"]
            begin(
                1, "node", "--site", "b", "--kme", "off", "--listen", "0.0.0.0:0",
                "--authentication-key", str(place.root / "key-b"),
            )  # fmt: skip
            assert json.loads(line_of(started[-1]))["ready"]
            # Nobody listens at the address of the settings: what is found is all that there is.
            begin(
                0, "node", "--site", "a", "--kme", "off", "--peer", "127.0.0.1:1",
                "--authentication-key", str(place.root / "key-a"),
            )  # fmt: skip
            assert json.loads(line_of(started[-1]))["ready"]
            asyncio.run(share_a_key(place))
        except BaseException as error:
            for log in sorted(place.root.glob("*.log")):
                error.add_note(f"{log.name}: {log.read_text()[-3000:]}")
            raise
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
            for process in started:
                process.communicate(timeout=PATIENCE_S)


async def share_a_key(place: Place) -> None:
    alice, bob = (DeliveryClient(place.state / f"node-{site}" / "keys.sock") for site in "ab")
    async with asyncio.timeout(PATIENCE_S):
        drawn = await until_it_works(lambda: alice.draw(256))
        fetched = await until_it_works(lambda: bob.fetch(drawn.key_id))
    assert drawn.key == fetched.key


async def until_it_works(ask: Any) -> Any:
    while True:
        try:
            return await ask()
        except BellwireError:
            await asyncio.sleep(0.05)


def test_what_is_remembered_is_bounded_and_without_repetition() -> None:
    found = Found()
    for number in range(3 * MAX_FOUND):
        found.put(f"name {number}", Announced(IDENTITY, (("10.0.0.1", 1), ("10.0.0.2", number))))
    assert len(found.addresses(IDENTITY)) == MAX_FOUND + 1
    assert found.addresses(OTHER) == []
    found.drop(f"name {3 * MAX_FOUND - 1}")
    found.drop("nobody")
    assert len(found.addresses(IDENTITY)) == MAX_FOUND


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "kme.example"])
def test_an_address_that_nobody_else_reaches_is_not_announced(host: str) -> None:
    with pytest.raises(UsageError, match="expected an address"):
        reachable(host)


def test_a_peer_must_be_pinned_to_be_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert not load().discovery.enabled
    monkeypatch.setenv("BELLWIRE_DISCOVERY__ENABLED", "true")
    new_authentication_key(tmp_path / "key")
    line = ["node", "--site", "a", "--kme", "off"]
    line += ["--state", str(tmp_path / "s"), "--authentication-key", str(tmp_path / "key")]
    assert run(line) == 2
    assert "fingerprint of the peer's identity with discovery.enabled" in capsys.readouterr().err
