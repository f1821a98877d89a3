"""`bellwire doctor`: what is installed, permitted and free here, and how to mend what is not."""

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.node.settings import Settings

LIBRARIES = (
    "arro3-core",
    "cryptography",
    "matplotlib",
    "msgspec",
    "numba",
    "numpy",
    "pydantic",
    "typer",
)
EXTRAS = {
    "bench": ("pyopenssl", "qkdpy", "sequence"),
    "dask": ("distributed",),
    "evm": ("web3",),
    "hive": ("hive-nectar",),
    "keyring": ("keyring",),
    "mqtt": ("aiomqtt",),
    "nats": ("nats-py",),
    "pennylane": ("pennylane",),
    "pkcs11": ("python-pkcs11",),
    "postgres": ("psycopg[binary]",),
    "qiskit": ("qiskit", "qiskit-aer", "qiskit-ibm-runtime"),
}
"""Optional dependencies, by the name of the extra that brings them."""

CPU_FEATURES = ("aes", "pclmul", "avx2")
"""What makes AES-GCM, universal hashing and the kernels fast; all of it also works without."""

LITTLE_DISK = 1 << 30
NO_DISK = 100 << 20


class Level(StrEnum):
    """How a finding bears on use."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        level: `note` slows or warns, `problem` prevents use.
        found: What is there.
        mend: What to do about it, where there is something to do.
    """

    name: str
    level: Level
    found: str
    mend: str | None = None


def command(config: ConfigOption = None, state: StateOption = None, json: JsonFlag = False) -> int:
    """Look at everything bellwire needs, and say how to mend what is not right."""
    from bellwire.node import settings

    findings = list(examine(settings.load(config, {"state": {"dir": state}})))
    usable = all(finding.level is not Level.PROBLEM for finding in findings)
    if json:
        output.emit({"usable": usable, "findings": findings})
    else:
        _print(findings, usable=usable)
    return 0 if usable else 1


