"""`bellwire node`: what it refuses, and that it survives being killed."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.demo.runs import Place
from tests.keys.stores import data_key
from tests.patience import PATIENCE_S

from bellwire.base.detections import Side
from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.cli.main import run
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.store import KeyStore
from bellwire.node.assemble import SITES
from bellwire.node.first_contact import new_authentication_key
from bellwire.node.operator import OperatorClient

PROGRAM = str(Path(sys.executable).parent / "bellwire")
STOCK = 40_000


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    new_authentication_key(path)
    return path


def refused(capsys: pytest.CaptureFixture[str], *line: object) -> str:
    assert run([str(word) for word in line]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert "unexpected" not in err
    return err


def test_a_port_in_use_is_a_sentence_and_costs_no_key(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refused(
            capsys, "node", "--site", "b", "--state", tmp_path / "s", "--listen", listen,
            "--authentication-key", key,
        )  # fmt: skip
    assert f"cannot listen on {listen}" in said
    assert "in use" in said
    store = tmp_path / "s" / "node-b"
    with contextlib.closing(
        KeyStore.open(store / "keys.sqlite", data_key(store), Side.BOB)
    ) as kept:
        assert kept.has_preplaced()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "expected --site a or --site b"),
        (["--site", "c"], "expected --site a or --site b"),
        (["--site", "b", "--listen", "nowhere"], "expected HOST:PORT, got 'nowhere'"),
        (["--site", "a", "--peer", "host:99999"], "expected HOST:PORT, got 'host:99999'"),
        (["--site", "a", "--seed", "1"], "--seed makes this node's choices known in advance"),
        (["--site", "a", "--wings"], "No such option: --wings"),
        (["--site", "a"], "this node has no authentication key yet"),
        (["--site", "a", "--authentication-key", "nothing"], "got no file"),
        (["--new-authentication-key", "/proc/bellwire"], "/proc/bellwire"),
        (["--identity"], "expected --site a or --site b"),
        (["--site", "a", "--first-contact", "trust"], "expected 'preplaced' or 'signed'"),
        (["--site", "a", "--first-contact", "signed"], "expected this node's identity in"),
        (["--site", "a", "--peer-identity", "12"], "expected 64 hexadecimal digits, got '12'"),
        (
            ["--site", "a", "--first-contact", "signed", "--authentication-key", "k"],
            "expected no --authentication-key",
        ),
        (["--site", "a", "--config", "nothing.toml"], "got no file at nothing.toml"),
    ],
)
def test_wrong_use_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert sentence in refused(capsys, "node", "--state", tmp_path / "s", *arguments)


def test_a_seed_at_the_link_is_for_the_lab_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "link", "--state", tmp_path / "s", "--seed", "1")
    assert "only in the lab" in said


@pytest.mark.parametrize("service", [["node", "--site", "a"], ["link"], ["cloud"]])
@pytest.mark.parametrize("folder", ["/proc/bellwire", "file/below"])
def test_a_state_folder_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, key: Path, service: list[str], folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / folder
    more = ["--authentication-key", key] if service[0] == "node" else []
    assert str(place) in refused(capsys, *service, "--state", place, *more)
    assert key.exists()


def test_a_new_authentication_key_is_written_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new"
    assert run(["node", "--new-authentication-key", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "written": str(path),
        "bytes": path.stat().st_size,
    }
    assert "got one" in refused(capsys, "node", "--new-authentication-key", path)


def test_an_identity_is_made_once_and_compared_by_its_fingerprint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["node", "--site", "a", "--identity", "--state", str(tmp_path / "s")]
    assert run(line) == 0
    told = json.loads(capsys.readouterr().out)
    assert run(line) == 0
    assert json.loads(capsys.readouterr().out) == told
    public = load_pem_public_key(Path(told["public_key"]).read_bytes())
    assert isinstance(public, MLDSA65PublicKey)
    assert told["identity"] == hashlib.sha256(public.public_bytes_raw()).hexdigest()
    assert (told["site"], told["algorithm"]) == ("a", "ML-DSA-65")
    signed = ["node", "--site", "a", "--state", tmp_path / "s", "--first-contact", "signed"]
    assert "fingerprint of the peer's identity for a signed first contact, got" in refused(
        capsys, *signed
    )
    own = refused(capsys, *signed, "--peer-identity", told["identity"])
    assert "that of our own" in own


# -- killed and started again ------------------------------------------------------------------


class Site:
    """A real link and two real nodes that distil to a stock, in one state folder."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.address = ""
        self.more: dict[str, list[str]] = {}
        self.environment = place.environment(
            BELLWIRE_DISTILL__PROTOCOL="bb84",
            BELLWIRE_DISTILL__PULSES="50000",
            BELLWIRE_DISTILL__TARGET_STOCK_BITS=str(STOCK),
            BELLWIRE_DISTILL__PROBE_INTERVAL_S="0.2",
        )

    def begin(self, name: str) -> dict[str, Any]:
        """Start `link`, `b` or `a`, and wait until it is ready."""
        line = ["link"] if name == "link" else ["node", "--site", name, "--kme", "127.0.0.1:0"]
        if name == "b":
            line += ["--listen", self.address or "127.0.0.1:0"]
        if name == "a":
            line += ["--peer", self.address]
        line += self.more.get(name, [])
        key = self.place.root / f"key-{name}"
        if key.exists():
            line += ["--authentication-key", str(key)]
        with (self.place.root / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [PROGRAM, *line, "--state", str(self.place.state), "--with-parent"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment,
            )
        self.running[name] = process
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, (self.place.root / f"{name}.log").read_text()
        ready: dict[str, Any] = json.loads(said)
        if name == "b":
            self.address = ready["classical"]
        return ready

    def end(self, name: str, number: signal.Signals) -> int:
        process = self.running.pop(name)
        process.send_signal(number)
        code = process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        return code

    def store(self, name: str) -> KeyStore:
        """The store of a node that does not run."""
        folder = self.place.state / f"node-{name}"
        return KeyStore.open(folder / "keys.sqlite", data_key(folder), SITES[name])

    async def stock(self, at_least: int) -> None:
        client = OperatorClient(self.place.state / "node-a" / "operator.sock")
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(BellwireError):
                    if (await client.accounts()).stock_bits >= at_least:
                        return
                await asyncio.sleep(0.02)

    async def share_a_key(self) -> tuple[str, Secret]:
        """Draw a key at A, fetch it at B."""
        alice, bob = (DeliveryClient(self.place.state / f"node-{s}" / "keys.sock") for s in "ab")
        drawn = await until_it_works(lambda: alice.draw(256))
        fetched = await until_it_works(lambda: bob.fetch(drawn.key_id))
        assert drawn.key == fetched.key
        return str(drawn.key_id), drawn.key


async def until_it_works(ask: Any) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await ask()
            except BellwireError:
                await asyncio.sleep(0.02)


@pytest.fixture
def site() -> Iterator[Site]:
    with Place.fresh() as place:
        key = place.root / "key-a"
        new_authentication_key(key)
        copy = os.open(place.root / "key-b", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(copy, key.read_bytes())
        os.close(copy)
        site = Site(place)
        try:
            yield site
        finally:
            for name in list(site.running):
                site.end(name, signal.SIGKILL)


@pytest.mark.parametrize("victim", ["a", "b"])
def test_a_node_killed_while_blocks_run_goes_on_where_it_was_and_repeats_no_key(
    site: Site, victim: str
) -> None:
    keys: dict[str, bytes] = {}

    def share() -> None:
        name, key = asyncio.run(site.share_a_key())
        assert name not in keys
        assert key.reveal() not in keys.values()
        keys[name] = key.reveal()

    for name in ("link", "b", "a"):
        site.begin(name)
    share()
    last = 0
    for _ in range(2):
        assert site.end(victim, signal.SIGKILL) == -signal.SIGKILL
        with contextlib.closing(site.store(victim)) as store:
            assert store.last_block() >= last
            last = store.last_block()
        site.begin(victim)
        share()
    asyncio.run(site.stock(STOCK))
    assert [site.end(name, signal.SIGTERM) for name in ("a", "b", "link")] == [0, 0, 0]
    with (
        contextlib.closing(site.store("a")) as alice,
        contextlib.closing(site.store("b")) as bob,
    ):
        assert alice.last_block() == bob.last_block() > last
        assert alice.pending() == bob.pending() == []
        for block in range(1, alice.last_block() + 1):
            assert alice.state(block) is bob.state(block)
        pools = [store.pool() for store in (alice, bob)]
        for pool, store in zip(pools, (alice, bob), strict=True):
            pool.load(store.authentication_keys().mac_key)
        assert pools[0].ladder(64) == pools[1].ladder(64)
        assert pools[0].marks.next_unit == pools[1].marks.next_unit > 0


def test_nodes_meet_by_signatures_though_one_is_killed_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def met(site: Site) -> list[str]:
        ends = [OperatorClient(site.place.state / f"node-{s}" / "operator.sock") for s in "ab"]
        async with asyncio.timeout(PATIENCE_S):
            while True:
                told = [(await until_it_works(end.accounts)).first_contact for end in ends]
                if None not in told:
                    return told
                await asyncio.sleep(0.02)

    with Place.fresh() as place:
        site, identities = Site(place), {}
        for name in "ab":
            assert run(["node", "--site", name, "--identity", "--state", str(place.state)]) == 0
            identities[name] = json.loads(capsys.readouterr().out)["identity"]
        for name, peer in ("ab", "ba"):
            site.more[name] = ["--first-contact", "signed", "--peer-identity", identities[peer]]
        try:
            for name in ("b", "a"):
                site.begin(name)
            site.end("b", signal.SIGKILL)
            site.begin("b")
            assert asyncio.run(met(site)) == ["ML-DSA-65 signed exchange"] * 2
            assert [site.end(name, signal.SIGTERM) for name in ("a", "b")] == [0, 0]
        finally:
            for name in list(site.running):
                site.end(name, signal.SIGKILL)
        with (
            contextlib.closing(site.store("a")) as alice,
            contextlib.closing(site.store("b")) as bob,
        ):
            assert alice.authentication_keys() == bob.authentication_keys()
            contacts = [store.first_contact() for store in (alice, bob)]
            assert [contact and contact.peer.hex() for contact in contacts] == [
                identities["b"],
                identities["a"],
            ]


def test_a_random_device_that_does_not_pass_is_a_refusal_with_its_reason(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["node", "--site", "b", "--state", tmp_path / "s", "--authentication-key", key]
    assert run([str(word) for word in [*line, "--random", "device:/dev/zero"]]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "the repetition count test of the random device failed" in err
    assert "Traceback" not in err
    said = refused(capsys, *line[:-2], "--random", f"device:{tmp_path / 'none'}")
    assert "expected a random device at" in said
    assert "random.source" in refused(capsys, *line[:-2], "--random", "dice")
