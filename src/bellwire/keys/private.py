"""Folders and files that only their owner may read.

Every secret of a node rests in a 0600 file in a 0700 folder. What others may read already is
refused rather than mended: its content may be known, and only the operator can say.
"""

import errno
import os
import stat
from pathlib import Path

from bellwire.keys.errors import StoreRefused, StoreUnusable


def own_folder(folder: Path) -> None:
    """Make `folder`, and parents that are missing, with mode 0700; check it if it is there.

    Raises:
        StoreUnusable: it cannot be made, or is not a folder.
        StoreRefused: others may enter it.
    """
    try:
        for missing in reversed([p for p in (folder, *folder.parents) if not p.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
            sync_folder(missing.parent)
        _check(folder, folder.stat(), "folder")
    except OSError as error:
        raise _unusable(folder, error) from error


def own_file(path: Path) -> None:
    """Make `path` an empty file of mode 0600 if it is missing, else check it.

    Its name is durable, too: a store that a power cut made vanish would be filled anew, with pads
    that were used before.

    Raises:
        StoreUnusable: it cannot be made or opened for writing.
        StoreRefused: others may read or write it, or it is not a plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _check(path, os.fstat(descriptor), "file")
        sync_folder(path.parent)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; OSError where that fails."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_own_file(path: Path, limit: int) -> bytes | None:
    """Read up to `limit` bytes of a file that only its owner may read; None if there is none.

    Raises:
        StoreUnusable: it cannot be read.
        StoreRefused: others may read or write it, or it is not a plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _check(path, os.fstat(descriptor), "file")
        return os.read(descriptor, limit)
    except OSError as error:
        raise _unusable(path, error) from error
    finally:
        os.close(descriptor)


def _check(path: Path, found: os.stat_result, kind: str) -> None:
    if kind == "folder" and not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if kind == "file" and not stat.S_ISREG(found.st_mode):
        raise StoreRefused(f"expected a plain file at {path}, got something else")
    mode = stat.S_IMODE(found.st_mode)
    wanted = 0o700 if kind == "folder" else 0o600
    if mode & 0o077:
        raise StoreRefused(
            f"expected the {kind} {path} to be open to its owner alone ({wanted:04o}), "
            f"got {mode:04o}",
            hint=f"If nobody else has read it: chmod {wanted:o} {path}",
        )
    if found.st_uid != os.geteuid():
        raise StoreRefused(
            f"expected the {kind} {path} to belong to user {os.geteuid()}, got {found.st_uid}"
        )


def _unusable(path: Path, error: OSError) -> StoreUnusable | StoreRefused:
    if error.errno == errno.ELOOP:
        return StoreRefused(f"expected a plain file at {path}, got a link")
    return StoreUnusable(
        f"expected to read and write {path}, got: {error.strerror}",
        hint="Choose another state folder, or mend its permissions.",
    )
