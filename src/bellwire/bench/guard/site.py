"""A link with two nodes and Eve, each a process of its own, as `bellwire up` starts them."""

import asyncio
import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bellwire.base.detections import Protocol
from bellwire.base.errors import BellwireError
from bellwire.bench.guard.errors import NotMeasured
from bellwire.link.client import ControlClient
from bellwire.link.eve import Eve, EveKind
from bellwire.node.first_contact import new_authentication_key
from bellwire.node.operator import OperatorClient
from bellwire.pki.authority import Authority, authority_folder
from bellwire.pki.files import write_new

SAE = "guard-1"
PULSES = 100_000
_TRIES = 100


class Child:
    """A process that says JSON, a line at a time, on its standard output."""

    def __init__(self, line: list[str], log: Path, environment: dict[str, str]) -> None:
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        self._log = log

    @functools.cached_property
    def ready(self) -> dict[str, Any]:
        """Its first line.

        Raises:
            NotMeasured: it ended.
        """
        return self.heard()

    def heard(self) -> dict[str, Any]:
        """Its next line.

        Raises:
            NotMeasured: it ended.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise NotMeasured(f"{self._log.stem} ended: {''.join(last)[:500]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def until(self, **fields: object) -> dict[str, Any]:
        """The first line that says these."""
        while True:
            found = self.heard()
            if all(found[name] == value for name, value in fields.items()):
                return found

    def end(self) -> None:
        """Let it end in order; again is harmless."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.terminate()
        try:
            self.process.wait(10.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True)
class Site:
    """The nodes, and what is needed to ask them and to attack them."""

    folder: Path
    alice: Child
    environment: dict[str, str]

    @property
    def kme(self) -> list[str]:
        """Options that name the node of site a, and who we are to it."""
        files = self.folder / "saes"
        return [
            *("--kme", self.alice.ready["kme"]),
            *("--cert", str(files / f"{SAE}.crt"), "--key", str(files / f"{SAE}.key")),
            *("--ca", str(files / "ca.crt")),
        ]

    def start(self, name: str, *words: str, nice: int = 0) -> Child:
        """A process of ours, `python -m WORDS`, so much nicer to others than we are."""
        line = ["nice", "-n", str(nice), sys.executable, "-m", *words]
        child = Child(line, self.folder / f"{name}.log", self.environment)
        _ = child.ready
        return child

    def attack(self, *, distil: bool = False) -> None:
        """Eve measures and resends everything from now on; with `distil` she meets a block at once.

        Else it is the next probe that she is seen by.
        """
        self._set(Eve(EveKind.INTERCEPT_RESEND, 1.0))
        if distil:
            self._distil()

    def reset(self) -> None:
        """Eve is gone, and blocks are distilled until the link is GREEN again."""
        self._set(None)
        self.recover()

    def leave(self) -> None:
        """Eve is gone; probes will notice."""
        self._set(None)

    def recover(self) -> None:
        """Distil until three blocks in a row were accepted; NotMeasured if the link stays bad."""
        accepted = 0
        for _ in range(_TRIES):
            accepted = accepted + 1 if self._distil()["accepted"] else 0
            if accepted == 3:
                return
        raise NotMeasured("the link does not recover")

    def _set(self, eve: Eve | None) -> None:
        asyncio.run(ControlClient(self.folder / "link" / "control.sock").set_eve(eve))

    def _distil(self) -> dict[str, Any]:
        operator = OperatorClient(Path(self.alice.ready["operator"]))
        return asyncio.run(operator.distil(Protocol.BB84, PULSES))


@contextlib.contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Link and nodes, until the end of the block; GREEN once."""
    folder.mkdir(mode=0o700, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BELLWIRE_")} | {
        "BELLWIRE_STATE__DIR": str(folder),
        "BELLWIRE_LOG__LEVEL": "error",
        "BELLWIRE_FIRST_CONTACT__METHOD": "preplaced",
        "BELLWIRE_DISTILL__PROTOCOL": Protocol.BB84.value,
        "BELLWIRE_DISTILL__TARGET_STOCK_BITS": "0",  # blocks are asked for; else there are probes
        "BELLWIRE_ADDRESSES__METRICS_PORT": "0",
    }
    key = folder / "authentication.key"
    new_authentication_key(key)
    content = key.read_bytes()
    key.unlink()
    for name in "ab":
        copy = folder / f"authentication-{name}.key"
        copy.touch(mode=0o600)
        copy.write_bytes(content)
    authority = Authority(authority_folder(folder, "a"), "a")
    authority.create()
    write_new(authority, SAE, folder / "saes", days=1.0)
    with contextlib.ExitStack() as stack:

        def start(name: str, *words: str) -> Child:
            line = [sys.executable, "-m", "bellwire", *words, "--with-parent"]
            child = Child(line, folder / f"{name}.log", environment)
            stack.callback(child.end)
            return child

        def node(name: str, *words: str) -> Child:
            initial = str(folder / f"authentication-{name}.key")
            return start(
                f"node-{name}",
                *("node", "--site", name, "--authentication-key", initial),
                *("--kme", "127.0.0.1:0", *words),
            )

        link = start("link", "link", "--lab")
        bob = node("b", "--listen", "127.0.0.1:0")
        _ = link.ready
        made = Site(folder, node("a", "--peer", bob.ready["classical"]), environment)
        _meet(made)
        yield made


def _meet(made: Site) -> None:
    """Alice's node may still be connecting when it is asked for the first block."""
    for attempt in range(_TRIES):
        try:
            made.recover()
        except BellwireError:
            if attempt == _TRIES - 1:
                raise
        else:
            return
