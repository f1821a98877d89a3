"""Where a key on a token is, as a `pkcs11:` URI: a subset of RFC 7512.

Path: `token`, `serial`, `manufacturer`, `model`, `object` (the key's label, `bellwire` if not
given), `type=secret-key`. Query: `module-path`, needed; `pin-source`, a file. A PIN never stands in
the URI: `pin-value` is refused.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from bellwire.crypto.kek.errors import KekUnusable

SCHEME = "pkcs11:"
DEFAULT_LABEL = "bellwire"
MAX_VALUE_CHARS = 1024

_PATH = ("token", "serial", "manufacturer", "model", "object", "type")
_QUERY = ("module-path", "pin-source")
_PLAIN = re.compile(r"(?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=/?|&]|%[0-9A-Fa-f]{2})*")
"""What RFC 7512, section 2.3, lets stand in a value; the separators are cut off before."""


@dataclass(frozen=True, slots=True)
class TokenUri:
    """What the URI says; None where it says nothing."""

    module: str
    token: str | None
    serial: str | None
    manufacturer: str | None
    model: str | None
    label: str
    pin_file: str


def parse_token_uri(text: str) -> TokenUri:
    """Read a URI.

    Raises:
        KekUnusable: it is none, says what we do not know, or says too little.
    """
    path, _, query = text.removeprefix(SCHEME).partition("?")
    said = _attributes(path, ";", _PATH) | _attributes(query, "&", _QUERY)
    if said.get("type", "secret-key") != "secret-key":
        raise KekUnusable("expected type=secret-key in the PKCS #11 URI, got another type")
    if "token" not in said and "serial" not in said:
        raise KekUnusable("expected token= or serial= in the PKCS #11 URI, got neither")
    module = said.get("module-path", "")
    if not PurePosixPath(module).is_absolute():
        raise KekUnusable(
            "expected the absolute path of the token's library as module-path in the PKCS #11 "
            "URI, got none",
            hint="For SoftHSM on Debian: ?module-path=/usr/lib/softhsm/libsofthsm2.so",
        )
    pin_file = said.get("pin-source", "").removeprefix("file:")
    if pin_file and not PurePosixPath(pin_file).is_absolute():
        raise KekUnusable("expected an absolute path as pin-source in the PKCS #11 URI")
    return TokenUri(
        module=module,
        token=said.get("token"),
        serial=said.get("serial"),
        manufacturer=said.get("manufacturer"),
        model=said.get("model"),
        label=said.get("object", DEFAULT_LABEL),
        pin_file=pin_file,
    )


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else []:
        name, equals, value = part.partition("=")
        # Values stay out of messages: nobody knows what stands there.
        if name == "pin-value":
            raise KekUnusable(
                "expected no PIN in the PKCS #11 URI, got pin-value",
                hint="Put it into a file of mode 0600 and name that as pin-source.",
            )
        if name not in known:
            raise KekUnusable(
                f"expected {', '.join(known[:-1])} or {known[-1]} in "
                f"the PKCS #11 URI, got {name[:30]!r}"
            )
        if name in found:
            raise KekUnusable(f"expected {name} once in the PKCS #11 URI, got it twice")
        if not equals or not value or len(value) > MAX_VALUE_CHARS or not _PLAIN.fullmatch(value):
            raise KekUnusable(
                f"expected {name}=VALUE, percent-encoded, up to {MAX_VALUE_CHARS} characters, in "
                "the PKCS #11 URI"
            )
        try:
            plain = unquote(value, errors="strict")
        except UnicodeDecodeError:
            plain = "\0"
        if "\0" in plain:
            raise KekUnusable(f"expected {name} in UTF-8 in the PKCS #11 URI")
        found[name] = plain
    return found
