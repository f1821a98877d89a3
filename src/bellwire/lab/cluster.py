"""Experiments on a Dask cluster: the same jobs as in local processes, and the same rows.

What a worker runs is this module, by name, so bellwire must be installed there, in the same
version: a sweep mixes no versions. Dask's workers execute what their scheduler sends them, and
`tcp://` is neither encrypted nor authenticated: the network has to be one's own.
"""

import contextlib
import queue
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import asdict
from typing import Any

from bellwire import __version__
from bellwire.lab.errors import ClusterLost, ClusterUnfit, ClusterUnreachable
from bellwire.lab.libraries import load
from bellwire.lab.rows import AnyRow
from bellwire.lab.workers import Job

CONNECT_S = 10.0
"""How long to wait for the scheduler's first answer."""

CLOSE_S = 5.0
"""How long to wait until a client has taken its leave."""

PATIENCE_S = 15.0
"""How long a cluster may be without scheduler or worker before the sweep ends."""

_AHEAD = 2
"""Jobs sent for each thread of the cluster: one to do, and one for the moment it is done."""

_ADDRESS = re.compile(r"tcp://(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")


def check(address: str) -> str:
    """The address, if it is `tcp://HOST:PORT`; else ClusterUnfit."""
    found = _ADDRESS.fullmatch(address)
    if found is None or not 1 <= int(found[2]) <= 65535:
        raise ClusterUnfit(f"expected the scheduler as tcp://HOST:PORT, got {address}")
    return address


def ready(address: str) -> None:
    """Raise what `rows` would before anything is sent: for the address, or for want of Dask."""
    check(address)
    load("distributed")


def done(job: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What a worker does: one job, from plain values to its version and plain values."""
    return __version__, asdict(Job(**job).row())


def rows(jobs: Sequence[Job], address: str) -> Generator[AnyRow, None, None]:
    """Run experiments on a cluster; gives their rows as they come.

    Args:
        jobs: What to do.
        address: Of the scheduler, `tcp://HOST:PORT`.

    Raises:
        LibraryMissing: Dask is not installed here.
        ClusterUnfit: the address is none; the workers have no bellwire, or another version.
        ClusterUnreachable: no scheduler answers.
        ClusterLost: the scheduler or all workers went away, or a job ended workers again and again.
        BellwireError: what an experiment raised on a worker.
    """
    check(address)
    distributed = load("distributed")
    if not jobs:
        return
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ClusterUnreachable(address) from error
    try:
        yield from _Crew(client, address, jobs).rows()
    finally:
        # A client that looks for its scheduler in vain may take longer; it is of no more use.
        with contextlib.suppress(TimeoutError, OSError):
            client.close(timeout=CLOSE_S)


class _Crew:
    """A cluster at work: as many jobs are with it as keep its threads busy."""

    def __init__(self, client: Any, address: str, jobs: Sequence[Job]) -> None:
        self._client = client
        self._address = address
        self._left = iter(jobs)
        self._running: dict[str, tuple[Any, Job]] = {}
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._seen = time.monotonic()

    def rows(self) -> Generator[AnyRow, None, None]:
        self._fill()
        while self._running:
            try:
                key = self._done.get(timeout=1.0)
            except queue.Empty:
                self._look()
                self._fill()
                continue
            future, job = self._running.pop(key)
            yield self._row(future, job)
            self._seen = time.monotonic()
            self._fill()

    def _fill(self) -> None:
        """Send jobs up to what the cluster can use; at least one, which waits for a worker."""
        if self._client.status in {"closing", "closed"}:
            raise ClusterLost(self._address, "an answer of the scheduler", "none")
        wanted = max(1, _AHEAD * self._threads())
        while len(self._running) < wanted:
            job = next(self._left, None)
            if job is None:
                return
            future = self._client.submit(done, asdict(job), pure=False)
            self._running[future.key] = future, job
            future.add_done_callback(lambda one: self._done.put(one.key))

    def _threads(self) -> int:
        if self._client.status != "running":
            return 0
        workers = self._client.scheduler_info(n_workers=-1).get("workers", {})
        return sum(int(worker["nthreads"]) for worker in workers.values())

    def _look(self) -> None:
        """Raise ClusterLost if there has been nobody to work for too long."""
        if self._threads():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > PATIENCE_S:
            gone = "workers" if self._client.status == "running" else "an answer"
            raise ClusterLost(self._address, f"{gone} of the scheduler", "none")

    def _row(self, future: Any, job: Job) -> AnyRow:
        try:
            failed = self._asked(future.exception)
            if failed is not None:
                raise self._explained(failed) from failed
            version, plain = self._asked(future.result)
        except CancelledError as error:
            # Dask cancels every job whose scheduler went away, also one that was done and whose
            # row is only now fetched.
            ended = "the end of its jobs"
            raise ClusterLost(self._address, "an answer of the scheduler", ended) from error
        if version != __version__:
            raise ClusterUnfit(
                f"expected bellwire {__version__} on the workers of {self._address}, got {version}"
            )
        return job.read(plain)

    def _asked(self, ask: Callable[..., Any]) -> Any:
        """What a job that was done has to say.

        A worker may take its answer with it: the cluster then does the job again, and so it may be
        waited for as long as anybody is there to do it.
        """
        while True:
            try:
                return ask(timeout=1.0)
            except TimeoutError:
                self._look()

    def _explained(self, failed: BaseException) -> BaseException:
        from distributed.scheduler import KilledWorker  # noqa: PLC0415 - an optional library

        if isinstance(failed, KilledWorker):
            return ClusterLost(self._address, "a row of a job", "the end of every worker it was on")
        missing = failed if isinstance(failed, ModuleNotFoundError) else failed.__cause__
        if isinstance(missing, ModuleNotFoundError):
            return ClusterUnfit(
                f"expected bellwire {__version__} on the workers of {self._address}, got {missing}"
            )
        return failed
