#!/usr/bin/env python
"""Say where the processor time of a benchmark goes: which of our modules, and what they call.

    .venv/bin/python tools/hot_paths.py keys [--whole] [--top 10] [--rate 200]

py-spy looks at every thread of the benchmark and its processes so many times a second, and counts
what is at work. Tables in Markdown: the part of each library, of each module of ours (whatever it
calls is its own, down to the next module of ours), and of each kernel of ours. Compiled code counts
for the line of Python that called it; where that line calls something of a package `kernels`, what
it calls is the kernel. What a loop in C does between two calls, TLS and the kernel of the system
among it, counts for the loop. What the benchmark itself costs, as client, preparation or
alternative, is told apart, and so is the beginning and end of programs. A thread that was woken and
waits for a core counts for the line where it slept, so run it where little else does. py-spy comes
from a lock of its own; it needs the right to look into other processes (root, as a rule).
"""

import argparse
import ast
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import own_lock

OTHER = "other"
_RIVAL = re.compile(r"plain_kme\.py|bellwire[./]bench[./]rivals|websockets_json")
LOOP = "none: the loop between two calls"
KERNELS = "our compiled kernels"
_LOADING = re.compile(r"<frozen importlib|\(numba/|\(llvmlite/")
_PYTHON = re.compile(r"\([^()]+:\d+\)(?:;|$)")
LIBRARIES = (
    ("TLS handshakes and records", re.compile(r"\(ssl\.py")),
    ("SQLite", re.compile(r"\(bellwire/database/sqlite")),
    ("PostgreSQL's client", re.compile(r"\(psycopg")),
    ("event loop", re.compile(r"\((uvloop|asyncio|selectors)\b")),
    ("threads", re.compile(r"\((concurrent/futures|threading)\b")),
    ("NumPy", re.compile(r"\(numpy/")),
    ("cryptography", re.compile(r"\(cryptography/|\(bellwire/crypto/")),
    ("our Python", re.compile(r"\(bellwire/")),
)  # fmt: skip
_OURS = re.compile(r"\(bellwire/([\w/]+)\.py:(\d+)\)")
_SERVES = re.compile(r"bench\.(?:\w+\.)*(?:side|site|cloud|idle\.cloud)$")
"""Modules of benchmarks that only run what is measured in a process of its own."""


@dataclass
class Shares:
    """Samples, counted.

    Attributes:
        libraries: By what was at work.
        modules: By the module of ours that it worked for.
        kernels: By the kernel of ours that was at work, if one was.
        samples: All but those below.
        bench: Of the benchmark itself: its clients, what it prepares, and its alternatives.
        loading: Of programs that begin, load modules or end, and of kernels that are compiled.
    """

    libraries: Counter[str] = field(default_factory=Counter)
    modules: Counter[str] = field(default_factory=Counter)
    kernels: Counter[str] = field(default_factory=Counter)
    samples: int = 0
    bench: int = 0
    loading: int = 0


def library(frames: list[str]) -> str:
    """What is at work: the innermost frame that says so."""
    for frame in reversed(frames):
        for name, pattern in LIBRARIES:
            if pattern.search(frame):
                return name
    return OTHER


def module(frames: list[str]) -> str:
    """The innermost module of ours."""
    for frame in reversed(frames):
        if found := _OURS.search(frame):
            return found[1].replace("/", ".")
    return OTHER


@cache
def kernel_calls(source: str) -> dict[int, str]:
    """The kernels that a module calls, by each line of the call: `package.module.function`."""
    known: dict[str, str] = {}
    for node in ast.walk(tree := ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and ".kernels" in node.module:
            home = node.module.removeprefix("bellwire.")
            for each in node.names:
                if each.name[0].islower():  # the others are types
                    known[each.asname or each.name] = f"{home}.{each.name}"
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found: dict[int, str] = {}
    for call in calls:
        function = call.func
        match function:
            case ast.Name(name) if name in known:
                kernel = known[name]
            case ast.Attribute(ast.Name(name), attribute) if name in known:
                kernel = f"{known[name]}.{attribute}"
            case _:
                continue
        found |= dict.fromkeys(range(call.lineno, (call.end_lineno or call.lineno) + 1), kernel)
    return found


def kernel(frames: list[str]) -> str | None:
    """The kernel at work, where the innermost frame is a line of ours that calls one."""
    if not (found := _OURS.search(frames[-1])):
        return None
    if "/kernels/" in found[1]:
        return f"{found[1].replace('/', '.')}.{frames[-1].partition(' ')[0]}"
    source = ROOT / "src" / "bellwire" / f"{found[1]}.py"
    return kernel_calls(source.read_text()).get(int(found[2])) if source.exists() else None


def count(lines: Iterable[str]) -> Shares:
    """Count py-spy's collapsed stacks: frames from the outermost on, and how often."""
    shares = Shares()
    for line in lines:
        stack, _, number = line.rpartition(" ")
        if not number.isdigit():
            continue  # a frame's name had a line break: what follows it is counted
        if _LOADING.search(stack) or not _PYTHON.search(stack):  # before, or after, all Python
            shares.loading += int(number)
            continue
        frames = stack.split(";")
        owner = module(frames)
        is_bench = owner.startswith("bench.") and not _SERVES.match(owner)
        if is_bench or _RIVAL.search(stack):
            shares.bench += int(number)
            continue
        shares.samples += int(number)
        shares.modules[LOOP if _SERVES.match(owner) else owner] += int(number)
        if called := kernel(frames):
            shares.kernels[called] += int(number)
        shares.libraries[KERNELS if called else library(frames)] += int(number)
    return shares


def table(head: str, counted: Counter[str], samples: int, top: int) -> str:
    """The largest parts, in Markdown."""
    rows = [f"| {head} | share |", "|---|---|"]
    for name, number in counted.most_common(top):
        rows.append(f"| {name} | {number / samples:.0%} |")
    return "\n".join(rows)


def main() -> int:
    """Look at one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="a benchmark of `bellwire bench`")
    parser.add_argument("--top", type=int, default=10, help="modules to name")
    parser.add_argument("--rate", type=int, default=200, help="looks a second")
    parser.add_argument("--whole", action="store_true", help="not its quick form")
    asked = parser.parse_args()
    place = own_lock.provide("profile")
    bellwire = str(Path(sys.executable).with_name("bellwire"))
    run = [bellwire, "bench", asked.name, "--json", *([] if asked.whole else ["--quick"])]
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks"
        words = ["record", "--subprocesses", "--nonblocking", "--format", "raw"]
        words += ["--rate", str(asked.rate), "--output", str(stacks), "--"]
        looked = subprocess.run(
            [str(place / "bin" / "py-spy"), *words, *run],
            capture_output=True,
            text=True,
            check=False,
        )
        if not stacks.exists():
            print(looked.stderr.strip()[-500:], file=sys.stderr)
            return 1
        shares = count(stacks.read_text().splitlines())
    apart = (
        f"{shares.bench} of the benchmark itself, {shares.loading} of programs that begin or end"
    )
    print(f"{asked.name}: {shares.samples} samples; apart: {apart}\n")
    print(table("what is at work", shares.libraries, shares.samples, len(LIBRARIES) + 2))
    print()
    print(table("for which module", shares.modules, shares.samples, asked.top))
    if shares.kernels:
        print()
        print(table("which kernel", shares.kernels, shares.samples, asked.top))
    return 0


if __name__ == "__main__":
    sys.exit(main())
