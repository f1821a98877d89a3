"""The key-encryption key: 32 random bytes in a file of their own, made on first use.

Whoever has this file and the store has the keys. It is a file, so that it can lie elsewhere than
the store: on a medium that is taken out, or one that is not backed up.
"""

import secrets
from pathlib import Path

from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.base.secret import Secret
from bellwire.keys.errors import StoreCorrupt

KEK_BYTES = 32


def load_or_create(path: Path) -> Secret:
    """Read the key-encryption key at `path`; make it, whole and durable, if there is none.

    Of several processes that make it at once one wins, and all return the same key.

    Raises:
        PathUnusable: folder or file cannot be made or read.
        PathExposed: others may read folder or file.
        StoreCorrupt: the file has not 32 bytes.
    """
    own_folder(path.parent)
    data = read_own_file(path, KEK_BYTES + 1)
    if data is None:
        write_whole(path, secrets.token_bytes(KEK_BYTES), replace=False)
        data = read_own_file(path, KEK_BYTES + 1)
    if data is None or len(data) != KEK_BYTES:
        raise StoreCorrupt(
            f"expected a key-encryption key of {KEK_BYTES} bytes in {path}, "
            f"got {0 if data is None else len(data)}",
            hint="Put the right file back; without it the store cannot be opened.",
        )
    return Secret(data)
