"""The terminal program of `bellwire lab step`: one photon at a time, or many, with what they show.

It draws and counts nothing itself: `bellwire.lab.walk` does, on the link's own halves.
"""

from dataclasses import replace
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer, Static

from bellwire.base.detections import Protocol
from bellwire.distill.verdict import CLASSICAL, Rules
from bellwire.lab import narration
from bellwire.lab.walk import Photon, Walk, attacks
from bellwire.link.eve import Eve, EveKind

AUTO_S = 0.8
"""Seconds for each photon of the automatic play: time to read two sentences."""

HELP = """\
space →   the next photon          e   Eve comes, or goes
n  N      ten more, a hundred      k   another attack of hers
m         a thousand more          + − her share, by a tenth
a         play by itself           v   distil what has passed: the verdict
r         from the start again     q   leave

Every photon is the simulated link's own: the choices of both sides, its losses, its errors.
The seed decides all of it; r repeats the same photons, with the Eve of the moment."""

_MARKS = {"lost": " ", "dropped": "·", "key": "✓", "test": "o"}
_LATEST = (
    "the latest (✓ sifted, ✗ error, · dropped)",
    "the latest (✓ sifted, ✗ error, S, o opened)",
)
_SYMBOLS = {0: "+", 90: "×"}


def scale(
    value: float, error: float, low: float, high: float, marks: tuple[float, ...], width: int = 30
) -> str:
    """A value with its error bar between two ends; `marks` are limits."""

    def place(number: float) -> int:
        share = (number - low) / (high - low)
        return min(width - 1, max(0, round(share * (width - 1))))

    line = ["·"] * width
    for mark in marks:
        line[place(mark)] = "¦"
    for at in range(place(value - error), place(value + error) + 1):
        line[at] = "─"
    line[place(value)] = "●"
    return "".join(line)


