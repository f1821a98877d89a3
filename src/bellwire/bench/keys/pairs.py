"""Pairs of KMEs in processes of their own, and what a client measures at them."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bellwire.bench.keys.load import MASTER, SLAVE, Load, Measured, Site
from bellwire.bench.keys.side import Began
from bellwire.node.assemble import SITES
from bellwire.pki.authority import Authority, authority_folder

PLAIN = Path(__file__).parents[4] / "benchmarks" / "plain_kme.py"
"""The plain alternative; in a checkout only."""

_SIDE = "from bellwire.bench.keys.side import main; main()"
_LOAD = "from bellwire.bench.keys.load import main; main()"
_SAES = {"a": MASTER, "b": SLAVE}

# What `base.memory` sets in ours: the alternative is not to lose by its allocator.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two KMEs that run.

    Attributes:
        sites: Where they are.
        began: What each said at its start, A's first; nothing of the alternative.
    """

    sites: tuple[Site, Site]
    began: tuple[Began, ...] = ()


def certify(state: Path) -> None:
    """Give each site its authority, its KME's certificate and one for an SAE."""
    for site, name in _SAES.items():
        authority = Authority(authority_folder(state, site), site)
        authority.create()
        authority.kme(f"kme-{site}", ["localhost", "127.0.0.1"])
        issue = authority.issue(name)
        (state / f"{name}.crt").write_bytes(issue.certificate)
        key = state / f"{name}.key"
        key.touch(mode=0o600)
        key.write_bytes(issue.key.reveal())
        (state / f"{name}.ca").write_bytes(issue.authorities)


@contextlib.contextmanager
def bellwire(state: Path) -> Iterator[Pair]:
    """Two nodes over the stores and certificates in `state`."""
    with contextlib.ExitStack() as stack:
        b, began_b = stack.enter_context(_node(state, "b", 0))
        a, began_a = stack.enter_context(_node(state, "a", began_b.classical))
        sites = (_site(state, "a", began_a.door, a), _site(state, "b", began_b.door, b))
        yield Pair(sites, (began_a, began_b))


@contextlib.contextmanager
def plain(state: Path, keys: int) -> Iterator[Pair]:
    """Two of the plain alternative, with the same certificates and `keys` keys each."""
    with contextlib.ExitStack() as stack:
        started = []
        for site in SITES:
            identity = authority_folder(state, site) / "kme.pem"
            trusted = state / f"{_SAES[site]}.ca"
            arguments = [sys.executable, PLAIN, identity, trusted, str(keys), "1"]
            process = stack.enter_context(_process([str(each) for each in arguments], _ALLOCATOR))
            started.append((site, process))
        sites = [_site(state, site, int(_line(process)), process) for site, process in started]
        yield Pair((sites[0], sites[1]))


def measure(load: Load) -> Measured:
    """Run the client.

    Raises:
        ArithmeticError: it failed, or what it got was wrong.
    """
    arguments = [sys.executable, "-c", _LOAD, msgspec.json.encode(load).decode()]
    done = subprocess.run(arguments, capture_output=True, check=False)
    if done.returncode:
        raise ArithmeticError(f"the client failed: {done.stderr.decode()[-500:]}")
    return msgspec.json.decode(done.stdout, type=Measured)


@contextlib.contextmanager
def _node(
    state: Path, site: str, peer_port: int
) -> Iterator[tuple["subprocess.Popen[bytes]", Began]]:
    arguments = [sys.executable, "-c", _SIDE, str(state), site, str(peer_port)]
    with _process(arguments) as process:
        yield process, msgspec.json.decode(_line(process), type=Began)


@contextlib.contextmanager
def _process(
    arguments: list[str], environment: dict[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield process
    finally:
        process.communicate()  # ends its input, and waits for it


def _line(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    said = process.stdout.readline()
    if not said:
        raise ArithmeticError("a KME did not start")
    return said


def _site(state: Path, site: str, port: int, process: "subprocess.Popen[bytes]") -> Site:
    name = _SAES[site]
    certificate, key, trusted = (str(state / f"{name}.{end}") for end in ("crt", "key", "ca"))
    return Site(port, certificate, key, trusted, process.pid)
