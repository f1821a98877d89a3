"""Programs that ask a console: by their token, and so often."""

import time
from collections.abc import Callable

from bellwire.console.accounts import Account, Accounts
from bellwire.web.errors import RequestRefused
from bellwire.web.plain import require_pace
from bellwire.web.rates import Rates
from bellwire.web.reader import Asked
from bellwire.web.settings import DoorLimits

_BEARER = b"bearer "


class Callers:
    """Who asks, and how often.

    Args:
        accounts: Of the site.
        limits: Rates of an account, and of an address without one.
        clock: Seconds of a clock that only advances.
    """

    def __init__(
        self, accounts: Accounts, limits: DoorLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._accounts = accounts
        self._clock = clock
        self._rates = Rates(limits.requests_per_s, limits.burst)
        self._addresses = Rates(limits.requests_per_s, limits.burst)

    def account(self, asked: Asked, address: str) -> Account:
        """Whose token came with a request.

        Raises:
            RequestRefused: 401, nobody's; 429, he asks too often.
        """
        found = self._accounts.identify(_token(asked))
        if found is None:
            self.slow_down(address)
            raise RequestRefused(
                401,
                "expected the token of a member: Authorization: Bearer TOKEN",
                headers=[("www-authenticate", "Bearer")],
            )
        self.slow_account(found.name)
        return found

    def slow_account(self, name: str) -> None:
        """Count a request of an account.

        Raises:
            RequestRefused: 429.
        """
        require_pace(self._rates.wait_s(name, self._clock()))

    def slow_down(self, address: str) -> None:
        """Count a request of nobody whom we know.

        Raises:
            RequestRefused: 429.
        """
        require_pace(self._addresses.wait_s(address, self._clock()))


def _token(asked: Asked) -> str:
    """What stands in `Authorization: Bearer`; empty if there is none, or more than one."""
    found = [value for name, value in asked.fields if name == b"authorization"]
    if len(found) != 1 or found[0][: len(_BEARER)].lower() != _BEARER:
        return ""
    return found[0][len(_BEARER) :].strip().decode("latin-1")
