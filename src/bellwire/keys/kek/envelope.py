"""The envelope of one store: its data key, and the key-encryption key around it.

The store seals with a data key of 32 random bytes, made once, which rests in `key.wrapped` alone,
wrapped. So another key-encryption key costs one small file, and the store is not touched.

Crashes: a key-encryption key is durable before the record names it, the record is replaced whole
(`write_whole`), and a key-encryption key is destroyed only after a record that names another is
durable. So at each moment the record that is there opens. What a crash leaves is a key that nothing
names, or one whose record says that it was replaced: `settle` destroys it at the next start.

Who calls holds the store open from `unlock` on, for `settle` and `rotate` change the record, and
the store's lock is what keeps two processes from doing so at once.
"""

import fcntl
import os
import secrets
from pathlib import Path

from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.base.secret import Secret
from bellwire.keys.errors import StoreCorrupt
from bellwire.keys.kek.errors import KekRefused
from bellwire.keys.kek.key_file import erase
from bellwire.keys.kek.record import (
    MAX_RECORD_BYTES,
    PassphraseKek,
    Record,
    Replaced,
    decode,
    encode,
    kind_of,
    unwrap,
    wrap,
)
from bellwire.keys.kek.source import KekSource
from bellwire.keys.sealing import DATA_KEY_BYTES


class Envelope:
    """How the data key of the store in `folder` is kept, under keys of `source`."""

    def __init__(self, folder: Path, source: KekSource) -> None:
        self._folder = folder
        self._source = source
        self._path = folder / "key.wrapped"
        self._bare = folder / "kek"
        self._kek = Secret(b"")  # the record's, from `unlock` to `settle`: it is asked for once

    def record(self) -> Record | None:
        """What the file says, not yet verified; None if there is none.

        Raises:
            KekRefused: it is none of ours.
            PathUnusable, PathExposed: it cannot be read, or others may.
        """
        content = read_own_file(self._path, MAX_RECORD_BYTES + 1)
        return None if content is None else decode(content)

    def unlock(self, *, fresh: bool) -> Secret:
        """The data key; then open the store with it, and call `settle`.

        Args:
            fresh: There is no store yet, so that a data key may be made where there is none.

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
                f"expected the wrapped data key of this store at {self._path}, got no file",
                hint="Put it back; without it the store cannot be opened.",
            )
        return self._create()

    def settle(self, data_key: Secret, earlier: KekSource | None = None) -> None:
        """Finish, now that the store is open, what an earlier version or a crash left.

        A data key that lay bare, as earlier versions left it, is wrapped, and its file destroyed. A
        key-encryption key that was replaced is destroyed, if it is of this source.

        Args:
            data_key: From `unlock`.
            earlier: Where a key-encryption key that was replaced came from, if from elsewhere.

        Raises:
            PathUnusable, KekUnusable, KekUnavailable: it could not be finished; again is harmless.
        """
        try:
            record = self.record()
            if record is None:
                self._kek, kek = self._source.new()
                record = wrap(data_key, self._kek, kek)
                self._write(record)
            bare = self._read_bare()
            # Zeros are what a crash leaves of an erasure; another key is not ours to destroy.
            if bare is not None and (bare == data_key or not any(bare.reveal())):
                erase(self._bare)
            old = earlier or self._source
            if record.replaces is not None and record.replaces.source == old.setting:
                self._retire(record, data_key, self._kek, old)
        finally:
            self._kek.wipe()

    def rotate(self, data_key: Secret, new: KekSource) -> Replaced | None:
        """Wrap the data key under a new key-encryption key of `new`, and destroy the old one.

        Args:
            data_key: From `unlock`, settled.
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
            record = wrap(data_key, secret, kek, replaced)
            self._write(record, replace=True)
            if replaced is not None:
                self._retire(record, data_key, secret, self._source)
        finally:
            secret.wipe()
        return replaced

    def _create(self) -> Secret:
        """Make a data key; of several processes that do so at once one does."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            record = self.record()
            if record is not None:
                return self._open(record)
            data_key = Secret(secrets.token_bytes(DATA_KEY_BYTES))
            self._kek, kek = self._source.new()
            self._write(wrap(data_key, self._kek, kek))
            return data_key
        finally:
            os.close(descriptor)

    def _open(self, record: Record) -> Secret:
        kind = kind_of(record.kek)
        if kind != self._source.kind:
            raise KekRefused(
                f"expected a data key wrapped by {self._source.kind}, as kek.source says, got one "
                f"by {kind}",
                hint="Set kek.source to what the store was last rotated to: "
                "docs/how-to/protect-the-store.md",
            )
        self._kek = self._source.recover(record.kek)
        return unwrap(record, self._kek)

    def _retire(self, record: Record, data_key: Secret, secret: Secret, old: KekSource) -> None:
        """Destroy the key that `record`'s replaced, then write that it is gone."""
        assert record.replaces is not None
        old.retire(record.replaces.key)
        self._write(wrap(data_key, secret, record.kek), replace=True)

    def _write(self, record: Record, *, replace: bool = False) -> None:
        write_whole(self._path, encode(record), replace=replace)

    def _read_bare(self) -> Secret | None:
        """The data key as earlier versions left it: 32 bytes in a file."""
        data = read_own_file(self._bare, DATA_KEY_BYTES + 1)
        if data is not None and len(data) != DATA_KEY_BYTES:
            raise StoreCorrupt(
                f"expected a key of {DATA_KEY_BYTES} bytes in {self._bare}, got {len(data)}",
                hint="Put the right file back; without it the store cannot be opened.",
            )
        return None if data is None else Secret(data)
