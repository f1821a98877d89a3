"""A sweep on a real Dask cluster: a scheduler and workers, processes on free loopback ports."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S

from bellwire import lab
from bellwire.base.errors import UsageError
from bellwire.cli.main import run
from bellwire.lab import cluster
from bellwire.lab.errors import ClusterLost, ClusterUnfit, ClusterUnreachable, LibraryMissing
from bellwire.lab.results import FILES
from bellwire.lab.workers import Job

pytest.importorskip("distributed")

# Dask leaves connections to whoever was killed to the garbage collector, which then complains.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SCHEDULER = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
WORKER = ("--no-nanny", "--no-dashboard", "--nthreads", "1", "--host", "127.0.0.1")


class Cluster:
    """Processes of one cluster; `stop` ends those that are left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._env = {
            **os.environ,
            "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
            "DASK_DISTRIBUTED__DEATH_TIMEOUT": "60",
        }
        self._readers: list[tuple[subprocess.Popen[str], threading.Thread]] = []
        self.scheduler, self.address = self._start(*SCHEDULER)
        self.workers: list[subprocess.Popen[str]] = []

    def _start(self, *words: str) -> tuple["subprocess.Popen[str]", str]:
        """A process of Dask, and the address that it says it listens at."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            env=self._env,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        limit = threading.Timer(PATIENCE_S, process.kill)
        limit.start()
        try:
            assert process.stderr is not None
            for line in process.stderr:
                said = line.partition(" at:")
                if said[1] and "tcp://" in said[2]:
                    reader = threading.Thread(target=process.stderr.read)
                    reader.start()
                    self._readers.append((process, reader))
                    return process, said[2].strip()
        finally:
            limit.cancel()
        process.wait()
        process.stderr.close()
        raise AssertionError(f"dask {words[0]} did not start")

    def add_worker(self) -> "subprocess.Popen[str]":
        folder = self._folder / str(len(self.workers))
        folder.mkdir()
        process, _ = self._start("worker", self.address, *WORKER, "--local-directory", str(folder))
        self.workers.append(process)
        return process

    def stop(self) -> None:
        for process, _ in self._readers:
            process.kill()
        for process, reader in self._readers:
            process.wait()
            reader.join()
            assert process.stderr is not None
            process.stderr.close()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        found.add_worker()
        yield found
    finally:
        found.stop()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    try:
        yield found
    finally:
        found.stop()


def test_a_cluster_makes_the_same_files_as_local_processes(
    healthy: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lab", "sweep", "bb84", "--over", "eve=0:1:4", "--pulses", "4000", "--seed", "3"]
    assert run([*words, "--dask", healthy.address, "--out", str(tmp_path / "a"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["points"]) == 4
    assert run([*words, "--workers", "1", "--out", str(tmp_path / "b")]) == 0
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_weak_pulses_go_there_too_and_more_jobs_than_threads(healthy: Cluster) -> None:
    told: list[int] = []
    result = lab.sweep(
        "decoy-bb84", "km=0:50:9", pulses=1e5, seed=1, dask=healthy.address,
        progress=lambda done, *_: told.append(done),
    )  # fmt: skip
    assert told == list(range(1, 10))
    assert result == lab.sweep("decoy-bb84", "km=0:50:9", pulses=1e5, seed=1)


def test_what_an_experiment_raises_there_is_raised_here(healthy: Cluster) -> None:
    with pytest.raises(UsageError, match="fibre_km"):
        list(cluster.rows([Job("bb84", {"km": -1.0, "seed": 1}, 0)], healthy.address))
    assert list(cluster.rows([], healthy.address)) == []


def test_workers_of_another_version_are_refused(
    healthy: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "__version__", "0.0.0")
    with pytest.raises(ClusterUnfit, match=r"expected bellwire 0\.0\.0 on the workers"):
        lab.sweep("bb84", "eve=0:1:2", pulses=1000, seed=1, dask=healthy.address)


@pytest.mark.parametrize("victim", ["scheduler", "worker"])
def test_what_is_done_is_kept_when_a_cluster_goes_away(
    mortal: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_S", 2.0)
    mortal.add_worker()
    ends: dict[str, Callable[[], None]] = {
        "scheduler": mortal.scheduler.kill,
        "worker": mortal.workers[0].kill,
    }

    def end_after_two(done: int, *_: int) -> None:
        if done == 2:
            ends[victim]()

    out = tmp_path / "cut"
    with pytest.raises(ClusterLost) as caught:
        lab.sweep(
            "bb84", "eve=0:1:400", pulses=2000, seed=1, out=out, dask=mortal.address,
            progress=end_after_two,
        )  # fmt: skip
    assert mortal.address in str(caught.value)
    assert "What is done is kept" in (caught.value.hint or "")
    done = (out / "sweep.csv").read_text().count("\n") - 1
    assert 2 <= done < 400
    assert json.loads((out / "sweep.json").read_text())["complete"] is False


def test_nobody_at_the_address_is_told_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.2)
    with pytest.raises(ClusterUnreachable, match=r"tcp://127\.0\.0\.1:1, got no answer") as caught:
        lab.sweep("bb84", "eve=0:1:2", pulses=1000, dask="tcp://127.0.0.1:1")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    "address", ["", "localhost:8786", "http://a:1", "tcp://a", "tcp://a:0", "tcp://a:70000"]
)
def test_what_is_no_address_is_refused_before_anything_runs(address: str, tmp_path: Path) -> None:
    with pytest.raises(ClusterUnfit, match="tcp://HOST:PORT"):
        lab.sweep("bb84", "eve=0:1:2", dask=address, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert run(["lab", "sweep", "bb84", "--over", "eve=0:1:2", "--dask", address]) == 2


def test_processes_and_a_cluster_are_not_for_the_same_sweep(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["lab", "sweep", "bb84", "--over", "eve=0:1:2", "--workers", "2"]
    assert run([*words, "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "--workers or --dask" in capsys.readouterr().err


def test_without_dask_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LibraryMissing) as caught:
        lab.sweep("bb84", "eve=0:1:2", dask="tcp://127.0.0.1:1", out=tmp_path / "new")
    assert caught.value.hint is not None
    assert "./bellwire extras" in caught.value.hint
    assert "'bellwire[dask]'" in caught.value.hint
    assert not (tmp_path / "new").exists()
