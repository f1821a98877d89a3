#!/usr/bin/env python
"""Say where the processor time of a benchmark goes: which of our modules, and what they call.

    .venv/bin/python tools/hot_paths.py keys [--whole] [--top 10] [--rate 200]

py-spy looks at every thread of the benchmark and its processes so many times a second, and counts
what is at work. Two tables in Markdown: the part of each library, and of each module of ours
(whatever it calls is its own, down to the next module of ours). Compiled code counts for the line
of Python that called it; what a loop in C does between two calls, TLS and the kernel among it, for
the loop. What the benchmark itself costs, as client, preparation or alternative, is told apart,
and so is the loading of programs. py-spy comes from a lock of its own; it needs the right to look
into other processes (root, as a rule).
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import own_lock

OTHER = "other"
_RIVAL = re.compile(r"plain_kme\.py|bellwire[./]bench[./]rivals|websockets_json")
LOOP = "none: the loop between two calls"
_LOADING = re.compile(r"<frozen importlib|\(numba/|\(llvmlite/")
LIBRARIES = (
    ("TLS handshakes and records", re.compile(r"\(ssl\.py")),
    ("SQLite", re.compile(r"\(bellwire/database/sqlite")),
    ("PostgreSQL's client", re.compile(r"\(psycopg")),
    ("event loop", re.compile(r"\((uvloop|asyncio|selectors)\b")),
    ("NumPy", re.compile(r"\(numpy/")),
    ("cryptography", re.compile(r"\(cryptography/|\(bellwire/crypto/")),
    ("our Python", re.compile(r"\(bellwire/")),
)  # fmt: skip
_OURS = re.compile(r"\(bellwire/([\w/]+)\.py:\d+\)")
_SERVES = re.compile(r"bench\.(?:\w+\.)*(?:side|site|cloud|idle\.cloud)$")
"""Modules of benchmarks that only run what is measured in a process of its own."""


@dataclass
class Shares:
    """Samples, counted.

    Attributes:
        libraries: By what was at work.
        modules: By the module of ours that it worked for.
        samples: All but those below.
        bench: Of the benchmark itself: its clients, what it prepares, and its alternatives.
        loading: Of programs that load their modules, and of kernels that are compiled.
    """

    libraries: Counter[str] = field(default_factory=Counter)
    modules: Counter[str] = field(default_factory=Counter)
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


def count(lines: Iterable[str]) -> Shares:
    """Count py-spy's collapsed stacks: frames from the outermost on, and how often."""
    shares = Shares()
    for line in lines:
        stack, _, number = line.rpartition(" ")
        if not number.isdigit():
            continue  # a frame's name had a line break: what follows it is counted
        if _LOADING.search(stack):
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
        shares.libraries[library(frames)] += int(number)
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
    apart = f"{shares.bench} of the benchmark itself, {shares.loading} of programs that load"
    print(f"{asked.name}: {shares.samples} samples; apart: {apart}\n")
    print(table("what is at work", shares.libraries, shares.samples, len(LIBRARIES) + 1))
    print()
    print(table("for which module", shares.modules, shares.samples, asked.top))
    return 0


if __name__ == "__main__":
    sys.exit(main())
