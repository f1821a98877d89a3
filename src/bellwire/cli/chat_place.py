"""Where a chat finds what it asks: the relay, the lab's Eve, what she hears, a record."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bellwire.base.errors import BellwireError, UnreachableError

if TYPE_CHECKING:
    from bellwire.chat.messenger.recorded import Record
    from bellwire.cli.record import LogPlace
    from bellwire.node.overheard import Message
    from bellwire.node.settings import Settings

_RECORD_WITHIN_S = 10.0
"""Who leaves the chat waits no longer for an answer that is under way."""


async def relay_of(settings: "Settings") -> str:
    """The relay of this machine's services; where none are up, where the settings put it."""
    from bellwire.services.overview import overview

    try:
        found = (await overview(settings.state.dir))["services"]
    except BellwireError:
        found = []
    urls = [each["addresses"].get("relay") for each in found if each["name"] == "relay"]
    addresses = settings.addresses
    port = addresses.relay_port or 8765
    return str(urls[0]) if urls and urls[0] else f"ws://{addresses.relay_host}:{port}"


@contextlib.contextmanager
def recorded(place: "LogPlace | None") -> "Iterator[Record | None]":
    """The way to the log in which keys are looked up, if one is named."""
    from bellwire.chat.messenger.recorded import Record
    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.reading import LogReader

    if place is None:
        yield None
        return
    with fetching(place.place, place.ca, within_s=_RECORD_WITHIN_S) as fetch:
        yield Record(LogReader(fetch), place.trust)


class Lab:
    """The lab's hand on the light, where the link of this machine is one of the lab."""

    def __init__(self, state: Path) -> None:
        self._state = state

    async def eve(self, kind: str | None, share: float) -> str:
        """Let Eve in, or send her away (None); what is so now, in words.

        Raises:
            UnreachableError: there is no link of the lab here.
            ParameterError: there is no such Eve.
        """
        from bellwire.console.views import EveView
        from bellwire.node.link_lab import LinkLab

        control = self._state / "link" / "control.sock"
        if not control.exists():
            raise UnreachableError(
                "no link of the lab runs here", hint="Start it with: bellwire up --lab"
            )
        lab = LinkLab(control)
        eve = await (lab.send_away() if kind is None else lab.let_in(EveView(kind, share)))
        if eve is None:
            return "Eve is gone"
        return f"Eve is there: {eve.kind}, at {eve.share:.0%} of all pairs"

    async def overheard(self, site: str, after: int) -> "list[Message]":
        """What crossed the public channel of sessions at a site's node.

        Raises:
            UnreachableError, RefusedError: no node, or none of the lab.
        """
        from bellwire.node.operator import OperatorClient

        return await OperatorClient(self._state / f"node-{site}" / "operator.sock").overheard(after)
