"""One service is kept: it dies, talks nonsense, keeps silent, will not go; programs are scripts."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from tests.children import leaves_no_child
from tests.patience import PATIENCE_S

from bellwire.base import child
from bellwire.base.errors import BellwireError, RefusedError, UsageError
from bellwire.services import keeper as module
from bellwire.services.keeper import Keeper
from bellwire.services.logs import MAX_LOG_BYTES, begin_log
from bellwire.services.program import Program

READY = """echo '{"ready": true, "n": '$$'}'"""
LIVES = f"{READY}; read line"
FAILS = "echo 'error: no paper' >&2; exit 1"

KeeperOf = Callable[[str], Keeper]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def keeper_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> KeeperOf:
    """A keeper whose program is this shell script in the place of bellwire."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)

    def make(script: str) -> Keeper:
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))
        program = Program("x", lambda known: ["x", str(known.get("x", {}).get("n", "new"))])
        return Keeper(program, tmp_path / "x.log", {}, said.append)

    return make


def kept(keeper: Keeper, work: Callable[[Keeper], Awaitable[None]]) -> None:
    """Keep, until `work` is done or the keeper gives up."""

    async def both() -> None:
        async with asyncio.timeout(PATIENCE_S):
            keeping = asyncio.create_task(keeper.keep())
            working = asyncio.ensure_future(work(keeper))
            try:
                await asyncio.wait({keeping, working}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    working.result()
            finally:
                working.cancel()
                keeping.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeping

    asyncio.run(both())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_service_that_dies_comes_back_and_knows_what_it_said(
    keeper_of: KeeperOf, tmp_path: Path, said: list[str]
) -> None:
    keeper = keeper_of(f'echo "$@" >&2; {LIVES}')
    pids: list[int] = []

    async def work(keeper: Keeper) -> None:
        await keeper.ready.wait()
        await until(lambda: keeper.view().state == "running")
        pid = keeper.view().pid
        assert pid is not None
        pids.append(pid)
        os.kill(pid, 9)
        await until(lambda: keeper.view().state == "running" and keeper.view().pid != pid)
        pids.append(keeper.view().ready["n"])

    kept(keeper, work)
    log = (tmp_path / "x.log").read_text().splitlines()
    assert log == ["-m bellwire x new", f"-m bellwire x {pids[0]}"]
    view = keeper.view()
    assert (view.restarts, view.trouble, view.state) == (1, "killed by SIGKILL", "stopped")
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert "x ended (killed by SIGKILL); it starts again in 0.001 s" in said


def test_a_service_that_keeps_failing_is_said_to_with_its_last_words(
    keeper_of: KeeperOf, said: list[str]
) -> None:
    keeper = keeper_of(FAILS)

    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.view().state == "failing")
        assert keeper.view().trouble == "x did not start (exit code 1): no paper"
        restarts = keeper.view().restarts
        await until(lambda: keeper.view().restarts > restarts)  # It is never given up.

    kept(keeper, work)
    assert sum("it ended 5 times" in each for each in said) == 1


def test_pauses_grow_up_to_a_bound(
    keeper_of: KeeperOf, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.004)
    keeper = keeper_of(FAILS)

    async def work(_: Keeper) -> None:
        await until(lambda: len(said) >= 4)

    kept(keeper, work)
    assert [each.split()[-2] for each in said[:4]] == ["0.001", "0.002", "0.004", "0.004"]


def test_a_service_that_lives_on_has_its_earlier_ends_forgotten(
    keeper_of: KeeperOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "STEADY_S", 0.01)
    count = tmp_path / "count"
    keeper = keeper_of(f"echo x >> {count}; test $(wc -l < {count}) -gt 5 || exit 1; {LIVES}")

    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.view().state == "failing")
        await until(lambda: keeper.view().state == "running")

    kept(keeper, work)
    assert keeper.view().restarts == 5


@pytest.mark.parametrize(("code", "kind"), [(2, UsageError), (3, RefusedError)])
def test_what_no_other_start_can_mend_ends_the_first_one(
    keeper_of: KeeperOf, code: int, kind: type[BellwireError]
) -> None:
    async def never(_: Keeper) -> None:
        await asyncio.Event().wait()

    with pytest.raises(kind) as caught:
        kept(keeper_of(f"echo 'error: no paper' >&2; exit {code}"), never)
    assert str(caught.value) == f"x did not start (exit code {code}): no paper"


def test_the_same_later_is_tried_again(keeper_of: KeeperOf, tmp_path: Path) -> None:
    again = tmp_path / "again"
    keeper = keeper_of(f"test -e {again} && exit 2; touch {again}; {READY}")

    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.view().restarts >= 2)

    kept(keeper, work)
    assert keeper.view().trouble == "x did not start (exit code 2): it said nothing"


def test_words_of_an_earlier_run_are_not_taken_for_the_last(
    keeper_of: KeeperOf, tmp_path: Path
) -> None:
    (tmp_path / "x.log").write_text("error: last week\n")
    keeper = keeper_of("exit 1")

    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.view().trouble)

    kept(keeper, work)
    assert keeper.view().trouble == "x did not start (exit code 1): it said nothing"


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        ("echo hello; read line", "expected a JSON line from x when it is ready"),
        ("read line", "x did not become ready within"),
    ],
)
def test_a_service_that_is_not_ready_is_ended_and_started_again(
    keeper_of: KeeperOf, monkeypatch: pytest.MonkeyPatch, script: str, trouble: str
) -> None:
    monkeypatch.setattr(module, "READY_WITHIN_S", 0.05)
    pids = set()

    async def work(keeper: Keeper) -> None:
        while keeper.view().restarts < 2:
            pids.add(keeper.view().pid)
            await asyncio.sleep(0.001)

    keeper = keeper_of(script)
    kept(keeper, work)
    assert trouble in (keeper.view().trouble or "")
    assert not any(psutil.pid_exists(pid) for pid in pids if pid is not None)


def test_a_service_that_will_not_go_is_killed(
    keeper_of: KeeperOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_WITHIN_S", 0.05)
    pids: list[int | None] = []

    async def work(keeper: Keeper) -> None:
        await keeper.ready.wait()
        pids.append(keeper.view().pid)

    kept(keeper_of(f"trap '' TERM; {READY}; while :; do read line; done"), work)
    (pid,) = pids
    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_to_be_stopped_while_a_service_is_being_ended_waits_for_its_end(
    keeper_of: KeeperOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READY_WITHIN_S", 0.05)
    monkeypatch.setattr(module, "STOP_WITHIN_S", 0.2)
    ending = asyncio.Event()
    pids: list[int] = []
    real = child.end

    async def told(process: asyncio.subprocess.Process, *, within_s: float) -> None:
        pids.append(process.pid)
        ending.set()
        await real(process, within_s=within_s)

    monkeypatch.setattr(module, "end", told)

    async def work(_: Keeper) -> None:
        await ending.wait()

    kept(keeper_of("trap '' TERM; while :; do read line; done"), work)
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize("turns", range(0, 40, 5))
def test_to_be_stopped_at_any_moment_of_a_start_leaves_no_process(
    keeper_of: KeeperOf, turns: int
) -> None:
    async def work(_: Keeper) -> None:
        for _turn in range(turns):
            await asyncio.sleep(0)

    with leaves_no_child():
        kept(keeper_of("read line"), work)


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert begin_log(log) == 0
    log.write_text("few words\n")
    assert begin_log(log) == 10
    with log.open("ab") as file:
        file.truncate(MAX_LOG_BYTES + 1)
    assert begin_log(log) == 0
    assert not log.exists()
    assert (tmp_path / "x.log.1").exists()
