"""Everything that must hold before a change lands; `./bellwire check` runs it, and so does CI.

    ./bellwire check            all steps
    ./bellwire check --fast     without building and trying the wheel
    ./bellwire check --coverage measures what the tests execute, with a gate; twice as long
    ./bellwire check -k EXPR    only the tests that match

All steps run even after one has failed. The last line of the output is `N passed, N failed`, the
numbers of the tests.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import console_build, console_checks, device_wheel, launch, lock, system_packages

ROOT = launch.ROOT
BIN = Path(sys.executable).parent
LINES_GATE = 90.0  # per cent of the lines outside the command line
DEMO_LIMIT_S = 900.0  # for what hangs: a first run, with compilation, takes half a minute
WORKERS = "3"  # for two cores: tests wait for leases, servers and timers half of their time
TESTS_LIMIT_S = 6000.0  # more than thrice what they take on two quiet cores
TESTS_AGAIN_LIMIT_S = 1200.0
TESTS_FAILED = 1  # pytest's exit code
AGAIN_AT_MOST = 3
TOLD_EVERY_S = 300.0
CODE = ("src", "tests", "tools", "benchmarks", "examples")


class StepFailed(Exception):
    """A step says no; the message is what there is to read.

    Attributes:
        code: With which exit code its command ended, if it ended by itself.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class Checks:
    """One run of the checks, with the files it writes in a folder of its own."""

    def __init__(self, place: Path, expression: str | None) -> None:
        self.place = place
        self.expression = expression
        self.tests = self.place / "tests.xml"
        self.tests_again = self.place / "again.xml"
        self.console_tests = self.place / "console.xml"
        self.cache = f"cache_dir={self.place / 'cache'}"
        self.unstable = 0
        self.verdicts: list[str] = []

    def steps(self, *, fast: bool, coverage: bool) -> list[tuple[str, Callable[[], str]]]:
        """Names and functions, in order."""
        if self.expression is not None:
            return [("tests", self.run_tests)]
        chosen = [
            ("system packages", self.system),
            ("locks", self.locks),
            ("ruff format", lambda: tool("ruff", "format", "--check", ".")),
            ("ruff check", lambda: tool("ruff", "check", ".")),
            ("mypy", lambda: tool("mypy", *CODE)),
            ("import-linter", lambda: tool("lint-imports")),
            ("console", self.console),
            ("docs", self.docs),
            ("tests", self.run_tests),
        ]
        if coverage:
            chosen[-1:] = [("tests", self.run_measured), ("coverage", self.coverage)]
        return chosen if fast else [*chosen, ("wheel", self.wheel)]

    def system(self) -> str:
        """Programs that the tests call."""
        try:
            system_packages.provide(system_packages.PACKAGES)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            raise StepFailed(str(error)) from error
        return ""

    def locks(self) -> str:
        """The locks were made from what pyproject.toml says now."""
        stale = lock.stale_locks(lock.read_project(), ROOT / "requirements")
        if stale:
            raise StepFailed(f"out of step: {', '.join(stale)}; run .venv/bin/python tools/lock.py")
        return ""

    def console(self) -> str:
        """The console's pages: form, types, tests, size, a client like the server's description."""
        try:
            return console_checks.check(self.console_tests)
        except (console_build.BuildError, OSError) as error:
            raise StepFailed(str(error)) from error

    def docs(self) -> str:
        """The documentation as a site: its links lead somewhere, its pages are in a list."""
        return tool("python", "tools/docs_site.py", str(self.place / "site"))

    def run_measured(self) -> str:
        """The tests, with a look at every line that they execute themselves."""
        return self.run_tests("--cov", "--cov-report=")

    def run_tests(self, *more: str) -> str:
        """Pytest over some processes.

        They take the files in the order of `tests/conftest.py`, not those of most tests first.
        """
        arguments = ["--junitxml", str(self.tests), "-n", WORKERS, "--dist", "loadfile", *more]
        # A worker that dies ends the run: another in its place waits for ever in this order.
        arguments += ["--no-loadscope-reorder", "--max-worker-restart=0", "--durations=12"]
        arguments += ["-k", self.expression] if self.expression else []
        arguments += ["-o", self.cache]
        diary = self.place / "diary.txt"
        environment = {**self.coverage_file(), "DIARY_OF_TESTS": str(diary)}
        command = (str(BIN / "pytest"), *arguments)
        with told_of(diary):
            try:
                said = run(command, cwd=ROOT, env=environment, limit=TESTS_LIMIT_S)
            except StepFailed as error:
                first = f"{error}\n{progress(diary)}"
                if error.code != TESTS_FAILED or not whole(diary):
                    raise StepFailed(first) from error
                return self.run_again(first)
        _, found, slowest = said.partition("slowest 12 durations")
        return found + slowest

    def run_again(self, first: str) -> str:
        """A few tests that failed side by side with others get a second run, alone.

        What is wrong fails again. What passes now failed for want of a processor or for a race:
        the step holds, and its output says which tests these are and how they failed.
        """
        names = failures(self.tests)
        if not 0 < causes(self.tests) <= AGAIN_AT_MOST:
            self.verdicts = [f"FAILED, not run again: {name}" for name in names]
            raise StepFailed(first)
        arguments = ["--last-failed", "--last-failed-no-failures=none", "-o", self.cache]
        arguments += ["--junitxml", str(self.tests_again)]
        try:
            run((str(BIN / "pytest"), *arguments), cwd=ROOT, env={}, limit=TESTS_AGAIN_LIMIT_S)
        except StepFailed as error:
            still = failures(self.tests_again)
            self.verdicts = [
                f"{'FAILED twice' if name in still else 'FAILED'}: {name}" for name in names
            ]
            raise StepFailed(f"{first}\nAnd again, alone:\n{error}") from error
        again = count(self.tests_again)
        if again != (len(names), 0):
            self.verdicts = [f"FAILED: {name}" for name in names]
            raise StepFailed(f"{first}\nThe second run had {again[0]} of {len(names)} tests pass.")
        self.unstable = len(names)
        self.verdicts = [f"UNSTABLE: {name}" for name in names]
        listed = "\n".join(self.verdicts)
        return f"{first}\n{listed}\nfailed among the others and passed alone"

    def coverage(self) -> str:
        """At least the gate's share of lines, over everything but the command line."""
        path = self.place / "coverage.json"
        env = self.coverage_file()
        tool("coverage", "json", "-q", "-o", str(path), "--omit", "*/bellwire/cli/*", env=env)
        totals = json.loads(path.read_text())["totals"]
        lines = 100.0 * totals["covered_lines"] / max(1, totals["num_statements"])
        branches = 100.0 * totals["covered_branches"] / max(1, totals["num_branches"])
        said = f"{lines:.1f} % of lines and {branches:.1f} % of branches outside bellwire.cli"
        if lines < LINES_GATE:
            table = tool("coverage", "report", "--skip-covered", "--show-missing", env=env)
            raise StepFailed(f"{table}\n{said}; {LINES_GATE:.0f} % of lines are asked for")
        return said

    def coverage_file(self) -> dict[str, str]:
        """Keeps two runs in one checkout from adding up their measurements."""
        return {"COVERAGE_FILE": str(self.place / ".coverage")}

    def wheel(self) -> str:
        """A wheel, installed into an empty environment, is the whole program."""
        uv = launch.find_uv()
        assert uv is not None, "the launcher has just used it"
        built, environment = self.place / "dist", self.place / "environment"
        self.uv(uv, "build", "--wheel", *launch.BUILD, "--out-dir", str(built), str(ROOT))
        (wheel,) = built.glob("*.whl")
        self.uv(uv, "venv", "--python", sys.executable, str(environment))
        into = ("pip", "install", "--python", str(environment / "bin" / "python"))
        self.uv(uv, *into, "--require-hashes", "-r", str(launch.lock_file("runtime")))
        self.uv(uv, *into, "--no-deps", str(wheel))
        program = str(environment / "bin" / "bellwire")
        said = self.away(program, "--version")
        table = "from bellwire.cli.main import COMMANDS; print(*COMMANDS)"
        names = self.away(str(environment / "bin" / "python"), "-c", table).split()
        if "demo" in names:
            started = time.monotonic()
            json.loads(self.away(program, "demo", "--json", limit=DEMO_LIMIT_S))
            said += f", first demo in {time.monotonic() - started:.0f} s"
        return f"{said}\n{self.device_wheel(uv, Path(program))}"

    def device_wheel(self, uv: str, cloud: Path) -> str:
        """The device alone, installed beside nothing, works with a cloud of the whole product."""
        programs = device_wheel.install(lambda *arguments: self.uv(uv, *arguments), self.place)
        try:
            took = device_wheel.try_out(programs, cloud, self.place)
        except RuntimeError as error:
            raise StepFailed(str(error)) from error
        return ", ".join(f"{name} {value}" for name, value in took.items())

    def uv(self, uv: str, *arguments: str) -> None:
        """Run uv as the launcher does."""
        try:
            launch.run_uv(uv, *arguments)
        except launch.SetupError as error:
            raise StepFailed(str(error)) from error

    def away(self, *command: str, limit: float = 30.0) -> str:
        """Run a command in an empty folder with an empty home; return its standard output."""
        home = self.place / "home"
        home.mkdir(exist_ok=True)
        env = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data")}
        return run(command, cwd=home, env=env, limit=limit, only_stdout=True)


