"""All claims, in the order in which they are run."""

from collections.abc import Sequence
from typing import Final

from bellwire.claims import (
    channel,
    classical,
    cryptography,
    figures,
    guard,
    keys,
    ledger,
    light,
    relays,
)
from bellwire.claims.errors import UnknownClaim
from bellwire.claims.model import Claim

CLAIMS: Final[tuple[Claim, ...]] = (
    *light.CLAIMS,
    *classical.CLAIMS,
    *cryptography.CLAIMS,
    *keys.CLAIMS,
    *channel.CLAIMS,
    *relays.CLAIMS,
    *ledger.CLAIMS,
    *guard.CLAIMS,
    *figures.CLAIMS,
)


def chosen(names: Sequence[str], *, full: bool = False) -> tuple[Claim, ...]:
    """The claims of these names, or of these parts (`light`); all of none.

    Args:
        names: Which.
        full: Whether those that take minutes are in, also where they are not named.

    Raises:
        UnknownClaim: one is neither.
    """
    known = {claim.name for claim in CLAIMS} | {claim.name.partition(".")[0] for claim in CLAIMS}
    for name in names:
        if name not in known:
            parts = ", ".join(dict.fromkeys(claim.name.partition(".")[0] for claim in CLAIMS))
            raise UnknownClaim(
                f"expected a claim, or a part out of {parts}, got '{name}'",
                hint="bellwire prove --list shows all.",
            )
    wanted = set(names)
    return tuple(
        claim
        for claim in CLAIMS
        if claim.name in wanted
        or ((not wanted or claim.name.partition(".")[0] in wanted) and (full or not claim.long))
    )
