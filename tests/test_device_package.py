"""The second distribution: what it holds, and that this is enough to enrol and send."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tests.iot.test_command_line import cloud_process
from tests.patience import PATIENCE_S

from bellwire.base.local import LocalServer
from bellwire.base.private import own_folder
from bellwire.iot.identity import load_or_create
from bellwire.keys.messages import REQUEST_LIMIT, Draw, Fetch, Key, decode_request, encode
from bellwire.keys.model import KeySourceKind

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "packaging" / "bellwire-device"
HEAVY = ("numpy", "numba", "fastapi", "sqlalchemy", "matplotlib")
TOKEN = "pkcs11:token=t;object=d?module-path=/nowhere.so&pin-source=file:/nowhere"
START = "from bellwire.cli.device_entry import main; main()"

GUARD = f"""
import sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError("too heavy for a device: " + name)
sys.meta_path.insert(0, Guard())
"""


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    found = ModuleType("hatch_build")
    found.__file__ = str(PROJECT / "hatch_build.py")
    exec(compile((PROJECT / "hatch_build.py").read_text(), found.__file__, "exec"), vars(found))
    return found


@pytest.fixture
def tree(hook: ModuleType, tmp_path: Path) -> Path:
    """The wheel's files, and nothing else of bellwire."""
    place = tmp_path / "tree"
    for file in hook.modules().values():
        target = place / file.relative_to(ROOT / "src")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return place


ALONE = """
import importlib.metadata
version = importlib.metadata.version
def of_the_device_alone(name):
    if name == "bellwire":
        raise importlib.metadata.PackageNotFoundError(name)
    return "1.0" if name == "bellwire-device" else version(name)
importlib.metadata.version = of_the_device_alone
"""
"""Only the device is installed, as far as the program can know."""

NO_EXTRAS = """
class NoExtras:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keyring", "pkcs11", "aiomqtt"):
            raise ModuleNotFoundError("no extra is installed: " + name)
sys.meta_path.insert(0, NoExtras())
"""


