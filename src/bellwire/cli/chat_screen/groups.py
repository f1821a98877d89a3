"""The panel of groups: who is in each, and how each of them is written to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from bellwire.chat.messenger.views import Conversation, GroupMember
from bellwire.cli.chat_screen import words
from bellwire.cli.chat_screen.panels import FRAME
from bellwire.cli.chat_screen.people import next_protection

if TYPE_CHECKING:
    from bellwire.chat.messenger.engine import Messenger

NAME_CELLS: Final = 24
STATE_CELLS: Final = 30
NONE: Final = "You are in no group. /group new NAME @A @B makes one."
_NEXT: Final = {"own": "a session each", "pool": "pad from stock", "AES": "AES only"}


class Groups(ModalScreen[bytes | None]):
    """Ends with the group that was chosen.

    Args:
        messenger: Whose groups.
        chosen: The one to begin with, if it is a group.
    """

    AUTO_FOCUS = "*"
    CSS = f"""
    Groups {{ {FRAME} }}
    Groups OptionList {{ border: none; height: auto; max-height: 7; }}
    #members {{ height: auto; max-height: 14; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "scroll(1)", show=False),
        Binding("pageup", "scroll(-1)", show=False),
        Binding("escape,q,f3", "leave", "close", key_display="Esc"),
    ]

    def __init__(self, messenger: "Messenger", chosen: bytes) -> None:
        super().__init__()
        self._messenger = messenger
        self._chosen = chosen.hex()
        self._groups: dict[str, Conversation] = {}
        self._members: dict[str, list[GroupMember]] = {}
        self._people: dict[bytes, Conversation] = {}
        self._has_parts = False

    def compose(self) -> ComposeResult:
        """The list, and who is in the chosen one."""
        with Vertical(classes="panel") as frame:
            frame.border_title = "groups"
            frame.border_subtitle = "Enter opens, Esc closes"
            yield OptionList(id="groups", markup=False)
            with VerticalScroll(id="members", can_focus=False):
                yield Static(id="member-rows")

    async def on_mount(self) -> None:
        """Show them."""
        self._has_parts = True
        await self.look()

    async def look(self) -> None:
        """Show them as they are now; the chosen one stays chosen."""
        if not self._has_parts:
            return  # it is about to open, and looks then
        entries = await self._messenger.contacts()
        groups = {each.contact.hex(): each for each in entries if each.is_group}
        members = {
            name: await self._messenger.groups.members(each.contact)
            for name, each in groups.items()
        }
        self._people = {each.contact: each for each in entries}
        self._groups, self._members = groups, members
        listed = self.query_one("#groups", OptionList)
        listed.set_options(
            Option(row(each, members[name]), id=name) for name, each in groups.items()
        )
        if groups:
            there = self._chosen in groups
            listed.highlighted = listed.get_option_index(self._chosen) if there else 0
            listed.focus()
        listed.display = bool(groups)
        self._tell_of_chosen()

    @on(OptionList.OptionHighlighted, "#groups")
    def _look_at(self, highlighted: OptionList.OptionHighlighted) -> None:
        self._chosen = highlighted.option_id or ""
        self._tell_of_chosen()

    def _tell_of_chosen(self) -> None:
        found = self._members.get(self._chosen)
        said = Content(NONE) if not self._groups else Content("")
        if found is not None:
            said = Content("\n").join(member(each, self._people) for each in found)
        self.query_one("#member-rows", Static).update(said)

    @on(OptionList.OptionSelected, "#groups")
    def _picked(self, picked: OptionList.OptionSelected) -> None:
        if picked.option_id is not None:
            self.dismiss(bytes.fromhex(picked.option_id))

    def action_scroll(self, pages: int) -> None:
        """The members, page by page."""
        self.query_one("#members").scroll_relative(y=pages * 8, animate=False)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)


def row(entry: Conversation, members: list[GroupMember]) -> Content:
    """A group: name, how many are in it, what we are there, and what was not read."""
    admin = any(each.is_me and each.is_admin for each in members)
    ours = "you are the admin" if admin else "you are in it" if entry.is_in else "you are not in it"
    unread = f"  {entry.unread:,} unread" if entry.unread else ""
    name = Content(words.quoted(entry.name, NAME_CELLS)).truncate(
        NAME_CELLS, ellipsis=True, pad=True
    )
    return Content.assemble(
        name.stylize("bold"),
        (f"  {entry.members} people  {ours}", "dim"),
        (unread, "bold $text-warning"),
    )


def member(found: GroupMember, people: Mapping[bytes, Conversation]) -> Content:
    """Somebody in a group: who, what they are there, and what the next copy to them is under."""
    name = Content(words.quoted(found.name, NAME_CELLS)).truncate(
        NAME_CELLS, ellipsis=True, pad=True
    )
    admin = ", admin" if found.is_admin else ""
    if found.is_me:
        return Content.assemble("  ", name, f"  you{admin}")
    verified = "verified" if found.is_verified else "not verified"
    said = Content(f"{verified}{admin}").truncate(STATE_CELLS, pad=True)
    colour = "$text-success" if found.is_verified else "$text-warning"
    parts: list[tuple[str, str] | str | Content] = [
        ("○ " if found.is_reachable else "… ", "dim"),
        name,
        "  ",
        said.stylize(colour),
        *way(found, people),
    ]
    return Content.assemble(*parts)


def way(found: GroupMember, people: Mapping[bytes, Conversation]) -> list[tuple[str, str]]:
    """How the next copy goes to a member."""
    entry = people.get(found.contact)
    if entry is None or not found.is_reachable:
        return [("cannot be reached yet", "$text-warning")]
    under, is_pad = next_protection(entry)
    return [(_NEXT[under], "dim" if is_pad else "$text-warning")]
