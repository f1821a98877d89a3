"""The key-encryption key: 32 random bytes in a file of their own, made on first use.

Whoever has this file and the store has the keys. It is a file, so that it can lie elsewhere than
the store: on a medium that is taken out, or one that is not backed up.
"""

import contextlib
import os
import secrets
from pathlib import Path

from bellwire.base.secret import Secret
from bellwire.keys.errors import StoreCorrupt, StoreUnusable
from bellwire.keys.private import own_folder, read_own_file, sync_folder

KEK_BYTES = 32


def load_or_create(path: Path) -> Secret:
    """Read the key-encryption key at `path`; make it, whole and durable, if there is none.

    Of several processes that make it at once one wins, and all return the same key.

    Raises:
        StoreUnusable: folder or file cannot be made or read.
        StoreRefused: others may read folder or file.
        StoreCorrupt: the file has not 32 bytes.
    """
    own_folder(path.parent)
    data = read_own_file(path, KEK_BYTES + 1)
    if data is None:
        _create(path)
        data = read_own_file(path, KEK_BYTES + 1)
    if data is None or len(data) != KEK_BYTES:
        raise StoreCorrupt(
            f"expected a key-encryption key of {KEK_BYTES} bytes in {path}, "
            f"got {0 if data is None else len(data)}",
            hint="Put the right file back; without it the store cannot be opened.",
        )
    return Secret(data)


def _create(path: Path) -> None:
    """Write aside, sync, then link into place: a file under the final name is always whole."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEK_BYTES))
                file.flush()
                os.fsync(file.fileno())
            # A link, unlike a rename, leaves a file that another process made first.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(aside)
        finally:
            aside.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise StoreUnusable(
            f"expected to make {path}, got: {error.strerror}",
            hint="Choose another state folder, or mend its permissions.",
        ) from error
