"""Files of this machine into a conversation, and out of it.

A large file is sealed into the store when it is attached, so that it may be gone or changed
afterwards. What comes out is written for its owner alone, into the folder that was chosen under a
safe name, or as the new file that was named, never in the place of one that is there; it has its
name only once it is whole and its hash was checked.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from bellwire.chat.attachment import MAX_FILE_BYTES, FileKey, seal_chunk, small_file
from bellwire.chat.content import (
    CHUNK_BYTES,
    ID_BYTES,
    MAX_PADDED_BYTES,
    Content,
    ContentKind,
)
from bellwire.chat.errors import AttachmentUnusable
from bellwire.chat.store.files import FileState, KeptFile
from bellwire.chat.store.person import Person

BATCH: Final = 128
"""Chunks in one transaction."""

MAX_SAME_NAME: Final = 1000

_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EMLINK})
"""What a file system says that has no second names for a file, as those of memory sticks."""

Progress = Callable[[int, int], None]
"""Is given bytes done, and bytes in all; on the thread that works."""


def take_in(
    person: Person,
    contact: bytes,
    path: Path,
    now_ms: int,
    progress: Progress | None = None,
    *,
    file_id: bytes | None = None,
) -> Content:
    """The message that attaches a file; a large one's chunks are in the store then.

    Args:
        person: Whose store.
        contact: For whom.
        path: The file.
        now_ms: Milliseconds since the epoch.
        progress: Is told how much of a large one is in the store.
        file_id: Of the message; None: a random one.

    Raises:
        AttachmentUnusable: it cannot be read, is no plain file, is too large, or changes meanwhile;
            nothing was kept.
        ContactUnknown: nobody of that fingerprint.
    """
    with person.working() as work:
        work.contacts.get(contact)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise AttachmentUnusable(f"expected a plain file at {path}, got something else")
            if found.st_size > MAX_FILE_BYTES:
                raise AttachmentUnusable(
                    f"expected a file of at most {MAX_FILE_BYTES:,} bytes, got {found.st_size:,}"
                )
            name, file_id = path.name or "attachment", file_id or os.urandom(ID_BYTES)
            if found.st_size <= MAX_PADDED_BYTES:
                data = file.read(MAX_PADDED_BYTES + 1)
                if len(data) != found.st_size:
                    raise _changed(path)
                return Content(ContentKind.FILE, file_id, now_ms, small_file(name, data))
            about = FileKey(os.urandom(32), _hash(file.fileno()), found.st_size, name)
            if not _keep(person, contact, file.fileno(), file_id, about, progress):
                raise _changed(path)
            return Content(ContentKind.FILE_KEY, file_id, now_ms, about.encode())
    except OSError as error:
        raise AttachmentUnusable(f"expected to read {path}, got: {error.strerror}") from error


def _hash(descriptor: int) -> bytes:
    found, at = hashlib.sha256(), 0
    while piece := os.pread(descriptor, 1 << 20, at):
        found.update(piece)
        at += len(piece)
    return found.digest()


def _keep(  # noqa: PLR0917 - all of one file
    person: Person,
    contact: bytes,
    descriptor: int,
    file_id: bytes,
    about: FileKey,
    progress: Progress | None,
) -> bool:
    """Seal all chunks into the store; False if they are not those that were hashed."""
    with person.working() as work:
        work.files.add(contact, file_id, about, FileState.COMING, ours=True)
        kept = work.files.get(contact, file_id, ours=True)
        assert kept is not None
    found, total, whole = hashlib.sha256(), 0, False
    try:
        for first in range(0, about.chunks, BATCH):
            with person.working() as work:
                for number in range(first, min(first + BATCH, about.chunks)):
                    wanted = min(CHUNK_BYTES, about.size - number * CHUNK_BYTES)
                    chunk = os.pread(descriptor, wanted, number * CHUNK_BYTES)
                    found.update(chunk)
                    total += len(chunk)
                    sealed = seal_chunk(about.key, file_id, about.size, number, chunk)
                    work.files.put(kept, number, sealed)
            if progress is not None:
                progress(total, about.size)
        whole = (total, found.digest()) == (about.size, about.sha256)
    finally:
        if not whole:
            with person.working() as work:
                work.files.remove(kept)
    return whole


def _changed(path: Path) -> AttachmentUnusable:
    return AttachmentUnusable(f"expected {path} to stay as it is, got another while it was read")


def save(person: Person, contact: bytes, file_id: bytes, place: Path) -> Path:
    """Write an attachment of theirs; it leaves the store. Where it is now.

    Args:
        person: Whose store.
        contact: Of whom it is.
        file_id: Id of its message.
        place: A folder, in which it gets its own name made safe, with a number if there is a file
            of that name; or a new file.

    Raises:
        AttachmentUnusable: it is not here, the place cannot be written, or there is a file already;
            nothing was left there.
    """
    with person.working() as work:
        kept = work.files.get(contact, file_id, ours=False)
    if kept is None or kept.state is not FileState.WHOLE:
        state = "none of theirs" if kept is None else f"one that is {_WORDS[kept.state]}"
        raise AttachmentUnusable(f"expected an attachment that is here, got {state}")
    try:
        into_folder = place.is_dir() or place.name in {"", ".."}
        folder = place if into_folder else place.parent
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            written = _write(person, kept, descriptor, None if into_folder else place.name)
        finally:
            os.close(descriptor)
    except ValueError as error:
        raise AttachmentUnusable("expected the name of a file, got one with a NUL in it") from error
    except OSError as error:
        raise AttachmentUnusable(f"expected to write to {place}, got: {error.strerror}") from error
    with person.working() as work:
        work.files.settle(kept, FileState.SAVED)
    return folder / written


_WORDS: Final = {
    FileState.COMING: "not whole yet",
    FileState.SAVED: "saved already",
    FileState.STOPPED: "not to be had",
    FileState.ELSEWHERE: "on another device of ours",
}


def _write(person: Person, kept: KeptFile, folder: int, called: str | None) -> str:
    """Write it whole under another name, then give it its own; that name."""
    draft = f".bellwire-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=folder)
    try:
        found = hashlib.sha256()
        with os.fdopen(descriptor, "wb") as file, person.working() as work:
            for chunk in work.files.opened(kept):
                found.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if found.digest() != kept.about.sha256:
            raise AttachmentUnusable("expected the file that its sender hashed, got another")
        name = _named(draft, _names(kept.about.name) if called is None else [called], folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
    os.fsync(folder)
    return name


def _names(name: str) -> Iterator[str]:
    """A name, and the same with numbers."""
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    yield name
    for number in range(1, MAX_SAME_NAME):
        yield f"{stem} ({number}){dot}{ending}"


def _named(draft: str, names: Iterable[str], folder: int) -> str:
    """Give a file the first of these names that no file has."""
    for tried in names:
        with contextlib.suppress(FileExistsError):
            try:
                os.link(draft, tried, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _claim(tried, folder)
                os.rename(draft, tried, src_dir_fd=folder, dst_dir_fd=folder)
            return tried
    raise AttachmentUnusable("expected the name of a new file, got one that is there already")


def _claim(name: str, folder: int) -> None:
    """Make an empty file that was not there: what is renamed over it is in nobody's place."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(name, flags, 0o600, dir_fd=folder))
