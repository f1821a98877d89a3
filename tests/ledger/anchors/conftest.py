"""A real EVM node on this machine, and logs to anchor."""

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
import pytest
from tests.ledger.logs import SmallLog, numbered
from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.ledger.anchors.evm import GWEI, EvmPurse
from bellwire.ledger.anchors.rpc import NodeRpc

PACKAGE = Path(__file__).parent / "evm"
CHAIN = 31337
NAME = f"eip155:{CHAIN}"


def anvil_binary() -> Path:
    """The node's program, from npm's registry as the lock file says; fetched once per lock file."""
    lock = (PACKAGE / "package-lock.json").read_bytes()
    cache = platformdirs.user_cache_path("bellwire") / "tests"
    folder = cache / f"evm-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not folder.exists():
        own = Path(sys.executable).parent / "npm"
        npm = str(own) if own.exists() else shutil.which("npm")
        assert npm, "expected npm, from the development environment or the system, got none"
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.copytree(PACKAGE, draft)
        words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            words, cwd=draft, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        try:
            draft.rename(folder)
        except OSError:  # another test process was first
            shutil.rmtree(draft)
    # The package of the program alone: npm's wrapper leaves it behind when it is killed.
    return folder / "node_modules" / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"


class Anvil:
    """A node that makes a block for each transaction, unless it is told otherwise."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rpc = NodeRpc(url)
        self._secrets = itertools.count(1)

    def do(self, method: str, *params: object) -> Any:
        return msgspec.json.decode(self.rpc.ask(method, list(params)))

    def mine(self, blocks: int) -> None:
        self.do("anvil_mine", hex(blocks))

    def purse(self, *, most: int = 100 * GWEI, depth: int = 4, patience_s: int = 10**9) -> EvmPurse:
        """An account of its own, with means."""
        secret = Secret(next(self._secrets).to_bytes(32, "big"))
        purse = EvmPurse(NAME, CHAIN, self.rpc, secret, most, depth=depth, patience_s=patience_s)
        self.do("anvil_setBalance", purse.sender, hex(10**18))
        return purse

    def nonce(self, purse: EvmPurse) -> int:
        """How many transactions of an account are in the chain: each was paid."""
        return int(self.do("eth_getTransactionCount", purse.sender, "latest"), 16)


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    words = [str(anvil_binary()), "--port", "0", "--host", "127.0.0.1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            for line in program.stdout:
                if line.startswith("Listening on "):
                    yield f"http://{line.split()[-1]}"
                    break
            else:
                pytest.fail(f"anvil ended with {program.wait()}")
        finally:
            program.kill()


@pytest.fixture(scope="module")
def anvil(anvil_url: str) -> Iterator[Anvil]:
    node = Anvil(anvil_url)
    with node.rpc:
        yield node


@pytest.fixture(scope="module")
def log() -> SmallLog:
    return SmallLog(numbered(700))


@pytest.fixture
def moved() -> Callable[[], float]:
    """A clock that is a minute later at each look, so that nothing waits."""
    times = itertools.count(1_800_000_000, 60)
    return lambda: float(next(times))
