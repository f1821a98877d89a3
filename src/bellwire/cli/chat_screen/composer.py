"""Where one writes: Enter says it, and a paste of several lines stays together."""

from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from bellwire.chat.content import MAX_TEXT_BYTES

JOINER: Final = "\u200d"
"""Joins emoji."""


class Composer(TextArea):
    """The input line; it grows with what is written."""

    class Said(Message):
        """Enter was pressed on words or a command."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Refused(Message):
        """So many characters were pasted, which are more than a message takes."""

        def __init__(self, characters: int) -> None:
            super().__init__()
            self.characters = characters

    class Left(Message):
        """Up was pressed on the first line."""

    class Completing(Message):
        """Tab was pressed behind what is written; without effect, it goes on to the next part."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,alt+enter", "new_line", show=False),
        Binding("tab", "complete", show=False),
    ]

    def put(self, text: str) -> None:
        """This instead of what is written, to be gone on with."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        """Enter hands over what is written.

        Not by a binding: that of an application is looked at before the keys that came earlier
        are in the text.
        """
        if event.key == "enter":
            event.prevent_default()
            event.stop()
            if self.text.strip():
                self.post_message(self.Said(self.text.strip("\n")))
                self.clear()

    def action_new_line(self) -> None:
        """Begin another line."""
        self.insert("\n")

    def action_complete(self) -> None:
        """Complete what is written up to its end, or leave for the next part."""
        if self.text and self.cursor_location == self.document.end:
            self.post_message(self.Completing(self.text))
        else:
            self.screen.focus_next()

    def action_cursor_up(self, select: bool = False) -> None:
        """Leave for the messages from the first line."""
        if select or self.cursor_location[0]:
            super().action_cursor_up(select)
        else:
            self.post_message(self.Left())

    async def _on_paste(self, event: events.Paste) -> None:
        """What is pasted may come from anybody: it brings no control character along.

        The text area's own handler is called after this one, with the same event. What is more
        than a message takes is refused before anything is done with it.
        """
        if len(event.text) > MAX_TEXT_BYTES:
            event.prevent_default()
            event.stop()
            self.post_message(self.Refused(len(event.text)))
            return
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        event.text = "".join(map(_kept, text))


def _kept(character: str) -> str:
    if character == "\n" or character.isprintable() or character == JOINER:
        return character
    return " " if character.isspace() else ""
