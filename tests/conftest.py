"""What all tests need: a process that heeds Ctrl-C, whatever started it, and no clock over it."""

import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

# A shell starts background jobs with SIGINT ignored, and what is ignored is inherited by every
# program that a test starts: none of them would then be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The suite starts hundreds of programs. Where Python is told to keep no bytecode, as in many
# containers, each of them would compile all that it imports: seconds of work, where importing is
# tenths.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How long anything takes says how busy the machine is, not whether it is right. The same cases in
# every run, so that a failure is of the change at hand; EXPLORE_TESTS=1 looks for new ones.
settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not os.environ.get("EXPLORE_TESTS"),
)
settings.load_profile("suite")

_accept: Any = vars(BaseSelectorEventLoop)["_accept_connection2"]


async def _accept_or_close(
    loop: BaseSelectorEventLoop,
    factory: object,
    conn: socket.socket,
    extra: object,
    tls: object = None,
    server: asyncio.Server | None = None,
    *more: object,
    **named: object,
) -> None:
    """What asyncio does with a connection that it has accepted, or that came too late.

    One that it accepts in the round of its loop in which the server closes, it leaves to the
    garbage collector (an assertion of `Server._attach` fails, and is kept quiet): whatever test
    ran when that came upon the socket was told to have left it open.
    """
    if server is None or server.sockets:
        await _accept(loop, factory, conn, extra, tls, server, *more, **named)
    else:
        conn.close()


BaseSelectorEventLoop._accept_connection2 = _accept_or_close  # type: ignore[attr-defined]

DIARY = "DIARY_OF_TESTS"
"""Not `BELLWIRE_…`: the program refuses a setting that it does not know."""
TESTS = Path(__file__).parent
LONG = (
    "cli/test_up.py",
    "docs/test_lab_examples.py",
    "docs/test_reference_examples.py",
    "docs/test_other_examples.py",
    "demo/test_violence.py",
    "keys/test_crashes.py",
    "cli/test_node.py",
    "keys/postgres/test_crashes.py",
    "bench/test_keys_bench.py",
    "bench/test_distill_bench.py",
    "guard/test_service.py",
    "iot/test_attacks.py",
    "demo/test_page.py",
    "iot/test_command_line.py",
    "lab/test_figures.py",
    "lab/test_power.py",
    "lab/test_odds.py",
    "pages/test_journeys.py",
    "bench/test_kill_kmes.py",
    "bench/test_chat_bench.py",
    "guard/test_story.py",
    "demo/test_recordings.py",
    "iot/test_cable.py",
    "guard/test_openwrt.py",
)
"""Files of half a minute and more, as measured side by side; the longest first."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Among several workers the long files come first: none of them works alone at the end."""
    if hasattr(config, "workerinput"):
        first = {TESTS / name: number for number, name in enumerate(LONG)}
        gone = [path.name for path in first if not path.exists()]
        assert not gone, f"not there any more: {gone}"
        items.sort(key=lambda item: first.get(item.path, len(first)))


class Diary:
    """Writes to a file how many tests there are, which begin and which end.

    What a run that never ends, or that ended too early, is asked for.

    It lives in the process that collects what the workers report, and has one line for each.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._file.write(f"= {len(ids)}\n")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._file.write(f"+ {nodeid}\n")

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._file.write(f"- {nodeid}\n")

    def pytest_unconfigure(self) -> None:
        self._file.close()


def pytest_configure(config: pytest.Config) -> None:
    """`tools/check.py` asks for a diary, of its own tests: a test may run others by itself."""
    path = os.environ.pop(DIARY, "")  # no worker has it, nor what a worker starts
    if path:
        config.pluginmanager.register(Diary(Path(path)), "diary")


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """No test sets up the logs of those after it; a logger that keeps its set-up would for ever.

    A command that is run in this process sends its logs to what stands for standard error in its
    test: whatever a library logs later, in threads that other tests share, went to a closed file.

    Nor the limit of recursion: JSON of many brackets would then end the process.
    """
    limit = sys.getrecursionlimit()
    root = logging.getLogger()
    level, handlers = root.level, set(root.handlers)
    yield
    root.setLevel(level)
    for each in set(root.handlers) - handlers:
        if type(each) is logging.StreamHandler:  # pytest's own, of each of a test's parts, is more
            root.removeHandler(each)
    after = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    assert after <= limit, "something that this test imports or calls raises the recursion limit"
    keeps = structlog.get_config()["cache_logger_on_first_use"]
    structlog.reset_defaults()
    assert not keeps, "something that this test imports or calls makes loggers keep their set-up"
