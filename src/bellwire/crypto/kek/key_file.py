"""Key-encryption keys as files of 32 random bytes, `kek-ID`, in a folder of one's choice.

A file for each key, and none is ever written twice: so keys of several secrets may lie in one
folder, and no crash can leave half of one. The folder may be a medium that is taken out, or one
that is not backed up.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.private import own_folder, read_own_file, sync_folder, unusable, write_whole
from bellwire.base.secret import Secret
from bellwire.crypto.kek.errors import KekRefused
from bellwire.crypto.kek.record import ID_BYTES, KEK_BYTES, FileKek, Kek, Kind


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """A source of key-encryption keys.

    Attributes:
        folder: Where they lie; 0700, made if missing.
        setting: As the settings name it.
    """

    folder: Path
    setting: str = "file"

    @property
    def kind(self) -> Kind:
        """`file`."""
        return "file"

    def new(self) -> tuple[Secret, Kek]:
        """See `KekSource`; PathUnusable or PathExposed where it cannot be written."""
        own_folder(self.folder)
        key, secret = secrets.token_hex(ID_BYTES), Secret(secrets.token_bytes(KEK_BYTES))
        write_whole(self._path(key), secret.reveal(), replace=False)
        return secret, FileKek(key)

    def recover(self, kek: Kek) -> Secret:
        """See `KekSource`; PathUnusable or PathExposed where it cannot be read."""
        assert isinstance(kek, FileKek)
        path = self._path(kek.key)
        data = read_own_file(path, KEK_BYTES + 1)
        if data is None or len(data) != KEK_BYTES:
            got = "no file" if data is None else f"{len(data)} bytes"
            raise KekRefused(
                f"expected a key-encryption key of {KEK_BYTES} bytes in {path}, got {got}",
                hint="Put the right file back; nothing else opens what it wraps.",
            )
        return Secret(data)

    def retire(self, key: str) -> None:
        """See `KekSource`; PathUnusable where it cannot be removed."""
        erase(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / f"kek-{key}"


def erase(path: Path) -> None:
    """Overwrite and remove a file; what flash or snapshots keep of it is out of our hands.

    Raises:
        PathUnusable: it cannot be written or removed.
        PathExposed: it is not a plain file.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(path, error) from error
    try:
        os.write(descriptor, bytes(os.fstat(descriptor).st_size))
        os.fsync(descriptor)
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        os.close(descriptor)
