"""Who hears how `bellwire guard` is: its journal, standard output, a console, Prometheus."""

import contextlib
from typing import TYPE_CHECKING

from bellwire.cli import output

if TYPE_CHECKING:
    from bellwire.guard.journal import Recorder, What
    from bellwire.guard.override import Override
    from bellwire.guard.report import Reporter
    from bellwire.guard.service import Guard
    from bellwire.guard.state import State


class Telling:
    """Tells all of them, each change once.

    Args:
        recorder: Keeps what the guard does.
        reporter: Tells the console; None if nobody is to be told.
        print_states: Whether each change is printed.
    """

    def __init__(
        self, recorder: "Recorder", reporter: "Reporter | None", *, print_states: bool
    ) -> None:
        from collections import Counter

        self._recorder, self._reporter = recorder, reporter
        self._prints = print_states
        self._done: Counter[What] = Counter()

    def tell(self, state: "State") -> None:
        """The guard's state is another one."""
        if self._prints:
            _print(state)
        if self._reporter is not None:
            self._reporter.tell(state)

    def did(self, what: "What", why: str) -> None:
        """The guard has done something."""
        self._done[what] += 1
        self._recorder.did(what, why)

    def shown(
        self, guard: "Guard", port: int | None
    ) -> "contextlib.AbstractContextManager[int | None]":
        """Show its figures at a port of this machine's loopback; with none, load nothing for it."""
        if port is None:
            return contextlib.nullcontext()
        from bellwire.guard.figures import GuardFigures
        from bellwire.web.loopback import shown

        return shown(GuardFigures(lambda: guard.state, self._done), port)


def _end_of(override: "Override | None") -> float | None:
    """When an override ends; None without one, and for one that cannot be read (see `reason`)."""
    import math

    return override.until if override is not None and math.isfinite(override.until) else None


def _print(state: "State") -> None:
    from bellwire.guard.report import relay_words

    output.emit(
        {
            "packets": state.packets,
            "reason": state.reason,
            "since": state.since,
            "told_at": state.told_at,
            "heard_at": state.heard_at,
            "qber": state.qber,
            "blocked_packets": state.blocked.packets,
            "blocked_bytes": state.blocked.bytes,
            "restored": state.restored,
            "override": _end_of(state.override),
            "relay": None if state.followed is None else relay_words(state.followed),
        }
    )