class Walker(App[None]):
    """The window on a walk."""

    TITLE = "bellwire lab step"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: 1; background: $primary; color: $text; text-style: bold; padding: 0 1; }
    #middle { height: 1fr; min-height: 10; }
    #photon { width: 1fr; border: round $primary; padding: 0 1; }
    #figures { width: 38; border: round $primary; padding: 0 1; }
    #track { height: 5; border: round $primary; padding: 0 1; }
    #verdict { height: 3; padding: 0 2; }
    .-narrow #figures { display: none; }
    #help { display: none; height: auto; border: round $accent; padding: 0 1; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-wide")]  # noqa: RUF012 - textual's own
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,right,enter", "go(1)", "next", key_display="space"),
        Binding("n", "go(10)", "10"),
        Binding("N", "go(100)", "100"),
        Binding("m", "go(1000)", show=False),
        Binding("a", "auto", "auto"),
        Binding("e", "eve", "Eve"),
        Binding("k", "kind", show=False),
        Binding("plus,equals_sign", "share(1)", show=False),
        Binding("minus", "share(-1)", show=False),
        Binding("v", "verdict", "verdict"),
        Binding("r", "restart", "restart"),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q,ctrl+c,ctrl+q", "quit", "quit", key_display="q"),
    ]

    def __init__(self, walk: Walk) -> None:
        super().__init__()
        self._walk = walk
        self._eve = walk.eve or Eve(EveKind.INTERCEPT_RESEND)
        self._verdict = ""

    def compose(self) -> ComposeResult:
        """The parts of the window, from top to bottom."""
        yield Static(id="head", markup=False)
        yield Static(HELP, id="help", markup=False)
        with Horizontal(id="middle"):
            yield Static(id="photon", markup=False)
            yield Static(id="figures", markup=False)
        yield Static(id="track", markup=False)
        yield Static(id="verdict", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the state before the first photon."""
        self._timer = self.set_interval(AUTO_S, self._play, pause=True)
        self._playing = False
        self.query_one("#figures").border_title = "so far (± standard error)"
        self.query_one("#track").border_title = _LATEST[self._walk.protocol is Protocol.E91]
        self._draw()

    def on_resize(self) -> None:
        """Show as many photons as there is room for."""
        self.call_after_refresh(self._draw)

    def action_go(self, count: int) -> None:
        """Let photons pass."""
        if self._walk.advance(count):
            self._verdict = ""
        if not self._walk.left:
            self._pause()
            self._verdict = "The block is over. v distils it, r starts again."
        self._draw()

    def action_auto(self) -> None:
        """Play, or pause."""
        self._playing = not self._playing
        self._timer.resume() if self._playing else self._timer.pause()
        self._draw()

    def action_eve(self) -> None:
        """Eve comes, or goes."""
        self._meet(None if self._walk.eve else self._eve)

    def action_kind(self) -> None:
        """The next of her attacks."""
        kinds = attacks(self._walk.protocol)
        following = kinds[(kinds.index(self._eve.kind) + 1) % len(kinds)]
        self._meet(Eve(following, self._eve.share))

    def action_share(self, tenths: int) -> None:
        """Let her touch a tenth more of the photons, or less."""
        share = min(10, max(1, round(10 * self._eve.share) + tenths)) / 10
        self._meet(replace(self._eve, share=share))

    def action_verdict(self) -> None:
        """Distil what has passed, beside the window, since kernels may first have to compile."""
        if self._walk.position:
            self._verdict = "Both sides distil what has passed …"
            self._draw()
            self.run_worker(self._distil, thread=True, exclusive=True)

    def action_restart(self) -> None:
        """The same photons again."""
        self._pause()
        self._walk = Walk(replace(self._walk.experiment, eve=self._walk.eve))
        self._verdict = ""
        self._draw()

    def action_help(self) -> None:
        """Show or hide what the keys do."""
        shown = self.query_one("#help")
        shown.display = not shown.display
        self.query_one("#middle").display = not shown.display

    def _distil(self) -> None:
        walk = self._walk
        position = walk.position
        said = f"After {position:,}: {narration.verdict(walk.distil())}"
        self.call_from_thread(self._told, walk, position, said)

    def _told(self, walk: Walk, position: int, said: str) -> None:
        if walk is self._walk and position == walk.position:
            self._verdict = said
            self._draw()

    def _meet(self, eve: Eve | None) -> None:
        self._eve = eve or self._eve
        self._walk.meet(eve)
        self._draw()

    def _play(self) -> None:
        self.action_go(1)

    def _pause(self) -> None:
        self._playing = False
        self._timer.pause()

    def _draw(self) -> None:
        walk = self._walk
        self._put(
            "head",
            f"{walk.protocol.upper()} · {walk.position:,} of {walk.experiment.pulses:,} · "
            f"Eve: {narration.eve_is(walk.eve)} · "
            + f"seed {walk.experiment.seed}"
            + (" · plays" if self._playing else ""),
        )
        self._put("photon", self._story())
        self._put("figures", self._figures())
        self._put("track", self._track())
        self._put("verdict", self._verdict)

    def _put(self, name: str, text: str) -> None:
        self.query_one(f"#{name}", Static).update(text)

    def _story(self) -> str:
        walk = self._walk
        panel = self.query_one("#photon")
        if not walk.position:
            panel.border_title = "before the first photon"
            return "Space lets the first one pass, ? says what the other keys do."
        panel.border_title = f"photon {walk.position:,}"
        return "\n".join(narration.tell(walk.protocol, walk.photon(walk.position - 1)))

    def _figures(self) -> str:
        walk, tally, rules = self._walk, self._walk.tally(), Rules()
        lines = []
        for name, value, theory in narration.measured(tally, walk.now):
            lines.append(f"{name:<12}{value}")
            if theory:
                lines.append(f"{'  theory':<12}{theory}")
        if tally.errors.bits:
            bar = scale(tally.errors.value, tally.errors.stderr, 0.0, 0.3, (rules.red_qber,))
            lines += [f"QBER 0 … 30%, limit {rules.red_qber:.0%}", bar]
        if tally.chsh is not None:
            bar = scale(*tally.chsh, 0.0, 3.0, (CLASSICAL, rules.chsh_floor))
            lines += [f"S 0 … 3, limits {CLASSICAL:g} and {rules.chsh_floor:g}", bar]
        return "\n".join(lines)

    def _track(self) -> str:
        """The latest photons, from left to right, as many as fit."""
        walk = self._walk
        cell = 6 if walk.protocol is Protocol.E91 else 4
        room = max(1, (self.size.width - 11) // cell)
        latest = range(max(0, walk.position - room), walk.position)
        photons = [walk.photon(number) for number in latest]
        rows = [("Alice", [self._side(p.alice) for p in photons])]
        rows.append(("Bob", [self._side(p.bob) for p in photons]))
        rows.append(("use", [_use(p) for p in photons]))
        return "\n".join(f"{name:<6}" + "".join(f"{c:>{cell}}" for c in row) for name, row in rows)

    def _side(self, found: tuple[float, int] | None) -> str:
        if found is None:
            return "-"
        degrees, bit = found
        e91 = self._walk.protocol is Protocol.E91
        return f"{degrees:.0f}°{bit}" if e91 else f"{_SYMBOLS[round(degrees)]}{bit}"


def _use(photon: Photon) -> str:
    if photon.use == "key" and not photon.equal:
        return "✗"
    return "S" if photon.term else _MARKS[photon.use]
