"""What opens over the window and closes with Escape: help, status, sessions, safety, search."""

import time
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from bellwire.chat.messenger.harmless import harmless
from bellwire.chat.messenger.views import Line, Safety
from bellwire.cli.chat_screen import qr, words
from bellwire.cli.chat_table import help_rows
from bellwire.cli.chat_words import clock

FRAME: Final = """
    align: center middle;
    .panel {
        width: 78; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; padding: 0 1; background: $surface;
    }
    """
KEYS: Final = (
    ("Enter", "say it; what begins with / is a command"),
    ("Tab", "complete a command, name or path; else: people, messages"),
    ("Ctrl+J", "a new line in what you write"),
    ("Up", "to the messages; there:"),
    ("  r  e", "reply to the chosen one; other words for it"),
    ("  d d", "take it back, for both"),
    ("  s or Enter", "its quantum session"),
    ("  w", "save the file that it is"),
    ("  Escape", "back to writing"),
    ("Ctrl+O", "people: type a part of a name, Enter opens"),
    ("Ctrl+N  Ctrl+P", "next and previous conversation"),
    ("F2", "strangers who wrote first: accept or turn away"),
    ("F3", "groups, and who is in them; Enter opens"),
    ("Ctrl+R", "try now what was not sent"),
    ("Escape", "put away what is open: a panel, an alert, a reply"),
    ("F1  Ctrl+Q", "this help; leave (Ctrl+C as well)"),
)
HELP_CELLS: Final = 72
"""Of a row of help, beside the frame and a bar to scroll, in 80 columns."""


class Panel(ModalScreen[None]):
    """Rows of text; the arrows scroll them."""

    AUTO_FOCUS = "*"
    CSS = f"Panel {{ {FRAME} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss_none", "close", key_display="Esc")
    ]

    def __init__(self, title: str, content: Content) -> None:
        super().__init__()
        self._heading, self._content = title, content

    def compose(self) -> ComposeResult:
        """The rows in a frame."""
        with VerticalScroll(classes="panel") as frame:
            frame.border_title = Content(self._heading).markup
            frame.border_subtitle = "Esc closes"
            yield Static(self._content, id="rows")

    def action_dismiss_none(self) -> None:
        """Close."""
        self.dismiss(None)


def help_content() -> Content:
    """Keys and commands."""
    rows = [f"{keys:<16}{does}" for keys, does in KEYS]
    rows += ["", *help_rows(window=True, width=HELP_CELLS), ""]
    rows += [
        "● heard from in the last minute     ○ not     ✎ notes to yourself",
        "… no way to write to them yet       a number: so many are not read",
        "own, own session: photons for that message alone",
        "pool, pool pad: one-time pad from stock",
        "AES, AES only: no pad; AES-256-GCM under X25519 and ML-KEM-768 keys",
        "Behind a name stands what the next message would be under.",
        words.pad_legend(),
    ]
    return Content("\n".join(rows))


class SafetyPanel(ModalScreen[bool | None]):
    """The number that two people compare, and its code; ends with whether it is the same."""

    AUTO_FOCUS = "*"
    CSS = f"""
    SafetyPanel {{ {FRAME} }}
    SafetyPanel Horizontal {{ height: auto; }}
    #number {{ width: 1fr; height: auto; padding: 0 1; }}
    #code {{ width: {qr.CELLS}; height: auto; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "the same"),
        Binding("n", "answer(False)", "not the same"),
        Binding("escape,q", "leave", "close", key_display="Esc"),
    ]

    _ROOM: Final = (78, qr.ROWS + 2)
    _WIDER: Final = "For the QR code enlarge the terminal to 80×24, or make its letters smaller."

    def __init__(self, name: str, safety: Safety, *, verified: bool) -> None:
        super().__init__()
        self._whose, self._safety, self._verified = name, safety, verified

    def compose(self) -> ComposeResult:
        """The number beside its code."""
        groups = self._safety.number.split()
        lines = ["  ".join(groups[at : at + 3]) for at in range(0, len(groups), 3)]
        name = words.quoted(self._whose, 20)
        said = Content.assemble(
            f"{name} sees the same number, and a code of their own. "
            "Compare by voice or in person:\n\n",
            ("\n".join(lines), "bold"),
            "\n\ny   it is the same\nn   it is not\nEsc leave it open\n\n",
            ("Verified." if self._verified else "Not verified.", "bold"),
        )  # fmt: skip
        with Vertical(classes="panel") as frame:
            frame.border_title = "safety number"
            with Horizontal():
                yield Static(said, id="number")
                yield Static(qr.code(self._safety.code), id="code")
            yield Static(self._WIDER, id="wider")

    def on_resize(self, event: Resize) -> None:
        """A code of which a part is missing is none: where it does not fit, say what to do."""
        fits = event.size.width >= self._ROOM[0] and event.size.height >= self._ROOM[1]
        self.query_one("#code").display = fits
        self.query_one("#wider").display = not fits

    def action_answer(self, same: bool) -> None:
        """What they found."""
        self.dismiss(same)

    def action_leave(self) -> None:
        """They have not compared it."""
        self.dismiss(None)


class Found(ModalScreen[Line | None]):
    """Messages with certain words in them; ends with the chosen one."""

    AUTO_FOCUS = "*"
    CSS = f"Found {{ {FRAME} }} Found OptionList {{ border: none; max-height: 20; }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "close", key_display="Esc")
    ]

    def __init__(self, asked: str, lines: list[Line], names: dict[bytes, str]) -> None:
        super().__init__()
        self._asked, self._found, self._names = asked, lines, names

    def compose(self) -> ComposeResult:
        """One row for each."""
        now = time.time()
        with Vertical(classes="panel") as frame:
            frame.border_title = Content(
                f"{len(self._found)} with “{words.quoted(self._asked, 30)}”"
            ).markup
            frame.border_subtitle = "Enter opens, Esc closes"
            yield OptionList(*(Option(self._row(each, now)) for each in self._found), markup=False)

    def _row(self, line: Line, now: float) -> Content:
        with_whom = words.quoted(self._names.get(line.contact, "?"), 16)
        who = "you" if line.ours else with_whom
        return Content.assemble(
            (f"{clock(line.sent_ms, now)} ", "dim"),
            (f"{with_whom} ", "bold"),
            "" if who == with_whom else f"{who}: ",
            harmless(" ".join(line.text.split())),
        )

    def on_option_list_option_selected(self, chosen: OptionList.OptionSelected) -> None:
        """Open it."""
        self.dismiss(self._found[chosen.option_index])

    def action_leave(self) -> None:
        """None of them."""
        self.dismiss(None)
