"""Where a supervisor works: `STATE/up`, held by one at a time, and `STATE/logs`."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.local import MAX_SOCKET_PATH
from bellwire.base.lock import held, is_held
from bellwire.base.private import own_folder, unusable
from bellwire.services.errors import PlanUnusable, ServicesUp

LONGEST_SOCKET = "node-a/operator.sock"


@dataclass(frozen=True, slots=True)
class Place:
    """Folders and files of the supervisor of one state folder.

    Attributes:
        state: The state folder, absolute.
    """

    state: Path

    @property
    def folder(self) -> Path:
        """The supervisor's own folder."""
        return self.state / "up"

    @property
    def control(self) -> Path:
        """Where it is asked and told."""
        return self.folder / "control.sock"

    def authentication_key(self, site: str) -> Path:
        """A site's pre-placed key, until its node has taken it in."""
        return self.folder / f"authentication-{site}.key"

    def log(self, service: str) -> Path:
        """Where a service logs."""
        return self.state / "logs" / f"{service}.log"

    def is_held(self) -> bool:
        """Whether a supervisor works here."""
        lock = self._lock
        try:
            return is_held(lock)
        except OSError as error:
            raise unusable(lock, error) from error

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Work here; nobody else does meanwhile, and however we end, the next one may.

        Raises:
            ServicesUp: somebody else does.
            PlanUnusable: the path of the state folder is too long for sockets.
            PathUnusable, PathExposed: the folder cannot be used.
        """
        longest = len(os.fsencode(self.state / LONGEST_SOCKET))
        if longest > MAX_SOCKET_PATH:
            raise PlanUnusable(
                f"expected a state folder whose path has at most "
                f"{MAX_SOCKET_PATH - len(LONGEST_SOCKET) - 1} bytes, got {self.state}",
                hint="The services' sockets lie below it; choose a shorter one with --state.",
            )
        own_folder(self.folder)
        own_folder(self.log("x").parent)
        lock = self._lock
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(held(lock))
            except BlockingIOError as error:
                raise ServicesUp(
                    f"expected a state folder without running services, got {self.state}, where "
                    "another `bellwire up` is at work",
                    hint="bellwire status shows them, bellwire down stops them; or choose another "
                    "folder with --state, and other ports.",
                ) from error
            except OSError as error:
                raise unusable(lock, error) from error
            yield

    @property
    def _lock(self) -> Path:
        folder = self.folder
        return folder / "lock"


def place_of(state: Path) -> Place:
    """The place of a state folder, which may be given in relation to where we work."""
    return Place(state.absolute())
