"""An MQTT broker's address, and who we are to it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bellwire.base.errors import UsageError
from bellwire.base.private import read_own_file
from bellwire.base.secret import Secret

MAX_PREFIX: Final = 200
_PREFIX: Final = re.compile(r"[^\x00-\x1f+#/$][^\x00-\x1f+#/]*(/[^\x00-\x1f+#/]+)*")
MAX_LOGIN: Final = 1024
PORT, TLS_PORT = 1883, 8883


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to a broker."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker, and where on it this cloud and its devices meet.

    Attributes:
        host: Name or address.
        port: TCP port.
        prefix: What all topics begin with.
        tls: Whether to speak TLS with it, trusting what the system trusts.
        login: Who we are, or None.
    """

    host: str
    port: int
    prefix: str
    tls: bool = False
    login: Login | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' * self.tls}://{host}:{self.port}/{self.prefix}"


def check_prefix(prefix: str) -> str:
    """A prefix of topics; UsageError unless it is one."""
    if len(prefix.encode()) > MAX_PREFIX or not _PREFIX.fullmatch(prefix):
        raise UsageError(
            f"expected a prefix of topics of 1 to {MAX_PREFIX} bytes without + # and empty levels, "
            f"got '{prefix}'"
        )
    return prefix


def read_login(path: Path) -> Login:
    """A file of its owner's with a user's name on the first line, and the password on the second.

    Raises:
        UsageError: it is missing, or not that.
        PathUnusable, PathExposed: it cannot be read, or others may read it.
    """
    data = read_own_file(path, MAX_LOGIN)
    lines = [] if data is None else data.split(b"\n")
    if len(lines) < 2 or not lines[0] or not lines[1]:
        raise UsageError(f"expected a user's name and a password, a line each, in {path}")
    try:
        user = lines[0].decode()
        lines[1].decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"expected UTF-8 in {path}, got other bytes") from error
    return Login(user, Secret(lines[1]))
