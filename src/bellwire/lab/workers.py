"""Experiments in several processes of this machine, one thread each.

A worker is a fresh Python that runs `main`: it reads one JSON line per experiment from standard
input and answers each with one. It ends when its input does, so that none outlives whoever started
it, and it stands outside the terminal's process group: Ctrl-C is for the parent to handle. Nothing
of the parent is imported again, so this works from a script, a notebook and a console alike.
"""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import IO, Any

from bellwire.lab.errors import WorkerLost
from bellwire.lab.experiment import Result, run
from bellwire.lab.parameters import experiment

MAX_WORKERS = 256

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
"""Processes share the cores among them; threads within each would only get in the way."""


def available() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def results(
    protocol: str, jobs: Sequence[Mapping[str, Any]], workers: int
) -> Generator[tuple[int, Result], None, None]:
    """Run experiments; gives (number of the job, its result) as they come.

    Args:
        protocol: Of all of them.
        jobs: Their words.
        workers: Processes; with one, everything happens in this process.

    Raises:
        WorkerLost: a worker ended early.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        for number, words in enumerate(jobs):
            yield number, run(experiment(protocol, words))
        return
    crew = [_Worker() for _ in range(workers)]
    try:
        with selectors.DefaultSelector() as waiting:
            waiting_jobs = iter(enumerate(jobs))
            for worker, (number, words) in zip(crew, waiting_jobs, strict=False):
                worker.give(number, protocol, words)
                waiting.register(worker.answers, selectors.EVENT_READ, worker)
            while waiting.get_map():
                for key, _ in waiting.select():
                    worker = key.data
                    done = worker.take()
                    following = next(waiting_jobs, None)
                    if following is None:
                        waiting.unregister(worker.answers)
                    else:
                        worker.give(following[0], protocol, following[1])
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
        self._number = -1

    @property
    def answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def give(self, number: int, protocol: str, words: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._number = number
        try:
            self._process.stdin.write(json.dumps([protocol, words]).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLost(self._process.wait()) from None

    def take(self) -> tuple[int, Result]:
        line = self.answers.readline()
        if not line.endswith(b"\n"):
            raise WorkerLost(self._process.wait())
        return self._number, Result(**json.loads(line))

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
        protocol, words = json.loads(line)
        result = run(experiment(protocol, words))
        answers.write(json.dumps(result.to_dict()).encode() + b"\n")
        answers.flush()


def main() -> None:
    """The whole life of a worker."""
    serve(sys.stdin.buffer, sys.stdout.buffer)
