"""The lists of conversations and of messages: each entry has a name, and changes in place."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from bellwire.chat.messenger.views import Line


def name_of(line: Line) -> str:
    """Of a message in its conversation: the two sides' ids may be the same."""
    return f"{'our' if line.ours else 'their'}-{line.message_id.hex()}"


class Contacts(OptionList):
    """Conversations; Enter opens one."""

    def show(self, entries: dict[str, Content], chosen: str | None) -> None:
        """These in their order; entries that are there stay where they are."""
        if [each.id for each in self.options] == list(entries):
            for name, prompt in entries.items():
                if self.get_option(name).prompt != prompt:  # each is drawn again, over SSH too
                    self.replace_option_prompt(name, prompt)
            return
        self.set_options(Option(prompt, id=name) for name, prompt in entries.items())
        if chosen is not None:
            self.highlighted = self.get_option_index(chosen)


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

    def put(self, name: str, prompt: Content) -> None:
        """Add it at the end, or change it where it is; the end stays in view if it was."""
        at_end = self.is_vertical_scroll_end
        if any(each.id == name for each in self.options):
            if self.get_option(name).prompt != prompt:
                self.replace_option_prompt(name, prompt)
        else:
            self.add_option(Option(prompt, id=name))
        if at_end:
            self.to_end()

    def fill(self, entries: dict[str, Content], chosen: str | None = None) -> None:
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