def device(tree: Path, *arguments: object, before: str = "") -> subprocess.CompletedProcess[str]:
    # What is measured of the sources is not measured of a copy of them, which is gone afterwards.
    environment = {name: each for name, each in os.environ.items() if "COVERAGE" not in name}
    environment |= {"PYTHONPATH": str(tree), "HOME": str(tree.parent)}
    return subprocess.run(
        [sys.executable, "-c", GUARD + before + START, *map(str, arguments)],
        env=environment,
        cwd=tree.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_the_device_enrols_and_sends_to_a_cloud_of_the_whole_product(
    tree: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("n\n1\n2\n3\n")
    state = ("--state", tmp_path / "device")
    whole = "from bellwire.cli.entry import main; main()"
    invite = [sys.executable, "-c", whole, "cloud", "invite", "--name", "sensor-7", "--json"]
    invite += ["--state", str(tmp_path / "cloud")]
    invited = json.loads(subprocess.run(invite, capture_output=True, check=True).stdout)
    with cloud_process(tmp_path / "cloud", "--listen", "127.0.0.1:0", "--qkd", "off") as (_, ready):
        to = ("--to", ready["listen"])
        done = device(tree, "enroll", "--code", invited["code"], *to, *state, "--json")
        assert done.returncode == 0, done.stderr
        done = device(tree, "send", "--data", data, "--qkd", "off", *to, *state, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["complete"] is True
    done = device(tree, "protect", "--to", f"file:{tmp_path / 'stick'}", *state, "--json")
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def two_nodes(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Delivery sockets as of two nodes of a link: what one gives out, the other has by its id."""
    keys: dict[bytes, Key] = {}

    async def answer(body: bytes) -> bytes:
        match decode_request(body):
            case Draw(bits):
                key = Key(os.urandom(16), os.urandom(bits // 8), KeySourceKind.SIMULATED)
                keys[key.key_id] = key
                return encode(key)
            case Fetch(key_id):
                return encode(keys.pop(key_id))
        raise AssertionError("expected a draw or a fetch")

    async def serve() -> None:
        servers = [LocalServer(path, answer, request_limit=REQUEST_LIMIT) for path in paths]
        for each in servers:
            await each.start()
        ready.set()
        await asyncio.to_thread(done.wait)
        for each in servers:
            await each.close()

    paths = (folder / "a" / "keys.sock", folder / "b" / "keys.sock")
    ready, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield paths
    finally:
        done.set()
        thread.join()


def test_the_device_alone_uses_keys_of_the_node_on_its_machine(tree: Path, tmp_path: Path) -> None:
    data, state = tmp_path / "data.csv", tmp_path / "device"
    data.write_text("n\n1\n2\n3\n")
    listen = ("--listen", "127.0.0.1:0", "--qkd", "require")
    with (
        two_nodes(tmp_path) as (here, there),
        cloud_process(tmp_path / "cloud", *listen, "--keys", str(there)) as (_, ready),
    ):
        names = ("--name", "d", "--cloud-key", ready["public_key"], "--allow", ready["allowed"])
        done = device(tree, "enroll", *names, "--state", state)
        assert done.returncode == 0, done.stderr
        send = ("--data", data, "--to", ready["listen"], "--state", state, "--json")
        done = device(tree, "send", "--keys", here, *send)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["qkd_source"] == "simulated"
        done = device(tree, "send", "--keys", tmp_path / "none.sock", *send)
        assert done.returncode == 4, done.stderr


def test_the_device_says_what_it_has_not(tree: Path, tmp_path: Path) -> None:
    device_state = ("--state", tmp_path / "device")
    key = ROOT / "tests" / "iot" / "no-such.pub"
    done = device(tree, "enroll", "--cloud-key", key, *device_state)
    assert (done.returncode, "public key of a cloud" in done.stderr) == (2, True)
    done = device(tree, "send", "--live", 1, *device_state)
    assert (done.returncode, "--keys SOCKET" in done.stderr) == (2, True)
    done = device(tree, "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("bellwire ")


@pytest.mark.parametrize("extra", ["keyring", "pkcs11", "mqtt"])
def test_who_lacks_a_library_on_a_device_is_told_of_the_devices_own_extra(
    tree: Path, tmp_path: Path, extra: str
) -> None:
    state = ("--state", tmp_path / "device")
    load_or_create(own_folder(tmp_path / "device" / "device"))
    data = tmp_path / "data.csv"
    data.write_text("n\n1\n")
    asked: tuple[object, ...] = ("protect", "--to", TOKEN if extra == "pkcs11" else extra)
    if extra == "mqtt":
        asked = ("send", "--data", data, "--qkd", "off", "--to", "mqtt://127.0.0.1:1/fleet")
    done = device(tree, *asked, *state, before=ALONE + NO_EXTRAS)
    assert done.returncode != 0
    assert f"pip install 'bellwire-device[{extra}]'" in " ".join(done.stderr.split())
    assert "./bellwire extras" not in done.stderr


def test_no_module_of_the_device_imports_what_is_too_heavy(hook: ModuleType) -> None:
    found = hook.modules()
    assert "bellwire.iot.device" in found
    for name, file in found.items():
        words = {
            line.strip().split(" ")[1].split(".")[0]
            for line in file.read_text().splitlines()
            if line.strip().startswith(("import ", "from ")) and len(line.split()) > 1
        }
        assert not words & set(HEAVY), name


def test_the_devices_dependencies_are_some_of_the_whole_products_in_the_same_versions() -> None:
    def read(path: Path) -> dict[str, object]:
        found: dict[str, object] = tomllib.loads(path.read_text())["project"]
        return found

    whole, alone = read(ROOT / "pyproject.toml"), read(PROJECT / "pyproject.toml")
    ours, theirs = alone["dependencies"], whole["dependencies"]
    assert isinstance(ours, list)
    assert isinstance(theirs, list)
    assert set(ours) <= set(theirs)
    ours, theirs = alone["optional-dependencies"], whole["optional-dependencies"]
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    assert ours.items() <= theirs.items()
