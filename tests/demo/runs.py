"""Demos as people run them: the real command as a process, watched line by line."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import pytest
from tests.patience import PATIENCE_S

PROGRAM = str(Path(sys.executable).parent / "bellwire")
STATE_VARIABLE = "BELLWIRE_STATE__DIR"


@dataclass(frozen=True)
class Place:
    """A folder that holds everything of one run: state, report, home, temporary files."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "s"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def outside(self) -> list[Path]:
        """Home, temporary files, working folder: where a demo has nothing to leave."""
        return [self.root / name for name in ("home", "tmp", "work")]

    @classmethod
    def make(cls, root: Path) -> Self:
        place = cls(root)
        for folder in place.outside:
            folder.mkdir()
        return place

    @classmethod
    @contextlib.contextmanager
    def fresh(cls) -> Iterator[Self]:
        """Not pytest's folder, whose path is too long for sockets below it."""
        with tempfile.TemporaryDirectory(prefix="bw-") as root:
            yield cls.make(Path(root))

    def environment(self, **more: str) -> dict[str, str]:
        """An empty home; what the measurement of coverage and the kernels' cache need stays."""
        keep = ("PATH", "NUMBA_CACHE_DIR", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
        environment = {name: os.environ[name] for name in keep if name in os.environ}
        home, temporary, _ = self.outside
        environment |= {"HOME": str(home), "TMPDIR": str(temporary)}
        return environment | more


class Running:
    """A demo that runs; leaves nothing running whatever happens to the test.

    Attributes:
        said: Lines of its standard error so far.
    """

    def __init__(self, place: Place, *more: str, environment: dict[str, str] | None = None) -> None:
        self._place = place
        self.said: list[str] = []
        self._children: set[psutil.Process] = set()
        command = [PROGRAM, "demo", "--state", str(place.state), "--report", str(place.report)]
        self._stdout = tempfile.TemporaryFile(dir=place.root)  # noqa: SIM115 - closed by __exit__
        self.process = subprocess.Popen(
            [*command, *more],
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=place.outside[2],
            env=place.environment() if environment is None else environment,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        for process in survivors(self._place.state):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        assert self.process.stderr is not None
        self.process.stderr.close()
        self._stdout.close()

    def until(self, words: str) -> str:
        """Read on to the line with these words; AssertionError if the demo ends before it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            self._look()
            if words in line:
                return line
        raise AssertionError(f"the demo ended before it said '{words}':\n{''.join(self.said)}")

    def service(self, *words: str) -> psutil.Process:
        """The service whose command line has these words, one behind the other."""
        while self.process.poll() is None:
            self._look()
            for child in self._children:
                with contextlib.suppress(psutil.Error):
                    line = child.cmdline()
                    if any(line[at:][: len(words)] == list(words) for at in range(len(line))):
                        return child
        raise AssertionError(f"the demo ended before it started {words}:\n{''.join(self.said)}")

    def interrupt_as_a_terminal_does(self) -> None:
        """SIGINT to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Exit code, standard output, standard error; every process of it is gone afterwards."""
        self._look()
        assert self.process.stderr is not None
        self.said += self.process.stderr.readlines()
        code = self.process.wait()
        self._stdout.seek(0)
        left = self._children | set(survivors(self._place.state))
        _, alive = psutil.wait_procs(left, timeout=PATIENCE_S)
        assert not alive, f"left running: {alive}"
        assert survivors(self._place.state) == []
        return code, self._stdout.read().decode(), "".join(self.said)

    def _look(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._children |= set(psutil.Process(self.process.pid).children(recursive=True))


def survivors(state: Path) -> list[psutil.Process]:
    """Processes that still run and have to do with this state folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            known = process.cmdline()
            known.append(process.environ().get(STATE_VARIABLE, ""))
            if process.pid != os.getpid() and any(str(state) in each for each in known):
                found.append(process)
    return found


@dataclass(frozen=True)
class Told:
    """A full demo that ran, and every secret that its processes made.

    Attributes:
        root: Where everything of it lies.
        code: Exit code.
        out: Standard output.
        err: Standard error.
        second: Exit code and standard error of a demo that was started in the same state folder
            while this one ran.
    """

    root: str
    code: int
    out: str
    err: str
    second: tuple[int, str]

    @property
    def place(self) -> Place:
        """Its folders, as it left them."""
        return Place(Path(self.root))

    @property
    def data(self) -> Path:
        """What the device read."""
        return Path(self.root) / "data.csv"

    @property
    def secrets(self) -> Path:
        """What each process recorded; see `recorder/sitecustomize.py`."""
        return Path(self.root) / "secrets"

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document."""
        document: dict[str, Any] = json.loads(self.out)
        return document


DATA = (
    "time,room,celsius,note\n"
    + "".join(f'{n},kitchen,{20 + n / 8},"Grüße, {n}"\n' for n in range(40))
    + "41,[red]cellar[/red],-1.5,wet\n"
)


def full_run(factory: pytest.TempPathFactory) -> Told:
    """One full demo with --json, --data and --seed, shared by all workers of a test session."""
    shared = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    record = shared / "demo-run.json"
    with (shared / "demo-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            told = _run(shared / "d")
            record.write_text(json.dumps(asdict(told)))
    return Told(**json.loads(record.read_text()))


def _run(root: Path) -> Told:
    root.mkdir()
    place = Place.make(root)
    empty = Told(str(root), 0, "", "", (0, ""))
    empty.secrets.mkdir()
    empty.data.write_text(DATA)
    environment = place.environment(
        PYTHONPATH=str(Path(__file__).parent / "recorder"), RECORD_SECRETS_IN=str(empty.secrets)
    )
    arguments = ("--json", "--data", str(empty.data), "--seed", "1")
    with Running(place, *arguments, environment=environment) as demo:
        demo.until("everybody is there")
        other = subprocess.run(
            [PROGRAM, "demo", "--state", str(place.state), "--report", str(root / "other")],
            env=environment,
            cwd=place.outside[2],
            capture_output=True,
            text=True,
            check=False,
        )
        code, out, err = demo.end()
    return replace(empty, code=code, out=out, err=err, second=(other.returncode, other.stderr))
