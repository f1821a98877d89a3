"""A source of key-encryption keys from the words of a setting.

`file[:FOLDER]`, `passphrase[:FILE]` or `passphrase:fd:N`, `keyring`, `pkcs11:…` (see `token_uri`).
"""

import re
from pathlib import Path

from bellwire.base.private import PathUnusable, expanded
from bellwire.crypto.kek.errors import KekUnusable
from bellwire.crypto.kek.given import Given
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.crypto.kek.os_keyring import OsKeyring
from bellwire.crypto.kek.passphrase import Passphrase
from bellwire.crypto.kek.source import KekSource
from bellwire.crypto.kek.token import Token
from bellwire.crypto.kek.token_uri import SCHEME, parse_token_uri

PASSPHRASE_CREDENTIAL = "bellwire-passphrase"  # noqa: S105 - a name
PIN_CREDENTIAL = "bellwire-pin"


def parse_source(text: str, folder: Path, credentials: Path | None = None) -> KekSource:
    """The source that `text` names; nothing is opened or asked for yet.

    Args:
        text: As above.
        folder: The node's own, where `file` without a folder keeps its keys.
        credentials: Folder of systemd's credentials, if there is one.

    Raises:
        KekUnusable: it names none.
    """
    kind, colon, rest = text.partition(":")
    if text.startswith(SCHEME):
        uri = parse_token_uri(text)
        return Token(uri, Given("PIN", uri.pin_file, PIN_CREDENTIAL, credentials), text)
    if text == "keyring":
        return OsKeyring()
    if kind == "file" and bool(colon) == bool(rest):
        return KeyFiles(_expanded(rest) if rest else folder, text)
    if kind == "passphrase" and bool(colon) == bool(rest):
        if rest.startswith("fd:") and not re.fullmatch(r"fd:[0-9]{1,4}", rest):
            raise KekUnusable("expected passphrase:fd:N with the number of an open file")
        where = rest if not rest or rest.startswith("fd:") else str(_expanded(rest))
        return Passphrase(Given("passphrase", where, PASSPHRASE_CREDENTIAL, credentials), text)
    # Not what was given: somebody may have written a passphrase or a PIN there.
    raise KekUnusable(
        "expected file, file:FOLDER, passphrase, passphrase:FILE, passphrase:fd:N, keyring or a "
        "pkcs11: URI as source of the key-encryption key, got another"
    )


def _expanded(text: str) -> Path:
    try:
        return expanded(Path(text))
    except PathUnusable:
        raise KekUnusable("expected a path, in the home of a user if it begins with ~") from None
