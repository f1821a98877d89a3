"""`/session renew`, in the line mode and in the window."""

from typing import TYPE_CHECKING

from bellwire.cli.chat_groups import one_person
from bellwire.cli.chat_words import note_words

if TYPE_CHECKING:
    from bellwire.chat.messenger.engine import Messenger


async def renew(messenger: "Messenger", conversation: bytes) -> str:
    """Have the other side begin a new session; what is told of it.

    Raises:
        UsageError: it is a group's conversation, or there is nobody to ask.
    """
    contact = one_person(conversation)
    await messenger.renew_session(contact)
    name = note_words((await messenger.conversation(contact)).name)
    return f"{name} is asked to begin a new session; what you miss comes again in it"
