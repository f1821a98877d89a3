"""Accounts of a site: who may ask its console, as what, proven by a token or a password.

A token is 256 random bits, so a plain hash of it tells nothing: no slow hash is needed, as it is
for a password (`passwords`). It is shown once, when it is made; the file has its SHA-256 alone, and
so it is with the code of a one-time link, by which a password is chosen. What always holds: an
account is durable before its token is shown; a code is used up before anybody has signed in with
it; a file that cannot be read makes everybody nobody. A running console sees changes with the next
request.
"""

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from bellwire.base.private import own_file, own_folder, read_own_file, unusable, write_whole
from bellwire.console.errors import (
    AccountsDamaged,
    AccountUnusable,
    MemberUnknown,
    SignInRefused,
)
from bellwire.console.passwords import PHC

MAX_ACCOUNTS = 10_000
MAX_NAME = 64
MAX_TOKEN = 128
TOKEN_BYTES = 32
LINK_S = 900
"""How long the code of a one-time link is good."""

OPERATOR = "operator"
"""The first account of a site."""

SITES = ("a", "b")

_MAX_FILE = 8 << 20
_SHA256 = r"\A[0-9a-f]{64}\Z"
_NAME = re.compile(rf"\w[\w.-]{{0,{MAX_NAME - 1}}}")


class Role(StrEnum):
    """What an account may do."""

    MEMBER = "member"
    OPERATOR = "operator"
    GUARD = "guard"
    AUDITOR = "auditor"

    @property
    def is_member(self) -> bool:
        """Whether it may have keys for sessions."""
        return self in {Role.MEMBER, Role.OPERATOR}

    @property
    def has_browser(self) -> bool:
        """Whether people sign in as such: a guard is none."""
        return self is not Role.GUARD


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody at a site.

    Attributes:
        name: Unique at the site.
        site: `a` or `b`.
    """

    name: str
    site: str

    def __str__(self) -> str:
        return f"{self.name}@{self.site}"


class Account(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who somebody is to a console, and what he may do.

    Attributes:
        name: Of the member.
        role: What he may do.
        token_sha256: Of the token, in hexadecimal digits.
        since: When the token was made, seconds since the epoch.
        password: Its Argon2id hash; None where none was chosen.
        link_sha256: Of the code of a one-time link that was not used yet, in hexadecimal digits;
            empty where there is none.
        link_until: When that ends, seconds since the epoch.
    """

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    role: Role
    token_sha256: Annotated[str, Meta(pattern=_SHA256)]
    since: Annotated[int, Meta(ge=0, le=1 << 40)]
    password: Annotated[str, Meta(pattern=PHC)] | None = None
    link_sha256: Annotated[str, Meta(pattern=rf"{_SHA256}|\A\Z")] = ""
    link_until: Annotated[int, Meta(ge=0, le=1 << 40)] = 0

    @property
    def stamp(self) -> str:
        """Another one as soon as its role, token or password is another: browsers sign in again."""
        return _hashed(f"{self.role} {self.token_sha256} {self.password}")


class _File(msgspec.Struct, frozen=True):
    version: Annotated[int, Meta(ge=1, le=1)]
    accounts: Annotated[list[Account], Meta(max_length=MAX_ACCOUNTS)]


def check_name(name: str) -> str:
    """Let a member's name pass.

    Raises:
        AccountUnusable: it is none.
    """
    if _NAME.fullmatch(name) is None or not unicodedata.is_normalized("NFC", name):
        raise AccountUnusable(
            f"name: expected 1 to {MAX_NAME} letters, digits, dots, underscores or hyphens, not a "
            f"dot or hyphen first, got {name[:80]!r}"
        )
    return name


def read_member(text: str, *, here: str, has: "Accounts") -> Member:
    """Whom NAME or NAME@SITE means at the site `here`.

    A name alone means the member of this site who has it, else one of the other site.

    Raises:
        MemberUnknown: it is neither, or no member of this site.
    """
    name, at, site = text.partition("@")
    try:
        check_name(name)
    except AccountUnusable as error:
        raise MemberUnknown(str(error)) from None
    if at and site not in SITES:
        raise MemberUnknown(f"expected NAME or NAME@SITE, the site a or b, got {text[:80]!r}")
    ours = has.has(name)
    if not at:
        site = here if ours else other_site(here)
    elif site == here and not ours:
        raise MemberUnknown(f"this site has no member {name}")
    return Member(name, site)


