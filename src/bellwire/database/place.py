"""A place for a store on a PostgreSQL server, and how it is named without its secrets."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from bellwire.base.errors import UsageError

SCHEMES = ("postgresql", "postgres")
MAX_URL = 2048
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A schema of a database on a PostgreSQL server.

    Attributes:
        url: `postgresql://…`, as libpq reads it, without a password.
        schema: Name of the schema, which holds one store and nothing else.

    Raises:
        UsageError: the URL is of another kind, or the name is none that needs no quotes.
    """

    url: str = field(repr=False)
    schema: str

    def __post_init__(self) -> None:
        check_url(self.url)
        if not _SCHEMA.fullmatch(self.schema):
            raise UsageError("expected a schema of lower-case letters, digits and underscores")

    def __str__(self) -> str:
        return f"schema {self.schema} of the PostgreSQL database"


def check_url(url: str) -> None:
    """Let a URL of a PostgreSQL server pass; what libpq makes of the rest, it says itself.

    Raises:
        UsageError: it is none, or there is a password in it. The message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        options = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
        secret = parts.password is not None or bool(options & {"password", "sslpassword"})
        known = url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES))
    except ValueError:
        known = secret = False
    if not known or len(url) > MAX_URL or not url.isprintable():
        raise UsageError("expected a URL postgresql://[USER@][HOST[:PORT]][/DATABASE], got another")
    if secret:
        raise UsageError(
            "expected a URL without a password, got one",
            hint="Settings are shown. Put the password into the file that PGPASSFILE names.",
        )
