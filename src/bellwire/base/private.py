"""Folders and files that only their owner may read, whole or absent after a crash.

Every secret rests in a 0600 file in a 0700 folder. What others may read already is refused rather
than mended: its content may be known, and only the operator can say.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bellwire.base.errors import RefusedError, UsageError


class PathUnusable(UsageError):
    """A folder or file cannot be made, read or written."""


class PathExposed(RefusedError):
    """Others may read a folder or file, or it is not the plain thing that we left there."""


def expanded(path: Path) -> Path:
    """A path with the home folder that `~` or `~NAME` at its beginning means.

    Raises:
        PathUnusable: nobody has that name, or no path could have this one.
    """
    try:
        if "\0" not in str(path):
            return path.expanduser()
    except RuntimeError:
        pass  # nobody
    raise PathUnusable(
        f"expected a path, in the home of a user if it begins with ~, got {str(path)!r:.300}"
    )


def own_folder(folder: Path) -> Path:
    """Make `folder`, and parents that are missing, with mode 0700; check it if it is there.

    Raises:
        PathUnusable: it cannot be made, or is not a folder.
        PathExposed: others may enter it, or it is another user's.
    """
    try:
        for missing in reversed([p for p in (folder, *folder.parents) if not p.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
            sync_folder(missing.parent)
        _check(folder, folder.stat(), "folder")
    except OSError as error:
        raise unusable(folder, error) from error
    return folder


def own_file(path: Path) -> None:
    """Make `path` an empty file of mode 0600 if it is missing, else check it.

    Its name is durable, too: a store that a power cut made vanish would be filled anew, with pads
    that were used before.

    Raises:
        PathUnusable: it cannot be made or opened for writing.
        PathExposed: others may read or write it, or it is not a plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(path, error) from error
    try:
        _check(path, os.fstat(descriptor), "file")
        sync_folder(path.parent)
    except OSError as error:
        raise unusable(path, error) from error
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
        PathUnusable: it cannot be read.
        PathExposed: others may read or write it, or it is not a plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, error) from error
    try:
        _check(path, os.fstat(descriptor), "file")
        return os.read(descriptor, limit)
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, mode: int = 0o600, *, replace: bool) -> bool:
    """Write a file so that it is there whole or not at all, also after a crash.

    Of several that write it at once without `replace`, one wins.

    Args:
        path: Where; its folder exists.
        content: What.
        mode: Permissions, from the first moment.
        replace: Whether an existing file gives way; otherwise it stays and the answer is False.

    Raises:
        PathUnusable: it cannot be written; nothing is left of the attempt.
    """
    try:
        with whole_file(path, mode, replace=replace) as file:
            file.write(content)
    except FileExistsError:
        return False
    except OSError as error:
        raise unusable(path, error) from error
    return True


@contextlib.contextmanager
def whole_file(path: Path, mode: int = 0o600, *, replace: bool) -> Iterator[BinaryIO]:
    """A file to write piece by piece, which has its name once the body is done, or never.

    Args:
        path: Where; its folder exists.
        mode: Permissions, from the first moment.
        replace: Whether an existing file gives way.

    Raises:
        FileExistsError: without `replace`, there is one; it stays, and nothing is left of this.
        OSError: it cannot be written; nothing is left of it.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(draft, flags, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:  # a link, unlike a rename, never takes the place of a file that is there
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def unusable(path: Path, error: OSError) -> PathUnusable | PathExposed:
    """The error for a path that the system does not let us use."""
    if error.errno == errno.ELOOP:
        return PathExposed(f"expected a plain file at {path}, got a link")
    hint = "Choose another place, or mend its permissions."
    if error.errno == errno.ENOENT and not path.parent.exists():
        hint = f"Make the folder {path.parent} first."
    return PathUnusable(f"expected to read and write {path}, got: {error.strerror}", hint=hint)


def _check(path: Path, found: os.stat_result, kind: str) -> None:
    if kind == "folder" and not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if kind == "file" and not stat.S_ISREG(found.st_mode):
        raise PathExposed(f"expected a plain file at {path}, got something else")
    mode = stat.S_IMODE(found.st_mode)
    wanted = 0o700 if kind == "folder" else 0o600
    if mode & 0o077:
        raise PathExposed(
            f"expected the {kind} {path} to be open to its owner alone ({wanted:04o}), "
            f"got {mode:04o}",
            hint=f"If nobody else has read it: chmod {wanted:o} {path}",
        )
    if found.st_uid != os.geteuid():
        raise PathExposed(
            f"expected the {kind} {path} to belong to user {os.geteuid()}, got {found.st_uid}"
        )
