"""What all tests need: a process that heeds Ctrl-C, whatever started it, and no clock over it."""

import os
import signal
import sys
from collections.abc import Iterator

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
# every run, so that a failure is of the change at hand; BELLWIRE_EXPLORE=1 looks for new ones.
settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not os.environ.get("BELLWIRE_EXPLORE"),
)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """No test sets up the logs of those after it; a logger that keeps its set-up would for ever."""
    yield
    keeps = structlog.get_config()["cache_logger_on_first_use"]
    structlog.reset_defaults()
    assert not keeps, "something that this test imports or calls makes loggers keep their set-up"