def examine(settings: "Settings") -> Iterator[Finding]:
    """Everything the doctor looks at, in the order of its report."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        python,
        libraries,
        extras,
        post_quantum,
        cpu,
        lambda: randomness(settings),
        lambda: state_folder(settings.state.dir),
        lambda: disk(settings.state.dir),
        lambda: ports(settings),
        lambda: relay(settings),
        lambda: ledger(settings),
        kernel_cache,
        firewall,
        lambda: locked_versions(Path(__file__).resolve().parents[3]),
    )
    for check in checks:
        yield from check()


def python() -> Iterator[Finding]:
    """The interpreter."""
    yield Finding("Python", Level.OK, f"{sys.version.split()[0]} at {sys.executable}")


def libraries() -> Iterator[Finding]:
    """Versions of the libraries that do the work."""
    from importlib.metadata import PackageNotFoundError, version

    for name in LIBRARIES:
        try:
            yield Finding(name, Level.OK, version(name))
        except PackageNotFoundError:
            yield Finding(name, Level.PROBLEM, "not installed", f"install {name}")


def extras() -> Iterator[Finding]:
    """Optional libraries; nothing is wrong without them."""
    from importlib.metadata import PackageNotFoundError, version

    for extra, names in EXTRAS.items():
        there, missing = [], []
        for name in names:
            try:
                there.append(f"{name} {version(name.partition('[')[0])}")
            except PackageNotFoundError:
                missing.append(name)
        found = ", ".join([*there, *(f"{name} not installed" for name in missing)])
        mend = f"if you want it: ./bellwire extras, or pip install 'bellwire[{extra}]'"
        yield Finding(f"extra {extra}", Level.OK, found, mend if missing else None)


def post_quantum() -> Iterator[Finding]:
    """ML-KEM, which older builds of the cryptographic library lack."""
    try:
        from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

        MLKEM768PrivateKey.generate()
    except Exception as error:  # whatever a foreign build raises, the finding is the same
        found = f"not usable ({type(error).__name__})"
        yield Finding("ML-KEM-768", Level.PROBLEM, found, "install cryptography 50 or newer")
    else:
        yield Finding("ML-KEM-768", Level.OK, "works")


def cpu() -> Iterator[Finding]:
    """Instructions that matter for speed."""
    from llvmlite.binding import get_host_cpu_features, get_host_cpu_name

    features = get_host_cpu_features()
    missing = [name for name in CPU_FEATURES if not features.get(name)]
    if not missing:
        yield Finding("CPU", Level.OK, f"{get_host_cpu_name()} with {', '.join(CPU_FEATURES)}")
        return
    found = f"{get_host_cpu_name()} without {', '.join(missing)}"
    yield Finding("CPU", Level.NOTE, found, "nothing to mend: it works, only slower")


def randomness(settings: "Settings") -> Iterator[Finding]:
    """What random bytes come from; a device passes the start-up test, or does not."""
    from bellwire.base.private import PathUnusable
    from bellwire.crypto.errors import DeviceUnusable, RandomnessFailed
    from bellwire.crypto.randomness.health import STARTUP_SAMPLES
    from bellwire.node.randomness import open_random

    name = "randomness"
    try:
        source = open_random(settings.random)
    except (DeviceUnusable, PathUnusable, RandomnessFailed) as error:
        mend = error.hint or "mend or replace the device, or set random.source to os"
        yield Finding(name, Level.PROBLEM, str(error), mend)
        return
    source.close()
    if source.assumption is None:
        yield Finding(name, Level.OK, "the operating system's generator")
        return
    stated = f"{settings.random.entropy_per_byte:g} bits of min-entropy a byte are stated"
    found = f"{source.name}: {STARTUP_SAMPLES:,} bytes passed the health tests; {stated}"
    yield Finding(name, Level.OK, found)


def state_folder(folder: Path) -> Iterator[Finding]:
    """Whether state can be kept, locked, and is hidden from others."""
    import fcntl

    there = _nearest(folder)
    name = "state folder"
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        found = f"cannot write and lock in {there}: {error.strerror}"
        yield Finding(name, Level.PROBLEM, found, "choose another folder with --state DIR")
        return
    mode = stat.S_IMODE(there.stat().st_mode)
    if there != folder:
        yield Finding(name, Level.OK, f"{folder}, will be made")
    elif mode & 0o077:
        found = f"{folder} is open to others (mode {mode:03o})"
        yield Finding(name, Level.PROBLEM, found, f"chmod 700 {folder}")
    else:
        yield Finding(name, Level.OK, f"{folder} (mode {mode:03o})")


def disk(folder: Path) -> Iterator[Finding]:
    """Room for keys and reports."""
    import psutil

    free = psutil.disk_usage(str(_nearest(folder))).free
    level = Level.PROBLEM if free < NO_DISK else Level.NOTE if free < LITTLE_DISK else Level.OK
    mend = None if level is Level.OK else "free some space, or choose another folder with --state"
    yield Finding("free disk", level, f"{free / 1e9:.1f} GB", mend)


def ports(settings: "Settings") -> Iterator[Finding]:
    """Whether services could listen on their addresses."""
    addresses = settings.addresses
    yield from port("classical channel", addresses.classical_host, addresses.classical_port)
    yield from port("KME of site a", addresses.kme_host, addresses.kme_a_port)
    yield from port("KME of site b", addresses.kme_host, addresses.kme_b_port)
    yield from port("cloud", addresses.cloud_host, addresses.cloud_port)
    yield from port("console of site a", addresses.console_host, addresses.console_a_port)
    yield from port("console of site b", addresses.console_host, addresses.console_b_port)
    yield from port("relay", addresses.relay_host, addresses.relay_port)


def port(what: str, host: str, number: int) -> Iterator[Finding]:
    """Whether a service could listen on its address."""
    from bellwire.services.ports import trouble_of

    name = f"port {number}"
    trouble = trouble_of(host, number)
    if trouble is None:
        yield Finding(name, Level.OK, f"{what}: free")
    else:
        mend = (
            "stop that (`bellwire down`, if it is ours), or set another port "
            f"(`bellwire config show`, {what})"
        )
        yield Finding(name, Level.NOTE, f"{what}: {trouble}", mend)


def relay(settings: "Settings") -> Iterator[Finding]:
    """Whether the relay could use the servers that it is to share; nothing is made there."""
    from bellwire.base.errors import BellwireError
    from bellwire.cli.relay_others import STORE, try_nats

    asked = settings.relay
    if asked.store:
        from bellwire.chat.relay.databases import try_out
        from bellwire.database.place import ServerPlace

        try:
            try_out(ServerPlace(asked.store, STORE))
        except BellwireError as error:
            yield Finding("relay: store", Level.PROBLEM, str(error), error.hint)
        else:
            yield Finding("relay: store", Level.OK, "the PostgreSQL server keeps what it confirms")
    if asked.nats:
        try:
            try_nats(asked)
        except BellwireError as error:
            # Relays go on without.
            mend = error.hint or "check relay.nats, and whether the server runs"
            yield Finding("relay: NATS", Level.NOTE, str(error), mend)
        else:
            yield Finding("relay: NATS", Level.OK, "the server answers")


def ledger(settings: "Settings") -> Iterator[Finding]:
    """Whether a log that is kept here could use the server of its store; nothing is made there."""
    if not settings.ledger.store:
        return
    from bellwire.base.errors import BellwireError
    from bellwire.database.place import ServerPlace
    from bellwire.ledger.store.postgres import try_out
    from bellwire.node.log import SCHEMA

    try:
        try_out(ServerPlace(settings.ledger.store, SCHEMA))
    except BellwireError as error:
        yield Finding("log: store", Level.PROBLEM, str(error), error.hint)
    else:
        yield Finding("log: store", Level.OK, "the PostgreSQL server keeps what it confirms")


def kernel_cache() -> Iterator[Finding]:
    """Whether compiled kernels survive the process."""
    import bellwire

    name = "compiled kernels"
    places = [Path(bellwire.__file__).parent, Path.home() / ".cache"]
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        places = [Path(chosen)]
    for place in places:
        if os.access(_nearest(place), os.W_OK):
            yield Finding(name, Level.OK, f"kept under {place}")
            return
    mend = "set NUMBA_CACHE_DIR to a folder you may write"
    yield Finding(name, Level.NOTE, "compiled anew in every process", mend)


def firewall() -> Iterator[Finding]:
    """What a guard would need; nothing is wrong without it."""
    from bellwire.guard.errors import FirewallFailed, FirewallUnusable, RightsMissing
    from bellwire.guard.machine import flow_tables, may_change_the_firewall, missing_of_iptables
    from bellwire.guard.nft import Nft

    rights = may_change_the_firewall()
    found = "may change the firewall" if rights else "CAP_NET_ADMIN is missing"
    mend = None if rights else "if you want a guard here: run it as root, or with CAP_NET_ADMIN"
    yield Finding("guard: rights", Level.OK, found, mend)
    for kind in ("nft", "legacy"):
        missing = missing_of_iptables(kind)
        found = f"{', '.join(missing)} not installed" if missing else "there, with ipset"
        mend = "if you want a guard on it: install iptables and ipset" if missing else None
        yield Finding(f"guard: iptables-{kind}", Level.OK, found, mend)
    try:
        nft = Nft()
    except FirewallUnusable as error:
        yield Finding("guard: nftables", Level.OK, "libnftables not installed", error.hint)
        return
    yield Finding("guard: nftables", Level.OK, "libnftables is there")
    try:
        flows = flow_tables(nft)
    except (FirewallFailed, RightsMissing):
        return  # that it may not be asked is said above
    finally:
        nft.close()
    if flows:
        found = f"flow tables: {', '.join(flows)}; their packets go past a guard's rules"
        yield Finding("guard: offload", Level.NOTE, found, "keep guarded ports out of them")


def locked_versions(checkout: Path) -> Iterator[Finding]:
    """In a checkout: whether what is installed is what the lock says."""
    from importlib.metadata import distributions

    lock = checkout / "requirements" / "runtime.txt"
    if not lock.is_file():
        yield Finding("locked versions", Level.OK, "not a checkout: versions are the installer's")
        return
    pinned: dict[str, set[str]] = {}
    for line in lock.read_text().splitlines():
        name, equal, rest = line.partition("==")
        if equal and not line.startswith((" ", "#")):
            pinned.setdefault(name, set()).add(rest.split()[0])
    installed = {
        each.metadata["Name"].lower().replace("_", "-"): each.version for each in distributions()
    }
    other = [
        f"{name} {installed[name]}"
        for name, versions in pinned.items()
        if name in installed and installed[name] not in versions
    ]
    if other:
        found = f"differ: {', '.join(other)}"
        yield Finding("locked versions", Level.NOTE, found, "rm -r .venv, then ./bellwire again")
    else:
        yield Finding("locked versions", Level.OK, f"all of {len(pinned)} as locked")


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _print(findings: list[Finding], *, usable: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    colours = {Level.OK: "green", Level.NOTE: "yellow", Level.PROBLEM: "red"}
    for each in findings:
        table.add_row(Text(each.level, colours[each.level]), each.name, each.found)
        if each.mend:
            table.add_row("", "", f"→ {each.mend}")
    console = output.stdout()
    console.print(table)
    console.print("bellwire can be used here" if usable else "bellwire cannot be used here yet")
