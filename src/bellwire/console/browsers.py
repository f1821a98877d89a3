"""Sessions of browsers: who is signed in, behind a cookie that says nothing.

Kept in memory alone, by the hash of the cookie's value; a console that is started again asks
everybody to sign in again. What always holds: a session ends when it was not used for `IDLE_S`,
`UNTIL_S` after it began, and as soon as its account is removed or has another role, token or
password.

Source: OWASP ASVS 4.0, V3 (session management).
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from bellwire.console.accounts import Account, Accounts

IDLE_S = 1800.0
"""ASVS 3.3.2, level 2: 30 minutes of inactivity; a page that listens is not inactive."""

UNTIL_S = 12 * 3600.0
"""ASVS 3.3.2, level 2: 12 hours in any case."""

MOST_OF_ACCOUNT = 16
MOST = 10_000
"""Sessions at once; beyond it the one that was used longest ago ends."""

COOKIE_BYTES = 32


@dataclass(slots=True)
class BrowserSession:
    """One browser that somebody signed in with.

    Attributes:
        key: Hash of the cookie's value.
        name: Of the account.
        stamp: Of the account when he signed in.
        began: By a clock that only advances, in seconds.
        used: Last, by the same clock.
        streams: Live streams that are open.
    """

    key: bytes
    name: str
    stamp: str
    began: float
    used: float
    streams: int = 0


class Browsers:
    """The sessions of one console.

    Args:
        accounts: Of its site.
        clock: Seconds of a clock that only advances.
    """

    def __init__(self, accounts: Accounts, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._clock = clock
        self._open: dict[bytes, BrowserSession] = {}  # who was used last comes last

    def open(self, account: Account) -> str:
        """A new session; the value of its cookie."""
        ours = [key for key, each in self._open.items() if each.name == account.name]
        if len(ours) >= MOST_OF_ACCOUNT:
            del self._open[ours[0]]
        elif len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        now = self._clock()
        value = secrets.token_urlsafe(COOKIE_BYTES)
        key = _key(value)
        self._open[key] = BrowserSession(key, account.name, account.stamp, now, now)
        return value

    def find(self, value: str) -> tuple[BrowserSession, Account] | None:
        """Whose session it is, which is used now; None if there is none any more."""
        key = _key(value)
        session = self._open.get(key)
        if session is None:
            return None
        account = self._account(session)
        if account is None:
            del self._open[key]
            return None
        session.used = self._clock()
        self._open[key] = self._open.pop(key)
        return session, account

    def lives(self, session: BrowserSession) -> bool:
        """Whether a session that listens is still there; to listen is to use it."""
        if self._open.get(session.key) is not session or self._account(session) is None:
            return False
        session.used = self._clock()
        return True

    def close(self, value: str) -> None:
        """End a session."""
        self._open.pop(_key(value), None)

    def close_all(self, name: str) -> None:
        """End every session of an account."""
        for key in [key for key, each in self._open.items() if each.name == name]:
            del self._open[key]

    def count(self, name: str) -> int:
        """How many sessions of an account there are."""
        self._expire()
        return sum(each.name == name for each in self._open.values())

    def left_s(self, session: BrowserSession) -> tuple[float, float]:
        """Seconds until a session ends if it is not used, and until it ends in any case."""
        now = self._clock()
        until = session.began + UNTIL_S - now
        return min(session.used + IDLE_S - now, until), until

    def _account(self, session: BrowserSession) -> Account | None:
        """Its account, if the session holds."""
        if min(self.left_s(session)) <= 0:
            return None
        account = self._accounts.find(session.name)
        return account if account is not None and account.stamp == session.stamp else None

    def _expire(self) -> None:
        for key in [key for key, each in self._open.items() if self._account(each) is None]:
            del self._open[key]


def _key(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
