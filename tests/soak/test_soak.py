"""The soak finds what it looks for; the services themselves are soaked by `tools/soak.py`."""

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.soak import parts
from tests.soak.clock import movable, move
from tests.soak.parts import Chat, Device, Machine, ends, environment
from tests.soak.watch import Watch
from tools.kill_kmes import Workers

from bellwire.guard.decision import Rules
from bellwire.keys.errors import NodeUnreachable
from bellwire.keys.status import Status


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        (["bob 0", "bob 1", "bob 2"], {}),
        (["bob 0", "bob 2"], {"messages lost": 1}),
        (["bob 0", "bob 1", "bob 1", "bob 2"], {"messages doubled": 1}),
        (["bob 1", "bob 0", "bob 2"], {"messages out of order": 1}),
    ],
)
def test_messages_that_are_lost_doubled_or_out_of_order_are_counted(
    heard: list[str], wrong: dict[str, int], tmp_path: Path
) -> None:
    chat = Chat(Machine(tmp_path))
    alice, bob = chat.people
    bob.said, alice.heard = ["bob 0", "bob 1", "bob 2"], heard
    assert dict(+chat._judged()) == wrong


def test_readings_of_all_streams_are_read(tmp_path: Path) -> None:
    for stream, text in (("a", "0\n1\n"), ("b", "2\n")):
        (tmp_path / "device").mkdir(exist_ok=True)
        (tmp_path / "device" / f"{stream}.readings").write_text(text)
    assert Device._arrived(tmp_path) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("statuses", "wrong"),
    [
        ([Status.RED, Status.RED], 1),
        ([Status.GREEN, Status.RED], 0),
        ([Status.RED, Status.GREEN], 0),
        ([Status.RED, None, Status.RED], 0),
    ],
)
def test_a_key_that_came_between_two_looks_at_red_is_counted(
    statuses: list[Status | None],
    wrong: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = seen(statuses, tmp_path, monkeypatch, guarded=False)
    assert (watch.given_on_red, watch.knocks) == (wrong, 0)


@pytest.mark.parametrize(
    ("statuses", "relay_is_there", "wrong"),
    [
        ([Status.RED, Status.RED, Status.RED], True, 2),
        ([Status.RED, Status.RED, Status.RED], False, 0),
        ([Status.RED, Status.GREEN], True, 0),
    ],
)
def test_a_connection_while_red_outlasts_a_lease_is_counted(
    statuses: list[Status | None],
    relay_is_there: bool,
    wrong: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.soak.watch.LATE_S", -Rules().lease_s)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr("tests.soak.watch.RELAY", listener.getsockname())
        if not relay_is_there:
            listener.close()
        watch = seen(statuses, tmp_path, monkeypatch, guarded=True)
    assert watch.passed_on_red == wrong
    assert watch.knocks == statuses.count(Status.RED)


def seen(
    statuses: list[Status | None], folder: Path, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
) -> Watch:
    """A watch that has seen these, one after the other; a key comes at once after each."""
    monkeypatch.setattr("tests.soak.watch.LOOK_EVERY_S", 0.0)
    nobody: Any = None
    workers = Workers(nobody, nobody, random.Random(1))
    watch = Watch(Machine(folder), workers, guarded=guarded)
    left = list(statuses)

    async def status() -> SimpleNamespace:
        if not left:
            raise asyncio.CancelledError
        if (found := left.pop(0)) is None:
            raise NodeUnreachable("gone")
        asyncio.get_running_loop().call_soon(
            lambda: workers.given.append((time.monotonic(), time.monotonic()))
        )
        return SimpleNamespace(status=found)

    watch._client = SimpleNamespace(status=status)  # type: ignore[assignment]

    async def look() -> None:
        try:
            await watch.run()
        except asyncio.CancelledError:
            return

    asyncio.run(look())
    return watch


@pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler")
def test_a_clock_jumps_for_programs_that_heed_it_and_for_no_other(tmp_path: Path) -> None:
    heeding = movable(tmp_path)
    assert heeding is not None
    asks = "import time; print(time.time()); print(time.monotonic())"

    def asked(environment: dict[str, str]) -> list[float]:
        words = [sys.executable, "-S", "-c", asks]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        return [float(line) for line in done.stdout.split()]

    move(tmp_path / "clock", -7_200)
    wall, passing = asked({**os.environ, **heeding})
    assert wall == pytest.approx(time.time() - 7_200, abs=600)
    assert passing == pytest.approx(time.monotonic(), abs=600)
    assert asked(dict(os.environ))[0] == pytest.approx(time.time(), abs=600)


STUBBORN = """
import asyncio, signal, sys

async def never_comes():
    await asyncio.Event().wait()

async def main():
    waiting = asyncio.create_task(never_comes())
    print("on", flush=True)
    await waiting

if "ignore" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
asyncio.run(main())
"""


async def begun(state: Path, *words: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STUBBORN, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(state, {}),
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


@pytest.mark.parametrize(("heeds", "ended"), [(True, True), (False, False)])
def test_who_does_not_end_when_told_to_is_ended_and_found(
    heeds: bool, ended: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "SAYS_WITHIN_S", 0.0)

    async def run() -> None:
        process = await begun(tmp_path, *([] if heeds else ["ignore"]))
        process.terminate()
        assert await ends(process, 300.0 if heeds else 0.0) is ended
        assert process.returncode == -(signal.SIGTERM if heeds else signal.SIGABRT)

    asyncio.run(run())


def test_a_program_of_a_soak_says_of_its_tasks_what_they_await(tmp_path: Path) -> None:
    async def run() -> str:
        process = await begun(tmp_path)
        process.send_signal(signal.SIGUSR2)
        assert process.stderr is not None
        said = await process.stderr.readuntil(b"awaits <coroutine object never_comes")
        process.kill()
        await process.communicate()
        return said.decode()

    assert "asked to end 0 times" in asyncio.run(run())


NETWORK = """
import socket, subprocess, time
from tests.soak.faults import delay, haste, keep, lose

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ours.bind(("127.0.0.1", 0))

def come(within_s=0.0):
    for _ in range(80):
        ours.sendto(bytes(1000), ours.getsockname())
    ours.settimeout(within_s)
    longest_s, count = 0.0, 0
    while count < 80:
        began = time.monotonic()
        try:
            ours.recv(2000)
        except (TimeoutError, BlockingIOError):
            break
        longest_s, count = max(longest_s, time.monotonic() - began), count + 1
    return count, longest_s

assert come(60.0)[0] == 80
if not (lose() and delay()):
    raise SystemExit(77)
assert haste()
assert sum(come()[0] for _ in range(3)) < 240
assert keep()
assert delay()
count, longest_s = come(60.0)
assert count == 80
assert longest_s > 0.005, "beyond the burst each waits for eight milliseconds"
assert haste()
assert come(60.0)[0] == 80
"""


def test_packets_are_lost_and_late_while_they_are_meant_to_be() -> None:
    if os.geteuid() and not os.environ.get("CI"):
        pytest.skip("needs root, to make a network")
    root = Path(__file__).parents[2]
    words = ["unshare", "--net", sys.executable, "-c", NETWORK]
    ran = subprocess.run(words, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    if ran.returncode == 77:
        pytest.skip("this kernel has no means for it, and the soak says so")
    assert ran.returncode == 0
