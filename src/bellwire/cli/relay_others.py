"""What `bellwire relay` shares with other relays: a PostgreSQL server, and words over NATS."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bellwire.base.errors import UsageError
from bellwire.database.place import ServerPlace

if TYPE_CHECKING:
    from bellwire.base.secret import Secret
    from bellwire.chat.relay.nats import NatsNews
    from bellwire.chat.relay.store import RelayStore
    from bellwire.node.settings_relay import RelaySettings

STORE, ACCOUNTS = "bellwire_relay", "bellwire_relay_accounts"
"""Schemas, as a relay without others has files."""


@dataclass(frozen=True, slots=True)
class Others:
    """What is shared.

    Attributes:
        store: Of payloads.
        accounts: Of accounts.
        nats: Server over which relays hear each other; empty: none.
        options: Of the connection to it.
    """

    store: ServerPlace
    accounts: ServerPlace
    nats: str
    options: Mapping[str, Any]

    def news(self, seed: "Secret", store: "RelayStore") -> "NatsNews | None":
        """Words from and to the others, if a server is named."""
        if not self.nats:
            return None
        from bellwire.chat.relay.nats import NatsNews

        return NatsNews(self.nats, self.options, seed, store.relay_id, store.instance)


def others_of(settings: "RelaySettings", folder: Path, *, moves: bool) -> Others | None:
    """What the settings say is shared; None: nothing.

    Args:
        settings: Of the relay.
        folder: The relay's own.
        moves: Whether it is to move, which a relay with others cannot.

    Raises:
        UsageError: settings, folder and options do not go together.
    """
    if not settings.store:
        if settings.nats:
            raise UsageError(
                "expected --nats together with --store: relays tell each other of one store"
            )
        return None
    if moves:
        raise UsageError(
            "expected no --ports, --address, --interface, --signposts, --notice or --at-home with "
            "--store",
            hint="A relay that shares its store does not move: its notice would speak for all.",
        )
    if (folder / "relay.sqlite").exists():
        raise UsageError(
            f"expected no store in {folder} with --store, got relay.sqlite",
            hint="A store stays where it was made: name no server, or choose a new state folder.",
        )
    options: Mapping[str, Any] = {}
    if settings.nats:
        from bellwire.node.status_push import nats_options

        options = nats_options(settings, "relay")
    return Others(
        ServerPlace(settings.store, STORE),
        ServerPlace(settings.store, ACCOUNTS),
        settings.nats,
        options,
    )


def try_nats(settings: "RelaySettings") -> None:
    """Connect to the NATS server that the settings name.

    Raises:
        UsageError: it cannot be used as the settings say.
        UnreachableError: it does not answer.
    """
    import asyncio

    from bellwire.node.status_push import nats_options

    options = nats_options(settings, "relay")

    from bellwire.chat.relay.nats import try_out

    asyncio.run(try_out(settings.nats, options))
