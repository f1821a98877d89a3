"""What `bellwire cloud` knows of its devices, and who may ask it: the operators of this machine."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import structlog

from bellwire.base.local import SocketUnusable
from bellwire.base.operating import operated
from bellwire.cli.cloud_keys import kept_invitations
from bellwire.cli.cloud_teller import Teller
from bellwire.iot.gateway.queue import MessageQueue
from bellwire.iot.identity import ALLOWED_FOLDER, AllowList
from bellwire.iot.operator import REQUESTS, Desk
from bellwire.iot.reception import Reception
from bellwire.iot.roster import Roster
from bellwire.iot.store import CloudStore


class CloudDesk:
    """The list, the invitations and the roster of the cloud in a folder.

    Args:
        folder: The cloud's own.
        name: What devices call it.
        store: Where readings are.
        tell: Told what happens.
    """

    def __init__(self, folder: Path, name: str, store: CloudStore, tell: Teller) -> None:
        self._folder = folder
        self._name = name
        self.allowed = folder / ALLOWED_FOLDER
        self.admitted = AllowList(self.allowed)
        self.invitations = kept_invitations(folder, settle=True)
        self.roster = Roster(self.admitted, store, tell)
        self._listens: dict[str, str | None] = {}

    def answering(
        self, messages: MessageQueue, reception: Reception
    ) -> AbstractAsyncContextManager[None]:
        """Within, operators are answered."""
        self.roster.watch(reception)
        desk = Desk(
            self._name,
            self._listens,
            roster=self.roster,
            admitted=self.admitted,
            invitations=self.invitations,
            messages=messages,
            reception=reception,
        )
        return operated(self._folder, REQUESTS, desk.answer, _unusable)

    def listens(self, listening: dict[str, str | None]) -> dict[str, str | None]:
        """Tell operators where the cloud listens, and hand it on."""
        self._listens |= {"tcp": listening["listen"]}
        self._listens |= {each: listening[each] for each in ("udp", "mqtt")}
        return listening


def _unusable(error: SocketUnusable) -> None:
    structlog.get_logger("cloud").warning("operators cannot ask", reason=str(error))
