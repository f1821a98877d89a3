"""Secrets that an operator gives: passphrases and PINs, from wherever they may come.

Never from an environment variable or the command line: both are inherited, listed and logged.
"""

import os
import stat
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from getpass import GetPassWarning, getpass
from pathlib import Path

from bellwire.base.private import PathExposed, read_own_file, unusable
from bellwire.base.secret import Secret
from bellwire.crypto.kek.errors import KekUnusable

MAX_GIVEN_BYTES = 1024

FD = "fd:"


def ask_terminal(prompt: str) -> str | None:
    """What is typed at the terminal, unseen; None where there is none."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    with warnings.catch_warnings():
        # It would be echoed: better not asked for.
        warnings.simplefilter("error", GetPassWarning)
        try:
            return getpass(prompt)
        except (GetPassWarning, EOFError):
            return None


@dataclass(frozen=True, slots=True)
class Given:
    """One secret that somebody gives.

    Attributes:
        what: What it is, for people: `passphrase`, `PIN`.
        where: A file of 0600, `fd:N`, or empty: the credential, else the terminal.
        credential: Name of the credential of systemd.
        credentials: Folder of systemd's credentials (`$CREDENTIALS_DIRECTORY`), if there is one.
        ask: How the terminal is asked.
    """

    what: str
    where: str
    credential: str
    credentials: Path | None = None
    ask: Callable[[str], str | None] = ask_terminal

    def read(self, *, new: bool = False) -> Secret:
        """The secret, without the line's end.

        Args:
            new: Ask for it twice at a terminal.

        Raises:
            KekUnusable: nothing, or too much, was given.
            PathExposed, PathUnusable: its file is open to others, or cannot be read.
        """
        data = self._bytes(new=new)
        data = data.removesuffix(b"\n").removesuffix(b"\r")
        if not 0 < len(data) <= MAX_GIVEN_BYTES:
            got = f"more than {MAX_GIVEN_BYTES}" if data else "none"
            raise KekUnusable(f"expected a {self.what} of 1 to {MAX_GIVEN_BYTES} bytes, got {got}")
        return Secret(data)

    def _bytes(self, *, new: bool) -> bytes:
        limit = MAX_GIVEN_BYTES + 3  # a line's end, and one to see that it is too long
        if self.where.startswith(FD):
            return _read_descriptor(int(self.where.removeprefix(FD)), limit)
        if self.where:
            data = read_own_file(Path(self.where), limit)
            if data is None:
                raise KekUnusable(f"expected a {self.what} in {self.where}, got no file")
            return data
        if self.credentials is not None:
            data = _read_credential(self.credentials / self.credential, limit)
            if data is not None:
                return data
        typed = self.ask(f"New {self.what}: " if new else f"{self.what.capitalize()}: ")
        if typed is None:
            raise KekUnusable(
                f"expected a {self.what}, and there is no terminal to ask at",
                hint=f"Name a file of it, or give the systemd credential {self.credential}.",
            )
        if new and self.ask("Once more: ") != typed:
            raise KekUnusable(f"expected the same {self.what} twice, got two that differ")
        return typed.encode()


def _read_descriptor(descriptor: int, limit: int) -> bytes:
    data = b""
    try:
        while len(data) < limit and (piece := os.read(descriptor, limit - len(data))):
            data += piece
    except OSError as error:
        raise unusable(Path(f"{FD}{descriptor}"), error) from error
    return data


def _read_credential(path: Path, limit: int) -> bytes | None:
    """Read what systemd laid there: it belongs to us or to root, and others cannot read it.

    To a service of another user than root it is root's, and opened by an access control list,
    whose mask shows as permission of the group (systemd issue 29435).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, error) from error
    try:
        found = os.fstat(descriptor)
        if (
            not stat.S_ISREG(found.st_mode)
            or found.st_mode & 0o037
            or found.st_uid not in {0, os.geteuid()}
        ):
            raise PathExposed(
                f"expected a credential of systemd at {path}, got a file that others may read "
                "or write"
            )
        return os.read(descriptor, limit)
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        os.close(descriptor)
