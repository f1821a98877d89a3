"""The lab's hand on a simulated link, for operators at a console."""

from pathlib import Path

from bellwire.console.views import EveView
from bellwire.link.attacks import KINDS, any_eve
from bellwire.link.client import ControlClient
from bellwire.link.messages import LinkState


class LinkLab:
    """The lab's hand on the link (`console.watching.Hand`).

    Args:
        control: The link's control socket.
    """

    def __init__(self, control: Path) -> None:
        self._control = ControlClient(control)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Attacks that there are."""
        return KINDS

    async def let_in(self, eve: EveView) -> EveView | None:
        """Let Eve in; who is on the link now."""
        return _shown(await self._control.set_eve(any_eve(eve.kind, eve.share)))

    async def send_away(self) -> EveView | None:
        """Send Eve away; who is on the link now."""
        return _shown(await self._control.set_eve(None))

    async def look(self) -> EveView | None:
        """Who is on the link."""
        return _shown(await self._control.link())


def _shown(state: LinkState) -> EveView | None:
    if state.attack is None:
        return None
    return EveView(str(state.attack.kind), state.attack.share)
