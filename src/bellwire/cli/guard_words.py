"""Where `bellwire guard` hears its node: at its door, or over NATS."""

import re
from typing import TYPE_CHECKING, NamedTuple

from bellwire.base.errors import UsageError

if TYPE_CHECKING:
    from bellwire.cli.keys.options import Asked
    from bellwire.guard.state import Words
    from bellwire.node.settings import Settings

_FINGERPRINT = re.compile(r"[0-9a-fA-F]{64}")


class OverNats(NamedTuple):
    """What the command line says of a node that is heard over NATS."""

    server: str | None
    identity: str | None
    site: str | None


def words_of(asked: "Asked", nats: OverNats, settings: "Settings") -> "tuple[str, Words]":
    """The address that is listened to, and what comes from there.

    Raises:
        UsageError: an option is missing, or cannot be used.
    """
    if nats.server is not None:
        return nats.server, _over_nats(nats, settings)
    if nats.identity is not None or nats.site is not None:
        raise UsageError("expected --nats with --node-identity and --site")
    from bellwire.cli.keys.options import whom
    from bellwire.guard.listener import Listener

    url, credentials, _ = whom(asked)
    return url, Listener(url, credentials.context())


def _over_nats(nats: OverNats, settings: "Settings") -> "Words":
    from bellwire.console.accounts import SITES
    from bellwire.node.status_push import nats_options

    if nats.identity is None or not _FINGERPRINT.fullmatch(nats.identity):
        raise UsageError(
            "--node-identity: expected 64 hexadecimal digits, got "
            f"{'none' if nats.identity is None else repr(nats.identity[:80])}",
            hint="`bellwire node --site SITE --identity` says them, at the node.",
        )
    if nats.site not in SITES:
        raise UsageError("expected --site a or --site b with --nats: whose node is heard")
    options = nats_options(settings.push)
    from bellwire.guard.nats import NatsListener
    from bellwire.guard.signed import Verifier

    subject = f"{settings.push.subject}.{nats.site}"
    verifier = Verifier(bytes.fromhex(nats.identity), subject)
    return NatsListener(settings.push.nats, subject, verifier, options)
