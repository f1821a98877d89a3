"""The envelope of one secret: a store's data key, or who a device is; and what wraps it.

The secret is made once and rests in one file alone, wrapped. So another key-encryption key costs
one small file, and nothing that the secret itself protects is touched.

Crashes: a key-encryption key is durable before the record names it, the record is replaced whole
(`write_whole`), and a key-encryption key is destroyed only after a record that names another is
durable. So at each moment the record that is there opens. What a crash leaves is a key that nothing
names, or one whose record says that it was replaced: `settle` destroys it at the next start.

Who calls sees to it that no other process has the secret in use from `unlock` on, for `settle` and
`rotate` change the record.
"""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.base.secret import Secret
from bellwire.crypto.kek.errors import KekRefused
from bellwire.crypto.kek.key_file import erase
from bellwire.crypto.kek.record import (
    MAX_RECORD_BYTES,
    MAX_SECRET_BYTES,
    Form,
    PassphraseKek,
    Record,
    Replaced,
    decode,
    encode,
    kind_of,
    unwrap,
    wrap,
)
from bellwire.crypto.kek.source import KekSource


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What an envelope is for.

    Attributes:
        what: What it holds, for people.
        form: How its record begins.
        file: Name of the record's file.
        bare: Name of the file in which the secret lies where nothing wraps it.
        setting: Which setting names the source.
        sizes: How many bytes the secret may have, from and to.
        make: A new one.
    """

    what: str
    form: Form
    file: str
    bare: str
    setting: str
    sizes: tuple[int, int]
    make: Callable[[], bytes]


class Envelope:
    """How the secret `wrapped` in `folder` is kept, under keys of `source`."""

    def __init__(self, folder: Path, source: KekSource, wrapped: Wrapped) -> None:
        self._folder = folder
        self._source = source
        self._wrapped = wrapped
        self._path = folder / wrapped.file
        self._bare = folder / wrapped.bare
        self._kek = Secret(b"")  # the record's, from `unlock` to `settle`: it is asked for once

    def record(self) -> Record | None:
        """What the file says, not yet verified; None if there is none.

        Raises:
            KekRefused: it is none of ours.
            PathUnusable, PathExposed: it cannot be read, or others may.
        """
        content = read_own_file(self._path, MAX_RECORD_BYTES + 1)
        return None if content is None else decode(content, self._wrapped.form)

    def unlock(self, *, fresh: bool) -> Secret:
        """The secret; then see that it is the right one, and call `settle`.

        Args:
            fresh: Nothing is there yet, so that a secret may be made where there is none.

        Raises:
            KekRefused: it does not open, or is missing; nothing was changed.
            KekUnusable, KekUnavailable: the source cannot be asked.
            PathUnusable, PathExposed: a file cannot be read or written, or others may.
        """
        own_folder(self._folder)
        record = self.record()
        if record is not None:
            return self._open(record)
        bare = self._read_bare()
        if bare is not None:
            return bare
        if not fresh:
            raise KekRefused(
                f"expected the wrapped {self._wrapped.what} at {self._path}, got no file",
                hint="Put it back; nothing else can stand for it.",
            )
        return self._create()

    def settle(self, bare: Secret, earlier: KekSource | None = None) -> None:
        """Finish, now that the secret has proved right, what lay bare or a crash left.

        A secret that lay bare is wrapped, and its file destroyed. A key-encryption key that was
        replaced is destroyed, if it is of this source.

        Args:
            bare: From `unlock`.
            earlier: Where a key-encryption key that was replaced came from, if from elsewhere.

        Raises:
            PathUnusable, KekUnusable, KekUnavailable: it could not be finished; again is harmless.
        """
        try:
            record = self.record()
            if record is None:
                self._kek, kek = self._source.new()
                record = wrap(bare, self._kek, kek, self._wrapped.form)
                self._write(record)
            left = self._read_bare()
            # Zeros are what a crash leaves of an erasure; another key is not ours to destroy.
            if left is not None and (left == bare or not any(left.reveal())):
                erase(self._bare)
            old = earlier or self._source
            if record.replaces is not None and record.replaces.source == old.setting:
                self._retire(record, bare, self._kek, old)
        finally:
            self._kek.wipe()

    def rotate(self, bare: Secret, new: KekSource) -> Replaced | None:
        """Wrap the secret under a new key-encryption key of `new`, and destroy the old one.

        Args:
            bare: From `unlock`, settled.
            new: Where the new one comes from; may be the same source.

        Returns:
            The key before, destroyed; None for a passphrase.

        Raises:
            KekUnusable, KekUnavailable, PathUnusable: before the record was replaced, and the old
                key opens still; or after it, the new one opens, and the old one may be there.
        """
        before = self.record()
        assert before is not None
        replaced = (
            None  # nothing of a passphrase is kept
            if isinstance(before.kek, PassphraseKek)
            else Replaced(self._source.setting, before.kek.key)
        )
        secret, kek = new.new()
        try:
            record = wrap(bare, secret, kek, self._wrapped.form, replaced)
            self._write(record, replace=True)
            if replaced is not None:
                self._retire(record, bare, secret, self._source)
        finally:
            secret.wipe()
        return replaced

    def _create(self) -> Secret:
        """Make a secret; of several processes that do so at once one does."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            record = self.record()
            if record is not None:
                return self._open(record)
            bare = Secret(self._wrapped.make())
            self._kek, kek = self._source.new()
            self._write(wrap(bare, self._kek, kek, self._wrapped.form))
            return bare
        finally:
            os.close(descriptor)

    def _open(self, record: Record) -> Secret:
        kind = kind_of(record.kek)
        if kind != self._source.kind:
            raise KekRefused(
                f"expected the {self._wrapped.what} wrapped by {self._source.kind}, as "
                f"{self._wrapped.setting} says, got one by {kind}",
                hint=f"Set {self._wrapped.setting} to what it was last rotated to.",
            )
        self._kek = self._source.recover(record.kek)
        bare = unwrap(record, self._kek)
        self._check_size(len(bare), self._path)
        return bare

    def _check_size(self, size: int, path: Path) -> None:
        least, most = self._wrapped.sizes
        if not least <= size <= most:
            sizes = f"{least}" if least == most else f"{least} to {most}"
            raise KekRefused(
                f"expected the {self._wrapped.what} of {sizes} bytes in {path}, got {size}",
                hint="Put the right file back; nothing was changed.",
            )

    def _retire(self, record: Record, bare: Secret, secret: Secret, old: KekSource) -> None:
        """Destroy the key that `record`'s replaced, then write that it is gone."""
        assert record.replaces is not None
        old.retire(record.replaces.key)
        self._write(wrap(bare, secret, record.kek, self._wrapped.form), replace=True)

    def _write(self, record: Record, *, replace: bool = False) -> None:
        write_whole(self._path, encode(record), replace=replace)

    def _read_bare(self) -> Secret | None:
        """The secret as it lies where nothing wraps it."""
        data = read_own_file(self._bare, MAX_SECRET_BYTES + 1)
        if data is None:
            return None
        self._check_size(len(data), self._bare)
        return Secret(data)
