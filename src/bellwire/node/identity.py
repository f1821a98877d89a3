"""Who a node is: a long-term ML-DSA-65 key pair for first contact, made once in its state folder.

The private key is a seed in a 0600 file. The public key lies beside it as PEM; what people compare
and configure is its fingerprint.
"""

import os
from pathlib import Path
from typing import Final

from bellwire.base.errors import UsageError
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.crypto.signatures import SEED_BYTES, SigningKey

SEED_FILE: Final = "identity.seed"
PUBLIC_FILE: Final = "identity.pub"


def load_or_create_identity(folder: Path) -> SigningKey:
    """The identity of a node's state folder, made at the first call; writes its public key, too.

    Raises:
        PathUnusable: folder or file cannot be used.
        PathExposed: others may read them.
        UsageError: the file is not a seed.
    """
    path = own_folder(folder) / SEED_FILE
    if not path.exists():
        write_whole(path, os.urandom(SEED_BYTES), replace=False)
    identity = load_identity(folder, "")
    write_whole(folder / PUBLIC_FILE, identity.public_pem, 0o644, replace=True)
    return identity


def load_identity(folder: Path, hint: str) -> SigningKey:
    """The identity of a node's state folder.

    Args:
        folder: The node's own.
        hint: How to make one, for who has none.

    Raises:
        PathUnusable: the file cannot be read.
        PathExposed: others may read it.
        UsageError: there is none, or it is not a seed.
    """
    path = folder / SEED_FILE
    seed = read_own_file(path, SEED_BYTES + 1)
    if seed is None:
        raise UsageError(f"expected this node's identity in {path}, got no file", hint=hint)
    if len(seed) != SEED_BYTES:
        raise UsageError(f"expected a seed of {SEED_BYTES} bytes in {path}, got another length")
    return SigningKey(seed)
