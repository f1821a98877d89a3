"""Settings taken over by a node that runs: those that may change, all of them or none.

Whatever can fail is done before anything changes, so that bad settings leave the node as it was.
Connections, and what is under way, do not notice.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bellwire.base.errors import BellwireError
from bellwire.base.manager import READY, reloading, tell_manager
from bellwire.keys.allowance import Allowance
from bellwire.node import logs
from bellwire.node.door import KmeIdentity, operator_authorities, rules_of
from bellwire.node.service import NodeService
from bellwire.node.settings import Settings, describe
from bellwire.web.server import KmeServer

AT_RUN_TIME = frozenset(
    {
        "distill.target_stock_bits",
        "kme.authority",
        "kme.authority_saes",
        "kme.authority_uri",
        "kme.bits_per_day",
        "kme.kept_bits",
        "kme.operators",
        "kme.priority",
        "kme.quotas",
        "kme.requests_per_s",
        "kme.time_to_live_s",
        "log.format",
        "log.level",
    }
)
"""Settings that need no restart."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of settings that were read again.

    Attributes:
        taken: Names of settings that changed, and count from now on.
        waiting: Names of those that changed, and count from the next start.
    """

    taken: tuple[str, ...]
    waiting: tuple[str, ...]


class Reloader:
    """Reads the settings again.

    Args:
        settings: With which the node was started.
        load: Gives them as they are now.
        node: Whose.
        identity: Of its KME, if it has one.
        door: Of its KME, if it has one.
        allowance: Of its KME.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        *,
        node: NodeService,
        identity: KmeIdentity | None,
        door: KmeServer | None,
        allowance: Allowance,
    ) -> None:
        self._load = load
        self._node = node
        self._identity = identity
        self._door = door
        self._allowance = allowance
        node.reload = self.reload
        self._running = {row.name: row.value for row in describe(settings)}

    def reload(self) -> Reloaded:
        """Take over what changed, in the event loop's thread; certificates are read again, too.

        Raises:
            ConfigError: the settings cannot be used; nothing changed.
            BellwireError: a file that they name cannot be; nothing changed.
        """
        try:
            new = self._load()
            done = self._take(new)
        except BellwireError as error:
            log.warning("settings not taken over", error=str(error))
            self._node.note("settings not taken over", error=str(error))
            raise
        log.info("settings taken over", taken=done.taken, waiting=done.waiting)
        self._node.note("settings taken over", taken=done.taken, waiting=done.waiting)
        return done

    def _take(self, new: Settings) -> Reloaded:
        values = {row.name: row.value for row in describe(new)}
        changed = sorted(name for name, value in values.items() if value != self._running[name])
        rules = rules_of(new)
        if self._identity is not None:
            operators = operator_authorities(new)
            self._identity.tls.renew()
            self._identity.tls.trust(operators)
            self._identity.registry.trust(operators)
        if self._door is not None:
            self._door.permit(new.kme.requests_per_s, frozenset(new.kme.operators))
        self._allowance.rules = rules
        self._node.link_keys.time_to_live_s = new.kme.time_to_live_s
        self._node.target_stock(new.distill.target_stock_bits)
        logs.setup(new.log.level, new.log.format)
        taken = [name for name in changed if name in AT_RUN_TIME]
        self._running |= {name: values[name] for name in taken}
        return Reloaded(tuple(taken), tuple(name for name in changed if name not in AT_RUN_TIME))

    def on_signal(self) -> None:
        """As `reload`, told to the manager; what went wrong is in the log."""
        tell_manager(reloading())
        with contextlib.suppress(BellwireError):
            self.reload()
        tell_manager(READY)
