"""The lab's hand on a simulated link, for operators at a console."""

from collections.abc import Mapping
from pathlib import Path

from bellwire.link.attacks import any_eve
from bellwire.link.client import ControlClient
from bellwire.link.messages import LinkState


class LinkLab:
    """The lab's hand on the link (`web.console.Lab`).

    Args:
        control: The link's control socket.
    """

    def __init__(self, control: Path) -> None:
        self._control = ControlClient(control)

    async def attack(self, kind: str, share: float) -> Mapping[str, object]:
        """Let Eve in; how the link is attacked now."""
        return _shown(await self._control.set_eve(any_eve(kind, share)))

    async def reset(self) -> Mapping[str, object]:
        """Send Eve away."""
        return _shown(await self._control.set_eve(None))


def _shown(state: LinkState) -> Mapping[str, object]:
    if state.attack is None:
        return {"attack": None}
    return {"attack": {"kind": str(state.attack.kind), "share": state.attack.share}}
