"""Files that survive a crash and that only their owner may read."""

import contextlib
import os
import stat
from pathlib import Path

from bellwire.iot.errors import IdentityExposed, StateUnusable


def own_folder(folder: Path) -> Path:
    """Make `folder`, and those above it, with mode 0700 if missing; StateUnusable if not possible.

    A state folder that others may enter is refused with IdentityExposed.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise unusable(folder, error) from error
    if mode & 0o077:
        raise IdentityExposed(
            f"expected the folder {folder} to be open to its owner alone, got mode {mode:04o}",
            hint=f"If nobody else has used it: chmod 700 {folder}",
        )
    return folder


def sync_folder(folder: Path) -> None:
    """Make a name that was created in `folder` survive a crash; OSError as the system says."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, mode: int, *, replace: bool) -> bool:
    """Write a file so that it is there whole or not at all, also after a crash.

    Args:
        path: Where; its folder exists.
        content: What.
        mode: Permissions, from the first moment.
        replace: Whether an existing file gives way; otherwise it stays and the answer is False.

    Raises:
        StateUnusable: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, flags, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                draft.replace(path)
            else:
                # A link, unlike a rename, never takes the place of a file that is there.
                path.hardlink_to(draft)
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        sync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise unusable(path, error) from error
    return True


def unusable(path: Path, error: OSError) -> StateUnusable:
    """The error for a path that the system does not let us use."""
    return StateUnusable(
        f"expected to read and write {path}, got: {error.strerror}",
        hint="Choose another state folder, or mend its permissions.",
    )
