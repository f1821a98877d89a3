"""Files of this machine into a conversation, and out of it.

A large file is sealed into the store when it is attached, so that it may be gone or changed
afterwards. What comes out is written under a safe name into the folder that was chosen, for its
owner alone, and has its name only once it is whole and its hash was checked.
"""

import contextlib
import hashlib
import os
import secrets
import stat
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


def take_in(person: Person, contact: bytes, path: Path, now_ms: int) -> Content:
    """The message that attaches a file; a large one's chunks are in the store then.

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
            name, file_id = path.name or "attachment", os.urandom(ID_BYTES)
            if found.st_size <= MAX_PADDED_BYTES:
                data = file.read(MAX_PADDED_BYTES + 1)
                if len(data) != found.st_size:
                    raise _changed(path)
                return Content(ContentKind.FILE, file_id, now_ms, small_file(name, data))
            about = FileKey(os.urandom(32), _hash(file.fileno()), found.st_size, name)
            if not _keep(person, contact, file.fileno(), file_id, about):
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


def _keep(person: Person, contact: bytes, descriptor: int, file_id: bytes, about: FileKey) -> bool:
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
        whole = (total, found.digest()) == (about.size, about.sha256)
    finally:
        if not whole:
            with person.working() as work:
                work.files.remove(kept)
    return whole


def _changed(path: Path) -> AttachmentUnusable:
    return AttachmentUnusable(f"expected {path} to stay as it is, got another while it was read")


def save(person: Person, contact: bytes, file_id: bytes, folder: Path) -> Path:
    """Write an attachment of theirs into a folder; it leaves the store. Where it is now.

    Raises:
        AttachmentUnusable: it is not here, or the folder cannot be written; nothing was left there.
    """
    with person.working() as work:
        kept = work.files.get(contact, file_id, ours=False)
    if kept is None or kept.state is not FileState.WHOLE:
        state = "none of theirs" if kept is None else f"one that is {_WORDS[kept.state]}"
        raise AttachmentUnusable(f"expected an attachment that is here, got {state}")
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            written = _write(person, kept, place)
        finally:
            os.close(place)
    except OSError as error:
        raise AttachmentUnusable(
            f"expected to write into {folder}, got: {error.strerror}"
        ) from error
    with person.working() as work:
        work.files.settle(kept, FileState.SAVED)
    return folder / written


_WORDS: Final = {
    FileState.COMING: "not whole yet",
    FileState.SAVED: "saved already",
    FileState.STOPPED: "not to be had",
}


def _write(person: Person, kept: KeptFile, place: int) -> str:
    draft = f".bellwire-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=place)
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
        name = _link(draft, kept.about.name, place)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=place)
    os.fsync(place)
    return name


def _link(draft: str, name: str, place: int) -> str:
    """Give a file its name, or one with a number, never in the place of a file that is there."""
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    for number in range(MAX_SAME_NAME):
        tried = f"{stem} ({number}){dot}{ending}" if number else name
        with contextlib.suppress(FileExistsError):
            os.link(draft, tried, src_dir_fd=place, dst_dir_fd=place, follow_symlinks=False)
            return tried
    raise AttachmentUnusable(f"expected room for a file of that name, got {MAX_SAME_NAME} of them")