def tool(name: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Run a development tool of this environment in the checkout."""
    return run((str(BIN / name), *arguments), cwd=ROOT, env=env or {})


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: dict[str, str],
    limit: float | None = None,
    only_stdout: bool = False,
) -> str:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        cwd: Where.
        env: What differs from our own environment.
        limit: Seconds it may take.
        only_stdout: Return standard output alone.

    Raises:
        StepFailed: it failed or took too long; with its output.
    """
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=limit)
        except BaseException as error:
            own = psutil.Process(process.pid)
            for each in (*own.children(recursive=True), own):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            out, err = process.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            message = f"{out}{err}\n{' '.join(command)}: not done after {limit or 0:.0f} s"
            raise StepFailed(message.strip()) from error
    if process.returncode:
        name = Path(command[0]).name
        message = f"{(out + err).strip()}\n{name} ended with {process.returncode}"
        raise StepFailed(message, process.returncode)
    return out.strip() if only_stdout else (out + err).strip()


def progress(diary: Path) -> str:
    """How many tests are done, and which are at work."""
    lines = diary.read_text().splitlines() if diary.exists() else []
    begun = {line[2:] for line in lines if line.startswith("+ ")}
    done = {line[2:] for line in lines if line.startswith("- ")}
    return f"{len(done)} tests done, at work: {', '.join(sorted(begun - done)) or 'none'}"


