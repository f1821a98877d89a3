"""Who may write to a log: each writer has a token of its own, and writes in its own name alone."""

import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bellwire.base.errors import UsageError
from bellwire.base.private import read_own_file
from bellwire.base.secret import Secret
from bellwire.ledger.service.errors import WriterUnknown

TOKEN_DIGITS: Final = 64
_TOKEN: Final = re.compile(rb"[0-9a-f]{64}\n?")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


def read_token(path: Path) -> Secret:
    """A writer's token: a file of its own, 64 hexadecimal digits, for its owner alone.

    Raises:
        UsageError: there is no such file, or it holds something else.
        PathUnusable, PathExposed: it cannot be read, or others may read it.
    """
    data = read_own_file(path, TOKEN_DIGITS + 2)
    if data is None or not _TOKEN.fullmatch(data):
        got = "no file" if data is None else "something else"
        raise UsageError(
            f"token: expected {TOKEN_DIGITS} hexadecimal digits in {path}, got {got}",
            hint="Make one: (umask 077; openssl rand -hex 32 > FILE)",
        )
    return Secret(data.strip())


class Writers:
    """The writers of a log.

    Args:
        tokens: By name.

    Raises:
        UsageError: a name that no writer can have, or one token of two writers.
    """

    def __init__(self, tokens: Mapping[str, Secret]) -> None:
        for name in tokens:
            if not _NAME.fullmatch(name):
                raise UsageError(
                    "writer: expected a name of 1 to 64 letters, digits, dots, hyphens and"
                    f" underscores, lower case, got {name[:70]!r}"
                )
        if len({each.reveal() for each in tokens.values()}) < len(tokens):
            raise UsageError("writers: expected a token of its own for each, got one of two")
        self._tokens = dict(tokens)

    def name_of(self, token: bytes) -> str:
        """Whose token it is; each is compared, in constant time.

        Raises:
            WriterUnknown: nobody's.
        """
        found = None
        for name, known in self._tokens.items():
            if hmac.compare_digest(known.reveal(), token):
                found = name
        if found is None:
            raise WriterUnknown("expected the token of a writer of this log, got another or none")
        return found
