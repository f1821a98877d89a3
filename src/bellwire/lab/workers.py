"""Experiments in several processes of this machine, one thread each.

A worker is a fresh Python that runs `main`: it reads one JSON line per experiment from standard
input and answers each with a row. It ends when its input does, so that none outlives whoever
started it, and it stands outside the terminal's process group: Ctrl-C is for the parent to handle.
Nothing of the parent is imported again, so this works from a script, a notebook and a console.
"""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from bellwire.base.child import ONE_THREAD
from bellwire.lab import dispatch
from bellwire.lab.errors import WorkerLost
from bellwire.lab.rows import AnyRow

MAX_WORKERS = 256


@dataclass(frozen=True, slots=True)
class Job:
    """One experiment: its protocol, its words, seed included, and its number among repeats."""

    protocol: str
    words: Mapping[str, Any]
    repeat: int

    def row(self) -> AnyRow:
        """Do it."""
        return dispatch.row(self.protocol, self.words, self.repeat)

    def read(self, plain: Mapping[str, Any]) -> AnyRow:
        """The row that somebody else made, from its plain values."""
        return dispatch.row_kind(self.protocol, self.words)(**plain)


def rows(jobs: Sequence[Job], workers: int) -> Generator[AnyRow, None, None]:
    """Run experiments; gives their rows as they come.

    Args:
        jobs: What to do.
        workers: Processes; with one, everything happens in this process.

    Raises:
        WorkerLost: a worker ended early.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        for job in jobs:
            yield job.row()
        return
    crew = [_Worker() for _ in range(workers)]
    try:
        with selectors.DefaultSelector() as waiting:
            waiting_jobs = iter(jobs)
            for worker, job in zip(crew, waiting_jobs, strict=False):
                worker.give(job)
                waiting.register(worker.answers, selectors.EVENT_READ, worker)
            while waiting.get_map():
                for key, _ in waiting.select():
                    worker = key.data
                    done = worker.take()
                    following = next(waiting_jobs, None)
                    if following is None:
                        waiting.unregister(worker.answers)
                    else:
                        worker.give(following)
                    yield done
    finally:
        for worker in crew:
            worker.stop()


class _Worker:
    """One process, with at most one experiment."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from bellwire.lab.workers import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
            process_group=0,
        )
        self._job: Job | None = None

    @property
    def answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def give(self, job: Job) -> None:
        assert self._process.stdin is not None
        self._job = job
        try:
            self._process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLost(self._process.wait()) from None

    def take(self) -> AnyRow:
        assert self._job is not None
        line = self.answers.readline()
        if not line.endswith(b"\n"):
            raise WorkerLost(self._process.wait())
        return self._job.read(json.loads(line))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # it was given work that it will not read


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Run what is asked for, line by line, until the requests end."""
    for line in requests:
        done = Job(**json.loads(line)).row()
        answers.write(json.dumps(asdict(done)).encode() + b"\n")
        answers.flush()


def main() -> None:
    """The whole life of a worker."""
    serve(sys.stdin.buffer, sys.stdout.buffer)