def whole(diary: Path) -> bool:
    """Whether each test that was found has run: a worker that dies takes those left with it."""
    lines = set(diary.read_text().split("\n"))
    found = {int(line[2:]) for line in lines if line.startswith("= ")}
    return found == {sum(line.startswith("- ") for line in lines)}  # each by its name, once


@contextlib.contextmanager
def told_of(diary: Path) -> Iterator[None]:
    """Say now and then how far the tests are."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(TOLD_EVERY_S):
            say(f"    {progress(diary)}")

    telling = threading.Thread(target=tell)
    telling.start()
    try:
        yield
    finally:
        over.set()
        telling.join()


def failures(report: Path) -> list[str]:
    """Names of the tests that failed, of a JUnit report; each once.

    One that fails, and whose fixture then cannot end, is told there twice.
    """
    return list(
        dict.fromkeys(f"{case.get('classname')}.{case.get('name')}" for case in bad(report))
    )


def causes(report: Path) -> int:
    """How many things failed: a fixture that many tests of a file wait for is one of them."""
    found = set()
    for case in bad(report):
        error = case.find("error")
        said = "" if error is None else error.get("message", "")
        what = said if said.startswith("failed on setup") else case.get("name")
        found.add((case.get("classname"), what))
    return len(found)


def bad(report: Path) -> list[ElementTree.Element]:
    """The cases of a JUnit report that say no."""
    if not report.exists():
        return []
    return [
        case
        for case in ElementTree.parse(report).getroot().iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]


def count(report: Path) -> tuple[int, int]:
    """Passed and failed tests of a JUnit report; (0, 0) when there is none."""
    if not report.exists():
        return 0, 0
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    passed = failed = 0
    for suite in suites:
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        failed += bad
        passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))
    return passed, failed


def say(line: str) -> None:
    """Print at once: whoever waits sees how far it is."""
    print(line, flush=True)


def main() -> int:
    """Run the steps and return 0 if all of them hold."""
    parser = argparse.ArgumentParser(prog="./bellwire check", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="leave out the wheel")
    parser.add_argument("--coverage", action="store_true", help="measure the tests' coverage")
    parser.add_argument("-k", metavar="EXPR", help="only the tests that match")
    chosen = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory(prefix="bellwire-check-") as place:
        checks = Checks(Path(place), chosen.k)
        for name, step in checks.steps(fast=chosen.fast, coverage=chosen.coverage):
            started = time.monotonic()
            try:
                said, verdict = step(), "ok"
            except StepFailed as error:
                said, verdict = str(error), "FAILED"
                failed.append(name)
            say(f"{name:16} {verdict:6} {time.monotonic() - started:6.1f} s")
            shown = ("tests", "coverage", "console", "docs", "wheel")
            if said and (verdict != "ok" or name in shown):
                say("\n".join(f"    {line}" for line in said.splitlines()))
        passed, broken = count(checks.tests)
        if checks.unstable:
            passed, broken = passed + checks.unstable, 0
            say(f"{checks.unstable} passed only in a second run, alone; their first is told above")
        further = count(checks.console_tests)
        passed, broken = passed + further[0], broken + further[1]
        for verdict in checks.verdicts:
            say(verdict)
    say(f"failed: {', '.join(failed)}" if failed else "everything holds")
    say(f"{passed} passed, {broken} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
