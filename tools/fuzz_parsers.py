"""Fuzz the parsers of what comes from outside, guided by coverage.

    .venv/bin/python tools/fuzz_parsers.py [--runs 1e5] [--at-once N] [--only NAME] [--keep]

Atheris (libFuzzer for Python) spoils inputs that reach new code further, for each parser of
`tests/fuzz/parsers.py` in turn; they start from `tests/fuzz/corpus`, which `--keep` extends by what
reached more. Stops at nothing: a parser that raises what its documentation does not name, takes
more than 10 s or 2 GB for one input is told with that input, and the exit code is 1.
Atheris is set up by itself in `.tools`, from its lock; it comes for Linux on x86-64.
"""

import argparse
import base64
import contextlib
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import launch, own_lock

CORPUS = launch.ROOT / "tests" / "fuzz" / "corpus"
MAX_LEN = 8192
KEPT_BYTES = 2000
_DONE = re.compile(r"Done (\d+) runs in")


def stored(name: str) -> list[bytes]:
    """The inputs of a parser that are kept."""
    path = CORPUS / f"{name}.txt"
    lines = path.read_text().split() if path.exists() else []
    return [base64.b64decode(line) for line in lines]


def keep(name: str, failed: list[bytes], inputs: list[bytes]) -> None:
    """Keep those that failed, and the shortest of the others, beside what was kept before."""
    old = [*stored(name), *failed]
    new = sorted(set(inputs) - set(old), key=lambda each: (len(each), each))
    chosen, size = old, sum(map(len, old))
    for each in new:
        size += len(each)
        if size > KEPT_BYTES:
            break
        chosen = [*chosen, each]
    CORPUS.mkdir(exist_ok=True)
    lines = [base64.b64encode(each).decode() + "\n" for each in chosen if each]
    (CORPUS / f"{name}.txt").write_text("".join(lines))


def fuzz(name: str, folder: Path, runs: int, seed: int) -> NoReturn:
    """Fuzz one parser in this process, which ends with it."""
    import atheris
    from tests.fuzz.parsers import PARSERS

    parser = PARSERS[name]

    def one(data: bytes) -> None:
        with contextlib.suppress(*parser.errors):
            parser.read(data)

    corpus = folder / "corpus"
    corpus.mkdir()
    good = stored(name)
    for number, data in enumerate(good):
        (corpus / str(number)).write_bytes(data)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    longest = max([MAX_LEN, *map(len, good)])
    limits = [f"-max_len={longest}", "-timeout=10", "-rss_limit_mb=2048"]
    how = [f"-runs={runs}", f"-seed={seed}", f"-artifact_prefix={folder}/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, *how, str(corpus)], one)
    atheris.Fuzz()
    os._exit(0)


def begin(name: str, folder: Path, runs: int, seed: int) -> int:
    """Fuzz one parser in a process of its own; its id."""
    folder.mkdir()
    child = os.fork()
    if child == 0:
        try:
            fuzz(name, folder, runs, seed)
        finally:
            os._exit(2)
    return child


def found(folder: Path) -> Iterator[str]:
    """What went wrong, with the input that did it."""
    for path in sorted(folder.glob("*-*")):
        yield f"{path.name.partition('-')[0]} on {path.read_bytes()!r:.2000}"


def main() -> int:
    """Fuzz all that are asked for, and print how many inputs each had."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=float, default=1e5, help="inputs for each parser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--only", action="append", help="a parser; again for more")
    parser.add_argument("--keep", action="store_true", help="extend the corpus")
    chosen = parser.parse_args()
    sys.path.append(str(own_lock.provide("fuzz")))
    import atheris

    # Numba compiles its kernels: it does not know the calls that count coverage.
    kernels = (launch.ROOT / "src").glob("bellwire/*/kernels/*.py")
    compiled = [
        ".".join(path.relative_to(launch.ROOT / "src").with_suffix("").parts) for path in kernels
    ]
    with (
        contextlib.redirect_stderr(io.StringIO()),
        atheris.instrument_imports(include=["bellwire"], exclude=compiled),
    ):
        from tests.fuzz.parsers import PARSERS
    names = chosen.only or list(PARSERS)
    total, wrong, began = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bellwire-fuzz-") as place:
        waiting, running = list(names), dict[int, str]()
        while waiting or running:
            while waiting and len(running) < chosen.at_once:
                name = waiting.pop(0)
                child = begin(name, Path(place) / name, int(chosen.runs), chosen.seed)
                running[child] = name
            child, status = os.wait()
            name = running.pop(child)
            folder = Path(place) / name
            log = (folder / "log").read_text(errors="replace")
            done = _DONE.search(log)
            runs = int(done[1]) if done else 0
            total += runs
            corpus = [path.read_bytes() for path in sorted((folder / "corpus").iterdir())]
            print(
                f"{name:24} {runs:>10,} inputs, {len(corpus):>4} that reach other code", flush=True
            )
            if status or not runs:
                wrong += 1
                print(f"    FAILED ({os.waitstatus_to_exitcode(status)})", flush=True)
                print("\n".join(f"    {line}" for line in log.splitlines()[-30:]))
                print("\n".join(f"    {line}" for line in found(folder)), flush=True)
            if chosen.keep:
                keep(name, [path.read_bytes() for path in folder.glob("crash-*")], corpus)
    print(f"{total:,} inputs to {len(names)} parsers in {time.monotonic() - began:.0f} s")
    print(f"{wrong} of them failed" if wrong else "each was read, or refused by a named error")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
