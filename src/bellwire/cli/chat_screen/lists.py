"""The lists of conversations and of messages: each entry has a name, and changes in place."""

from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Key
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from bellwire.chat.messenger.views import Line
from bellwire.cli.chat_screen.hanging import Hanging

MAX_TYPED: Final = 40


def name_of(line: Line) -> str:
    """Of a message in its conversation: the two sides' ids may be the same."""
    return f"{'our' if line.ours else 'their'}-{line.message_id.hex()}"


class Contacts(OptionList):
    """Conversations; Enter opens one, and what is typed narrows the list."""

    class Narrowed(Message):
        """Another part of a name was typed; empty: all are shown."""

        def __init__(self, typed: str) -> None:
            super().__init__()
            self.typed = typed

    class Left(Message):
        """Escape was pressed, and nothing was typed."""

    typed = ""
    """What the list is narrowed by."""

    def narrow(self, typed: str) -> None:
        """Show those whose names have this in them."""
        if typed != self.typed:
            self.typed = typed[:MAX_TYPED]
            self.post_message(self.Narrowed(self.typed))

    def on_key(self, event: Key) -> None:
        """Letters narrow the list, Backspace takes one back, Escape all."""
        if event.is_printable and event.character:
            self.narrow(self.typed + event.character)
        elif event.key == "backspace":
            self.narrow(self.typed[:-1])
        elif event.key == "escape" and self.typed:
            self.narrow("")
        elif event.key == "escape":
            self.post_message(self.Left())
        else:
            return
        event.stop()
        event.prevent_default()

    def show(self, entries: dict[str, Content], chosen: str) -> None:
        """These in their order; entries that are there stay where they are."""
        if [each.id for each in self.options] == list(entries):
            for name, prompt in entries.items():
                if self.get_option(name).prompt != prompt:  # each is drawn again, over SSH too
                    self.replace_option_prompt(name, prompt)
            return
        before = self.highlighted_option
        if self.has_focus and before is not None and before.id in entries:
            chosen = str(before.id)  # somebody is about to choose it
        self.set_options(Option(prompt, id=name) for name, prompt in entries.items())
        if chosen in entries:
            self.highlighted = self.get_option_index(chosen)
        elif entries:
            self.highlighted = 0


class Messages(OptionList):
    """A conversation, oldest first; keys act on the highlighted one."""

    class Older(Message):
        """Up was pressed on the oldest."""

    class Done(Message):
        """Down was pressed on the newest."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "app.reply", "reply"),
        Binding("e", "app.edit", "edit"),
        Binding("d", "app.take_back", "delete"),
        Binding("w", "app.save", "save file"),
        Binding("s,enter", "app.session", "session", key_display="s"),
        Binding("escape,i", "app.write", "write", key_display="Esc"),
    ]

    def put(self, name: str, prompt: Hanging) -> None:
        """Add it at the end, or change it where it is; the end stays in view if it was."""
        at_end = self.is_vertical_scroll_end
        if any(each.id == name for each in self.options):
            if self.get_option(name).prompt != prompt:
                self.replace_option_prompt(name, prompt)
        else:
            self.add_option(Option(prompt, id=name))
        if at_end:
            self.to_end()

    def fill(self, entries: dict[str, Hanging], chosen: str | None = None) -> None:
        """These instead of what is there, with the end or the chosen one in view."""
        self.set_options(Option(prompt, id=name) for name, prompt in entries.items())
        if chosen is None:
            self.to_end()
        else:
            self.highlighted = self.get_option_index(chosen)

    def to_end(self) -> None:
        """Show the newest."""
        self.call_after_refresh(self.scroll_end, animate=False)

    def action_cursor_up(self) -> None:
        """The one before; from the oldest, those before it."""
        if self.highlighted == 0:
            self.post_message(self.Older())
        else:
            super().action_cursor_up()

    def action_cursor_down(self) -> None:
        """The next one; from the newest, back to writing."""
        if self.highlighted == self.option_count - 1:
            self.post_message(self.Done())
        else:
            super().action_cursor_down()
