"""Accounts of a site: who may ask its console, as what, proven by a token.

A token is 256 random bits, so a plain hash of it tells nothing: no slow hash is needed, as it would
be for a password. It is shown once, when it is made; the file has its SHA-256 alone. What always
holds: an account is durable before its token is shown; a file that cannot be read makes everybody
nobody. A running console sees changes with the next request.
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
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from bellwire.base.private import own_file, own_folder, read_own_file, unusable, write_whole
from bellwire.console.errors import AccountsDamaged, AccountUnusable, MemberUnknown

MAX_ACCOUNTS = 10_000
MAX_NAME = 64
MAX_TOKEN = 128
TOKEN_BYTES = 32
SITES = ("a", "b")

_MAX_FILE = 8 << 20
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


class Account(msgspec.Struct, frozen=True):
    """Who somebody is to a console, and what he may do.

    Attributes:
        name: Of the member.
        role: What he may do.
        token_sha256: Of the token, in hexadecimal digits.
        since: When the token was made, seconds since the epoch.
    """

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    role: Role
    token_sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    since: Annotated[int, Meta(ge=0, le=1 << 40)]


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
            return self._give(accounts, name, role)

    def renew(self, name: str) -> str:
        """Another token for an account; the one before is worth nothing from now on.

        Raises:
            AccountUnusable: there is none of that name.
        """
        with self._locked() as accounts:
            return self._give(accounts, name, self._there(accounts, name).role)

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

    def _give(self, accounts: dict[str, Account], name: str, role: Role) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        accounts[name] = Account(name, role, _hashed(token), int(time.time()))
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
