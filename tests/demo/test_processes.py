"""The crew: services that start, keep silent, talk nonsense, die, or will not go."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from tests.patience import PATIENCE_S

from bellwire.base.child import ServiceStopped
from bellwire.base.errors import RefusedError, UnreachableError, UsageError
from bellwire.demo import processes
from bellwire.demo.processes import Crew, Finished, error_of

READY = """echo '{"ready": true}'"""


@pytest.fixture
def crew_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Crew]:
    """A crew whose every program is this shell script instead of bellwire."""

    def make(script: str) -> Crew:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        return Crew(tmp_path, dict(os.environ))

    return make


def fails(crew: Crew, work: Callable[[Crew], Awaitable[object]]) -> ServiceStopped:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S), crew:
            await work(crew)

    with pytest.raises(ServiceStopped) as caught:
        asyncio.run(bounded())
    return caught.value


def start(crew: Crew) -> Awaitable[object]:
    return crew.start("node-x", "node", "--site", "x")


def test_a_service_is_given_its_arguments_and_what_it_says_is_kept(
    crew_of: Callable[[str], Crew], tmp_path: Path
) -> None:
    async def work() -> None:
        async with crew_of(READY + '; echo "$@" >&2; read line') as crew:
            service = await crew.start("node-x", "node", "--site", "x")
            assert service.ready == {"ready": True}
            assert crew.services == [service]

    asyncio.run(work())
    assert (tmp_path / "node-x.log").read_text() == "-m bellwire node --site x\n"


def test_a_service_that_ends_at_once_is_named_with_its_error(
    crew_of: Callable[[str], Crew],
) -> None:
    script = "echo working >&2; echo 'error: no paper' >&2; echo 'hint: buy some' >&2; exit 2"
    error = fails(crew_of(script), start)
    assert str(error) == "node-x did not start (exit code 2): no paper"
    assert error.exit_code == 4
    assert error.hint is not None
    assert "node-x.log" in error.hint


def test_a_service_that_is_killed_as_it_starts_is_named_with_the_signal(
    crew_of: Callable[[str], Crew],
) -> None:
    error = fails(crew_of("kill -9 $$"), start)
    assert str(error) == "node-x did not start (killed by SIGKILL): it said nothing"


@pytest.mark.parametrize("words", ["echo hello", "head -c 100000 /dev/zero"])
def test_a_service_that_says_something_else_than_that_it_is_ready_is_refused(
    crew_of: Callable[[str], Crew], words: str
) -> None:
    error = fails(crew_of(f"{words}; read line"), start)
    assert "expected a JSON line from node-x when it is ready" in str(error)


def test_a_service_that_is_silent_too_long_is_given_up(
    crew_of: Callable[[str], Crew], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "READY_TIMEOUT_S", 0.05)
    assert "did not become ready within" in str(fails(crew_of("read line"), start))


def test_a_service_that_dies_later_is_noticed_and_named(crew_of: Callable[[str], Crew]) -> None:
    async def work(crew: Crew) -> None:
        service = await crew.start("node-x", "node")
        service.process.kill()
        raise await crew.until_one_dies()

    error = fails(crew_of(READY + "; read line"), work)
    assert str(error) == "node-x stopped in the middle of the demo (killed by SIGKILL)"


def test_a_service_that_will_not_stop_is_killed(
    crew_of: Callable[[str], Crew], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.05)

    async def work() -> int:
        async with crew_of(f"trap '' TERM; {READY}; while :; do read line; done") as crew:
            service = await crew.start("node-x", "node")
        return service.process.pid

    assert not psutil.pid_exists(asyncio.run(work()))


def test_a_program_that_runs_to_its_end_gives_code_and_output(
    crew_of: Callable[[str], Crew],
) -> None:
    async def work() -> Finished:
        async with crew_of("echo out; exit 3") as crew:
            return await crew.run("device", "device", "send")

    done = asyncio.run(work())
    assert (done.name, done.code, done.output) == ("device", 3, b"out\n")


@pytest.mark.parametrize(
    ("code", "kind"), [(2, UsageError), (3, RefusedError), (4, UnreachableError)]
)
def test_an_error_that_a_program_printed_keeps_its_class_message_and_hint(
    code: int, kind: type[Exception]
) -> None:
    document = {"error": {"message": "no key leaves", "hint": "wait", "code": code}}
    error = error_of(Finished("device", 1, code, json.dumps(document).encode()))
    assert type(error) is kind
    assert (str(error), error.hint) == ("no key leaves", "wait")


@pytest.mark.parametrize("output", [b"", b"[]", b"{}", b'{"error": 1}', b"\xff"])
def test_a_program_that_printed_no_error_is_named_with_how_it_ended(output: bytes) -> None:
    error = error_of(Finished("device", 1, -9, output))
    assert str(error) == "device ended without a word (killed by SIGKILL)"
    assert error.exit_code == 1
