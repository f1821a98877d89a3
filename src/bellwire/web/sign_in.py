"""Signing in to a console with a browser, and who asks then.

Each way in costs an attempt of the address, that by password one of the account as well; work on
passwords is bounded beside that. Every sign-in gives a new cookie, so none that was there before
means anything. What went wrong is not said: name and password are wrong together.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bellwire.console.accounts import Account, AccountBook, Accounts
from bellwire.console.browsers import Browsers, BrowserSession
from bellwire.console.errors import SignInRefused
from bellwire.console.passwords import Turns, check_new, hashed, verify
from bellwire.console.views import (
    LinkSignIn,
    Me,
    NewPassword,
    PasswordSignIn,
    Role,
    Site,
    TokenSignIn,
)
from bellwire.web.browser import Origin
from bellwire.web.errors import RequestRefused
from bellwire.web.plain import require_pace
from bellwire.web.rates import Rates
from bellwire.web.reader import Asked

ATTEMPTS = 10
ATTEMPT_EVERY_S = 6.0
"""Of an address: so many at once, then one in so many seconds."""

GUESSES = 20
GUESS_EVERY_S = 45.0
"""Of the password of one account, from all addresses together: 100 in an hour (ASVS 2.2.1)."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        account: His.
        session: The browser's; None of a program that shows a token.
    """

    account: Account
    session: BrowserSession | None


class SignIn:
    """The door to a console's pages.

    Args:
        site: Of the console.
        accounts: Of the site, as they are now.
        book: Changes them.
        browsers: Who is signed in.
        origin: The console's address to browsers.
        clock: Seconds of a clock that only advances.
    """

    def __init__(
        self,
        site: Site,
        accounts: Accounts,
        book: AccountBook,
        browsers: Browsers,
        origin: Origin,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.origin = origin
        self.browsers = browsers
        self._site: Site = site
        self._accounts = accounts
        self._book = book
        self._clock = clock
        self._turns = Turns()
        self._attempts = Rates(1.0 / ATTEMPT_EVERY_S, ATTEMPTS)
        self._guesses = Rates(1.0 / GUESS_EVERY_S, GUESSES)

    def find(self, asked: Asked) -> Caller | None:
        """Whose cookie came with a request; None if nobody's."""
        value = self.origin.value_of(asked)
        found = self.browsers.find(value) if value else None
        return None if found is None else Caller(found[1], found[0])

    async def by_password(self, wanted: PasswordSignIn, address: str) -> tuple[Me, bytes]:
        """Who it is now, and the header field with his cookie.

        Raises:
            RequestRefused: 429, too many attempts.
            SignInRefused: it is nobody's.
            PasswordsBusy: too many passwords are being checked.
        """
        self._attempt(address)
        require_pace(self._guesses.wait_s(wanted.name, self._clock()))
        account = self._accounts.find(wanted.name)
        if account is not None and not account.role.has_browser:
            account = None
        known = None if account is None else account.password
        await self._turns.take(lambda: verify(wanted.password, known))
        assert account is not None  # without one, `verify` has raised
        return self._open(account, "password")

    async def by_token(self, wanted: TokenSignIn, address: str) -> tuple[Me, bytes]:
        """As `by_password`, with the token of an account."""
        self._attempt(address)
        account = self._accounts.identify(wanted.token)
        if account is None or not account.role.has_browser:
            raise SignInRefused("no account of a person has this token")
        return self._open(account, "token")

    async def by_link(self, wanted: LinkSignIn, address: str) -> tuple[Me, bytes]:
        """As `by_password`, with the code of a one-time link, which is used up by it.

        Raises:
            PasswordUnusable: no account may have the password; the code is still good.
        """
        self._attempt(address)

        def make_hash(account: Account) -> str:
            check_new(wanted.password, account.name)
            return hashed(wanted.password)

        account = await self._turns.take(lambda: self._book.redeem(wanted.code, make_hash))
        self.browsers.close_all(account.name)
        return self._open(account, "link")

    async def set_password(
        self, caller: Caller, wanted: NewPassword, address: str
    ) -> tuple[Me, bytes]:
        """Another password; every other browser is signed out, and this one has a new cookie.

        Raises:
            SignInRefused: the present one is another.
            PasswordUnusable: no account may have the new one.
        """
        account = caller.account
        self._attempt(address)
        check_new(wanted.password, account.name)
        if account.password is not None:
            require_pace(self._guesses.wait_s(account.name, self._clock()))
            await self._turns.take(lambda: verify(wanted.current or "", account.password))
        changed = await self._turns.take(
            lambda: self._book.set_password(account.name, hashed(wanted.password))
        )
        self.browsers.close_all(account.name)
        return self._open(changed, "new password")

    def sign_out(self, asked: Asked, caller: Caller, *, everywhere: bool) -> bytes:
        """End the browser's session, or all of the account; the field that takes its cookie."""
        if everywhere:
            self.browsers.close_all(caller.account.name)
        else:
            self.browsers.close(self.origin.value_of(asked))
        log.info("signed out", account=caller.account.name, everywhere=everywhere)
        return self.origin.set_cookie("", 0)

    def me(self, caller: Caller) -> Me:
        """Who asks, and until when he is signed in."""
        account, now = caller.account, time.time()
        idle_s, until_s = (math.inf, math.inf)
        if caller.session is not None:
            idle_s, until_s = self.browsers.left_s(caller.session)
        return Me(
            name=account.name,
            role=role_of(account),
            site=self._site,
            has_password=account.password is not None,
            idle_until=now + idle_s if math.isfinite(idle_s) else None,
            until=now + until_s if math.isfinite(until_s) else None,
            sessions=self.browsers.count(account.name),
        )

    def _open(self, account: Account, by: str) -> tuple[Me, bytes]:
        value = self.browsers.open(account)
        found = self.browsers.find(value)
        assert found is not None  # it was opened now
        log.info("signed in", account=account.name, by=by)
        left_s = self.browsers.left_s(found[0])[1]
        return self.me(Caller(account, found[0])), self.origin.set_cookie(value, left_s)

    def _attempt(self, address: str) -> None:
        require_pace(self._attempts.wait_s(address, self._clock()))


def role_of(account: Account) -> Role:
    """The role of a person.

    Raises:
        RequestRefused: 403, it is a guard's.
    """
    match account.role.value:
        case "member" | "operator" | "auditor" as role:
            return role
    raise RequestRefused(403, "this is for people")
