"""A newcomer's own keys, as files in a folder of its own: made once, and used again.

Each is PEM (PKCS #8), not encrypted, mode 0600, and durable before its public half is shown to
anybody: a registration whose answer was lost is asked for again with the same keys.
"""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from bellwire.admission.errors import PossessionUnusable
from bellwire.admission.possession import PUBLIC_BYTES, PrivateKey, generate, public_bytes
from bellwire.base.private import own_folder, read_own_file, write_whole

KINDS: Final = tuple(kind for kind in PUBLIC_BYTES if kind != "x25519")
"""What a newcomer makes; X25519 is registered as a half of a device's or a cloud's key."""

_MAX_FILE: Final = 4096


def key_file(folder: Path, kind: str) -> Path:
    """Where the key of a kind lies."""
    return folder / f"{kind}.key"


def own_keys(folder: Path, kinds: tuple[str, ...] = KINDS) -> dict[str, PrivateKey]:
    """The keys in a folder; what is missing is made.

    Raises:
        PossessionUnusable: a file has no key of its kind.
        PathUnusable, PathExposed: the folder or a file cannot be used, or is open to others.
    """
    own_folder(folder)
    return {kind: _own(key_file(folder, kind), kind) for kind in kinds}


def _own(path: Path, kind: str) -> PrivateKey:
    found = read_own_file(path, _MAX_FILE)
    if found is None:
        made = generate(kind)
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        if write_whole(path, pem, replace=False):
            return made
        found = read_own_file(path, _MAX_FILE) or b""  # somebody else was faster
    try:
        key = load_pem_private_key(found, None)
    except (ValueError, TypeError) as error:
        raise PossessionUnusable(f"expected a key {kind} in {path}, got something else") from error
    like = generate(kind)
    if not isinstance(key, type(like)) or len(public_bytes(key)) != PUBLIC_BYTES[kind]:
        raise PossessionUnusable(f"expected a key {kind} in {path}, got another kind")
    return key