def other_site(site: str) -> str:
    """The other one of the two."""
    return "b" if site == "a" else "a"


def console_folder(state: Path, site: str) -> Path:
    """Where a site's console keeps what it keeps."""
    return state / f"console-{site}"


def accounts_file(folder: Path) -> Path:
    """The accounts of the console in `folder`."""
    return folder / "accounts.json"


class AccountBook:
    """Makes and removes accounts; any number of processes may.

    Args:
        folder: As `console_folder` says; made if it is missing.

    All methods raise PathUnusable and PathExposed where the folder cannot be used or is open to
    others, and AccountsDamaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, role: Role) -> str:
        """A new account; its token.

        Raises:
            AccountUnusable: no name, one that there is, or too many accounts.
        """
        check_name(name)
        with self._locked() as accounts:
            if name in accounts:
                raise AccountUnusable(
                    f"expected a name without an account, got {name}",
                    hint="A new token for it: bellwire accounts token.",
                )
            if len(accounts) >= MAX_ACCOUNTS:
                raise AccountUnusable(f"expected at most {MAX_ACCOUNTS} accounts, got one more")
            return self._give(accounts, Account(name, role, "", 0))

    def renew(self, name: str) -> str:
        """Another token for an account; the one before is worth nothing from now on.

        Raises:
            AccountUnusable: there is none of that name.
        """
        with self._locked() as accounts:
            return self._give(accounts, self._there(accounts, name))

    def invite(self, name: str) -> str:
        """The code of a one-time link for an account: by it a password is chosen, once.

        An earlier one that was not used is worth nothing from now on.

        Raises:
            AccountUnusable: there is none of that name, or it is a guard's.
        """
        with self._locked() as accounts:
            account = self._there(accounts, name)
            if not account.role.has_browser:
                raise AccountUnusable(f"expected an account of a person, got the guard {name}")
            code = secrets.token_urlsafe(TOKEN_BYTES)
            until = int(time.time()) + LINK_S
            accounts[name] = replace(account, link_sha256=_hashed(code), link_until=until)
            self._write(accounts)
            return code

    def invite_first(self) -> str | None:
        """A code for the first operator; None where an operator has a password already.

        At a site without an operator, `OPERATOR` is made.
        """
        operators = [each for each in self.all() if each.role is Role.OPERATOR]
        if any(each.password for each in operators):
            return None
        if not operators:
            self.add(OPERATOR, Role.OPERATOR)
        return self.invite(operators[0].name if operators else OPERATOR)

    def redeem(self, code: str, make_hash: Callable[[Account], str]) -> Account:
        """Use a code up: the account that it was for, with its new password.

        Args:
            code: Of a one-time link.
            make_hash: Makes the password's hash for the account; what it raises leaves the code.

        Raises:
            SignInRefused: it is no code, was used, or came too late.
        """
        digest = _hashed(code)
        with self._locked() as accounts:
            found = [x for x in accounts.values() if hmac.compare_digest(x.link_sha256, digest)]
            if not found:
                raise SignInRefused("this link is not known, or was used")
            (account,) = found
            if account.link_until < time.time():
                raise SignInRefused("this link is over")
            changed = replace(account, password=make_hash(account), link_sha256="", link_until=0)
            accounts[account.name] = changed
            self._write(accounts)
            return changed

    def set_password(self, name: str, hashed: str) -> Account:
        """Another password for an account, which is returned.

        Raises:
            AccountUnusable: there is none of that name.
        """
        with self._locked() as accounts:
            accounts[name] = replace(self._there(accounts, name), password=hashed)
            self._write(accounts)
            return accounts[name]

    def remove(self, name: str) -> None:
        """Put an end to an account.

        Raises:
            AccountUnusable: there is none of that name.
        """
        with self._locked() as accounts:
            self._there(accounts, name)
            del accounts[name]
            self._write(accounts)

    def all(self) -> list[Account]:
        """Every account, oldest first."""
        return list(read_accounts(self._folder).values())

    def _there(self, accounts: dict[str, Account], name: str) -> Account:
        try:
            return accounts[name]
        except KeyError:
            raise AccountUnusable(
                f"expected the name of an account, got {name[:80]!r}",
                hint="bellwire accounts list shows them.",
            ) from None

    def _give(self, accounts: dict[str, Account], account: Account) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        accounts[account.name] = replace(
            account, token_sha256=_hashed(token), since=int(time.time())
        )
        self._write(accounts)
        return token

    def _write(self, accounts: dict[str, Account]) -> None:
        content = msgspec.json.format(msgspec.json.encode(_File(1, list(accounts.values()))))
        write_whole(accounts_file(self._folder), content + b"\n", replace=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[dict[str, Account]]:
        own_folder(self._folder)
        lock = self._folder / "accounts.lock"
        own_file(lock)
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise unusable(lock, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield read_accounts(self._folder)
        finally:
            os.close(descriptor)


class Accounts:
    """The accounts of a site, as they are now.

    Args:
        folder: As `console_folder` says.
        site: Whose they are.
    """

    def __init__(self, folder: Path, site: str) -> None:
        self._folder = folder
        self._site = site
        self._seen: tuple[int, int, int] | None = None
        self._by_name: dict[str, Account] = {}
        self._by_hash: dict[str, Account] = {}

    def has(self, name: str) -> bool:
        """Whether there is a member of that name."""
        self._look()
        found = self._by_name.get(name)
        return found is not None and found.role.is_member

    def has_guard(self, name: str) -> bool:
        """Whether there is a guard of that name."""
        self._look()
        found = self._by_name.get(name)
        return found is not None and found.role is Role.GUARD

    def find(self, name: str) -> Account | None:
        """The account of that name; None if there is none."""
        self._look()
        return self._by_name.get(name)

    @property
    def awaits_operator(self) -> bool:
        """Whether no operator has a password yet."""
        self._look()
        operators = [each for each in self._by_name.values() if each.role is Role.OPERATOR]
        return not any(each.password for each in operators)

    def identify(self, token: str) -> Account | None:
        """Whose token it is; None if it is nobody's."""
        self._look()
        if not 1 <= len(token) <= MAX_TOKEN:
            return None
        digest = _hashed(token)
        found = self._by_hash.get(digest)
        if found is None or not hmac.compare_digest(found.token_sha256, digest):
            return None
        return found

    def _look(self) -> None:
        """Read the file again if it is another one."""
        try:
            found = accounts_file(self._folder).stat()
        except OSError:
            self._take(None, {})
            return
        seen = found.st_ino, found.st_mtime_ns, found.st_size
        if seen == self._seen:
            return
        self._take(None, {})
        self._take(seen, read_accounts(self._folder))

    def _take(self, seen: tuple[int, int, int] | None, accounts: dict[str, Account]) -> None:
        self._seen = seen
        self._by_name = accounts
        self._by_hash = {each.token_sha256: each for each in accounts.values()}


def read_accounts(folder: Path) -> dict[str, Account]:
    """The accounts in a folder, by name; none if there is no file.

    Raises:
        AccountsDamaged: the file is not what `AccountBook` writes.
        PathUnusable, PathExposed: it cannot be read, or others may read it.
    """
    path = accounts_file(folder)
    content = read_own_file(path, _MAX_FILE)
    if content is None:
        return {}
    try:
        read = msgspec.json.decode(content, type=_File).accounts
    except (msgspec.DecodeError, ValueError, RecursionError):
        read = None
    accounts = {each.name: each for each in read or ()}
    if read is None or len(accounts) != len(read):
        raise AccountsDamaged(
            f"expected the accounts of a console in {path}, got something else",
            hint="Bring back a good copy, or remove it and make the accounts anew.",
        )
    return accounts


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
